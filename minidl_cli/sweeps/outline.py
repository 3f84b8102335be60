"""What a config would train, told without training."""

from math import prod
from typing import Any

from ..config.schema import Config
from ..registry import Component
from ..training.build import build, variants
from ..training.compiled import CompiledStep
from ..training.trainers import Trainers
from .plan import capacity_here, plan


def outline(config: Config) -> dict[str, Any]:
    """Return the layers of a config with output shapes and parameters, and the memory that its rounds take.

    Returns:
        `name`, `data`, `parts` (the number of samples of each), `predicts` (the names of the `targets`, and the
        `classes`, if it is classes), `inputs`, `layers` (each with `layer`, `arguments`, `outputs`, `parameters`:
        shapes by name, `count`), `loss`, `optimizer`, `schedule`, `parameters` (all of one round), `rounds`,
        `variants` (their labels, if the config varies anything), `steps` (who takes them), and `memory`: `workers`,
        `rounds_per_stack`, and the bytes of `vectors`, `activations`, `samples`, `checkpoint`, `ends` (each as `Memory`
        has it) and the most at a time, `total`, while all workers train.

    Raises:
        InputError: the layers do not fit each other or the data.
    """
    task = build(config)
    step = Trainers(config, task.dataset).step
    columns = task.dataset.columns
    planned = plan(task, capacity_here(), is_compiled=isinstance(step, CompiledStep))
    memory = planned.memory
    layers = []
    for component, layer, outputs in zip(config.model, task.network.layers, task.network.widths[1:], strict=True):
        shapes = {name: list(parameter.shape) for name, parameter in layer.parameters().items()}
        count = sum(prod(shape) for shape in shapes.values())
        layers.append({**_described(component), "outputs": outputs, "parameters": shapes, "count": count})
    return {
        "name": config.name,
        "data": config.data.spelled_out(),
        "parts": task.sizes,
        "predicts": {"targets": list(columns.targets)}
        | ({"classes": list(columns.classes)} if columns.classes else {}),
        "inputs": task.network.widths[0],
        "layers": layers,
        "loss": config.loss.spelled_out(),
        "optimizer": config.optimizer.spelled_out(),
        "schedule": config.training.schedule.spelled_out(),
        "parameters": task.network.parameter_count(),
        "rounds": len(config.seeds),
        "variants": [each.label for each in variants(config)] if config.sweep.vary else [],
        "steps": str(step),
        "memory": {
            "workers": planned.workers,
            "rounds_per_stack": len(planned.chunks[0]),
            "vectors": memory.vectors,
            "activations": memory.activations,
            "samples": memory.samples,
            "checkpoint": memory.checkpoint,
            "ends": memory.ends,
            "total": memory.total,
        },
    }


def _described(component: Component) -> dict[str, Any]:
    spelled_out = component.spelled_out()
    arguments = {} if isinstance(spelled_out, str) else spelled_out[component.name]
    return {"layer": component.name, "arguments": arguments}
