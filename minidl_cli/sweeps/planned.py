"""What is checked and settled before a run folder is made: a config as it will be trained."""

import json
import warnings
from collections.abc import Mapping
from typing import Any

from .. import __version__
from ..config.dump import to_yaml
from ..config.schema import Config
from ..display.text import readable
from ..errors import GraphError, InputError, MinidlWarning
from ..runs.environment import environment, identify
from ..runs.folder import Run
from ..runs.metrics import MetricsLog
from ..training.build import build, make_dataset
from ..training.compiled import COMPILED, CompiledStep
from ..training.exactness import single_thread
from ..training.memory import result_bytes
from ..training.trainers import Trainers
from .checkpoints import Checkpoints
from .plan import Capacity, Plan, capacity_here, plan

# Trained weights, and what becomes of them while they are written: one array for all, its bytes, the file's content.
WRITING_COPIES = 4


class Planned:
    """A config that has been checked, and divided into stacks.

    Args:
        config: what to train.
        capacity: what there is to train on.
        chunk: the number of rounds in a stack; by default what is fast together and fits in memory.
        run: the run folder, if some of the rounds may have been begun in it before.

    Attributes:
        config: what to train.
        task: the objects that it describes.
        data: what identifies the data files, as `identify` returns it.
        trainers: what makes the trainers of its stacks.
        checkpoints: those in the run folder, if there is one.
        begun: the stacks that were begun before.
        plan: the stacks, and how many processes train them.

    Raises:
        InputError: the config's parts do not fit together, or memory is too small, even for stacks of one round.
    """

    def __init__(self, config: Config, capacity: Capacity, chunk: int | None = None, run: Run | None = None):
        dataset = make_dataset(config)
        # Before anything is read: a file that changes in between is then found to have changed.
        self.data = identify(dataset.files())
        self.config, self.task = config, build(config, dataset)
        self.trainers = Trainers(config, self.task.dataset, capacity.device)
        self.checkpoints = Checkpoints(run, self.task) if run else None
        self.begun = self.checkpoints.begun() if self.checkpoints else []
        stacks = [each.seeds for each in self.begun]
        if run and any(each.epoch for each in self.begun):
            self._keep_steps(run.environment())  # before stacks are planned, which depend on them
        is_compiled = isinstance(self.trainers.step, CompiledStep)
        self.plan = plan(self.task, capacity, chunk, is_compiled=is_compiled, begun=stacks)
        self._check_memory(capacity)
        self.task.fit(config.seeds)  # what cannot be fitted is found before anything is trained
        self._check_shapes()
        self._warn_of_lone_batch()

    def _keep_steps(self, before: Mapping[str, Any]) -> None:
        """Have the steps taken as they were, though they could be compiled now."""
        steps, is_same_device = str(before.get("steps")), before.get("device", "cpu") == self.trainers.device
        if isinstance(self.trainers.step, CompiledStep) and not steps.startswith(COMPILED) and is_same_device:
            self.trainers.step = steps

    def files(self) -> dict[str, str]:
        """Return the first files of the run folder."""
        common = first_files(self.config, self.plan, str(self.trainers.step), self.data)
        return common | {"columns.json": self.columns()}

    def columns(self) -> str:
        """Return the text of `columns.json`."""
        return as_json(self.task.dataset.columns.as_dict())

    def _check_memory(self, capacity: Capacity) -> None:
        """Refuse what does not fit, where the stacks are or here, where logs and results are kept."""
        config, stacks = self.config, self.plan.memory
        results = result_bytes(self.task, len(config.seeds))
        log = MetricsLog.memory(len(config.seeds), len(config.training.logged_epochs()), len(self.task.metrics))
        self._check_room(stacks.on(capacity.device), 0, capacity)
        here = stacks.total if capacity.device == "cpu" else stacks.beside(capacity.device)
        if capacity.host is not None:
            here = stacks.checkpoint  # those of other machines pass through here
        self._check_room(log + max(here + results, WRITING_COPIES * results), log, capacity_here())

    def _check_room(self, needed: int, log: int, capacity: Capacity) -> None:
        if needed <= capacity.memory:
            return
        plan = self.plan
        helpful = {
            "fewer workers": plan.workers > 1,
            "a smaller chunk": max(map(len, plan.chunks)) > 1,
            "a smaller model or batch size": needed > log,
            "a larger training.log_every": log > 0,
            "the device cpu": capacity.device != "cpu",
        }
        advice = ", ".join(name for name, helps in helpful.items() if helps)
        of_log = f", {readable(log)} of it for the metrics of all epochs" if log else ""
        raise InputError(
            f"{self.config.name}: this would take about {readable(needed)} of memory{of_log}, but {capacity.place} has "
            f"{readable(capacity.memory)}; what helps: {advice}"
        )

    @single_thread()
    def _check_shapes(self) -> None:
        try:
            self.task.network.allocate(1, self.task.dtype)
        except GraphError as error:
            raise self.config.error(error.place, str(error)) from error

    def _warn_of_lone_batch(self) -> None:
        batch_size, samples = self.config.training.batch_size, self.task.sizes["train"]
        if batch_size > samples:
            problem = f"training.batch_size is {batch_size}, but there are {samples} samples: an epoch is one batch"
            warnings.warn(problem, MinidlWarning, stacklevel=2)


def first_files(config: Config, plan: Plan, steps: str, data: Mapping[str, Any]) -> dict[str, str]:
    """Return the contents of a run folder's first files by name, as far as every run has them."""
    found = environment(__version__, plan.device, plan.workers) | {"steps": steps, "data": data}
    return {"config.yaml": to_yaml(config.resolved()), "environment.json": as_json(found)}


def as_json(content: Any) -> str:
    """Return the text of a JSON file (which may not hold NaN)."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"
