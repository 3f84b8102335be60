"""Looking inside a round of a run: outputs, gradients and saturated units on some of its samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..nn.inspection import Trace, saturation, trace
from ..runs.folder import Run
from .build import Task, build_run
from .evaluation import Weights, checked_weights, chosen_weights, restore
from .exactness import single_thread
from .memory import check_evaluation


@dataclass(frozen=True)
class InspectedLayer:
    """One layer's part in a pass forward and back.

    Attributes:
        kind: its name in the config, such as `tanh`.
        output: what it puts out, `[samples, features]`: of a linear layer the pre-activation.
        output_gradient: dL/d(output), `[samples, features]`.
        saturated: which outputs of an activation hardly follow its input, `[samples, features]`, as
            `nn.inspection.saturation` says; None for other layers.
    """

    kind: str
    output: Tensor
    output_gradient: Tensor
    saturated: Tensor | None

    def statistics(self) -> dict[str, float]:
        """Return `mean`, `std`, `min` and `max` of the outputs; for an activation also two shares.

        `saturated` is that of the saturated outputs, `dead` that of the units which are saturated for every sample.
        Where outputs are no numbers, neither are the shares.
        """
        values = self.output.double()
        found = {"mean": values.mean()} | ({"std": values.std()} if values.numel() > 1 else {})
        found |= {"min": values.min(), "max": values.max()}
        if self.saturated is not None:
            known = 1.0 if values.isfinite().all() else math.nan
            found["saturated"] = self.saturated.double().mean() * known
            found["dead"] = self.saturated.all(dim=0).double().mean() * known
        return {name: float(value) for name, value in found.items()}


@dataclass(frozen=True)
class Inspection:
    """What one round does with some samples.

    It is computed as the network is used, and not as it is trained: without dropout, and batch_norm with its running
    statistics.

    Attributes:
        run: the run's folder.
        seed: the round.
        status: how it ended, `finished` or `diverged`.
        weights: which of its weights were looked at, `last` or `best`.
        split: the part of the data.
        samples: the places of the samples in it, from 0.
        inputs: the samples, `[samples, features]`, in the data's own units.
        targets: what is to be put out for them, `[samples, outputs]`.
        prediction: what is put out, on the scale of the targets, `[samples, outputs]`.
        right: whether the class of each sample is recognized; None where numbers are learned.
        loss: L, the loss of all these samples, which the gradients are of.
        layers: all layers, first to last.
        parameters: the parameters by name, such as `0.weight`.
        gradients: dL/d(parameter), of the same names and shapes.
    """

    run: Path
    seed: int
    status: str
    weights: Weights
    split: str
    samples: list[int]
    inputs: Tensor
    targets: Tensor
    prediction: Tensor
    right: list[bool] | None
    loss: float
    layers: list[InspectedLayer]
    parameters: dict[str, Tensor]
    gradients: dict[str, Tensor]

    def document(self) -> dict[str, Any]:
        """Return all of it as plain data, with the statistics of layers and the sizes of gradients."""
        tensors = {name: getattr(self, name).tolist() for name in ("inputs", "targets", "prediction")}
        facts = {name: getattr(self, name) for name in ("seed", "status", "weights", "split", "samples", "right")}
        return {
            "run": str(self.run),
            **facts,
            "loss": self.loss,
            "layers": [
                {"layer": each.kind, "outputs": each.output.shape[1], **each.statistics()} for each in self.layers
            ],
            "parameters": {name: _compared(value, self.gradients[name]) for name, value in self.parameters.items()},
            **tensors,
            "outputs": {str(place): each.output.tolist() for place, each in enumerate(self.layers)},
            "output_gradients": {str(place): each.output_gradient.tolist() for place, each in enumerate(self.layers)},
            "gradients": {name: gradient.tolist() for name, gradient in self.gradients.items()},
        }


def _compared(value: Tensor, gradient: Tensor) -> dict[str, Any]:
    """Return the sizes of a parameter and of its gradient; their ratio only where the parameter is not all zero."""
    entries, norm = gradient.double().abs(), _norm(value)
    sizes = {
        "shape": list(value.shape),
        "norm": norm,
        "gradient_norm": _norm(gradient),
        "gradient_mean": float(entries.mean()),
        "gradient_max": float(entries.max()),
    }
    return sizes | ({"ratio": _norm(gradient) / norm} if norm else {})


def _norm(values: Tensor) -> float:
    return math.sqrt(float(values.double().square().sum()))


def finite(data: Any) -> Any:
    """Return plain data for JSON, which has no NaN and no infinity: None in their place."""
    if isinstance(data, dict):
        return {key: finite(each) for key, each in data.items()}
    if isinstance(data, list):
        return [finite(each) for each in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


@single_thread()
@torch.inference_mode()
def inspect(
    run: Run | str | Path,
    seed: int | None = None,
    *,
    split: str = "train",
    sample: int | None = None,
    batch: int = 10,
    weights: Weights | None = None,
) -> Inspection:
    """Pass some samples through a round of a run, forward and back, and return what every layer gives.

    Args:
        run: the run, or its folder.
        seed: the round; by default the first that finished.
        split: the part of the data to take samples from, such as `test`.
        sample: the place of the one sample to take, from 0; by default a batch is taken.
        batch: how many samples to take, from the first on; all of them where there are fewer.
        weights: `last` or `best`; by default those that the training ended with.

    Raises:
        InputError: the folder is not a finished run, or is damaged; or there is no such round, part or sample.
    """
    run = run if isinstance(run, Run) else Run.find(str(run))
    rounds, task = run.rounds(), build_run(run)
    place = _place(run, rounds, seed)
    seed, status = rounds[place]
    check_evaluation(task, rounds=1)
    samples = _chosen(task, split, sample, batch)
    weights = weights or chosen_weights(task.config)
    stored = checked_weights(run, task.config, task.network, len(rounds), weights)
    network = restore(task.network, {name: values[place : place + 1] for name, values in stored.items()})
    part = task.samples([seed])[split]
    inputs, targets = (values[0].T for values in next(part.gather(torch.tensor([samples]), len(samples))))
    network.train(False)
    found = trace(network, task.loss, inputs, targets)
    prediction, target = task.judge.predict(found.outputs[str(len(network.layers) - 1)].mT), targets.T.unsqueeze(0)
    right = None
    if task.dataset.columns.classes is not None:
        right = (task.judge.hits(prediction, target) & prediction.isfinite().all(dim=1))[0].tolist()
    return Inspection(
        run=run.path,
        seed=seed,
        status=status,
        weights=weights,
        split=split,
        samples=samples,
        inputs=inputs,
        targets=targets,
        prediction=prediction[0].T,
        right=right,
        loss=float(found.loss),
        layers=_layers(task, network.preprocessing.scale_inputs(inputs.T.unsqueeze(0)), found),
        parameters={name: parameter.value[0] for name, parameter in network.named_parameters()},
        gradients={name: gradient[0] for name, gradient in found.gradients.items()},
    )


def _place(run: Run, rounds: Sequence[tuple[int, str]], seed: int | None) -> int:
    """Return the place of a seed among a run's rounds: without one, of the first that finished, or of the first."""
    seeds = [each for each, _ in rounds]
    if seed is None:
        return next((place for place, (_, status) in enumerate(rounds) if status == "finished"), 0)
    if seed not in seeds:
        known = f"its seeds are {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"its only seed is {seeds[0]}"
        raise InputError(f"{run.path}: has no round of seed {seed}; {known}")
    return seeds.index(seed)


def _chosen(task: Task, split: str, sample: int | None, batch: int) -> list[int]:
    """Return the places of the samples to look at."""
    if split not in task.sizes:
        raise InputError(f"{split!r} is no part of the data; there are {', '.join(task.sizes)}")
    size = task.sizes[split]
    if sample is None and batch < 1:
        raise InputError(f"a batch of {batch} has no samples; take at least 1")
    if sample is not None and not 0 <= sample < size:
        raise InputError(f"there is no sample {sample} in {split}; its samples are 0 to {size - 1}")
    return list(range(min(batch, size))) if sample is None else [sample]


def _layers(task: Task, x: Tensor, found: Trace) -> list[InspectedLayer]:
    """Describe the layers, the first of which was given x `[1, features, samples]`."""
    layers, given = [], x.mT
    for place, (component, layer) in enumerate(zip(task.config.model, task.network.layers, strict=True)):
        output, gradient = found.outputs[str(place)], found.output_gradients[str(place)]
        saturated = saturation(layer, given)
        layers.append(
            InspectedLayer(component.name, output[0], gradient[0], None if saturated is None else saturated[0])
        )
        given = output
    return layers
