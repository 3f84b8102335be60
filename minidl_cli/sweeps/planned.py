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
from ..runs.environment import environment, identify, physical_memory
from ..runs.folder import Run
from ..runs.metrics import MetricsLog
from ..training.build import build, make_dataset
from ..training.compiled import CompiledStep, compiled_step
from ..training.exactness import single_thread
from .checkpoints import Checkpoints
from .plan import plan


class Planned:
    """A config that has been checked, and divided into stacks.

    Args:
        config: what to train.
        workers: the number of processes; by default what pays.
        chunk: the number of rounds in a stack; by default what is fast together and fits in memory.
        run: the run folder, if some of the rounds may have been begun in it before.

    Attributes:
        config: what to train.
        task: the objects that it describes.
        data: what identifies the data files, as `identify` returns it.
        step: the compiled step, or who takes the steps instead of it.
        checkpoints: those in the run folder, if there is one.
        begun: the stacks that were begun before.
        plan: the stacks, and how many processes train them.

    Raises:
        InputError: the config's parts do not fit together, or memory is too small.
    """

    def __init__(self, config: Config, workers: int | None, chunk: int | None, run: Run | None = None):
        dataset = make_dataset(config)
        # Before anything is read: a file that changes in between is then found to have changed.
        self.data = identify(dataset.files())
        self.config, self.task = config, build(config, dataset)
        self.step = compiled_step(config, self.task.dataset)
        self.checkpoints = Checkpoints(run, self.task) if run else None
        self.begun = self.checkpoints.begun() if self.checkpoints else []
        stacks = [each.seeds for each in self.begun]
        self.plan = plan(self.task, workers, chunk, is_compiled=isinstance(self.step, CompiledStep), begun=stacks)
        self._check_memory()
        self.task.fit(config.seeds)  # what cannot be fitted is found before anything is trained
        self._check_shapes()
        self._warn_of_lone_batch()

    def files(self) -> dict[str, str]:
        """Return the first files of the run folder."""
        common = first_files(self.config, self.plan.workers, str(self.step), self.data)
        return common | {"columns.json": self.columns()}

    def columns(self) -> str:
        """Return the text of `columns.json`."""
        return as_json(self.task.dataset.columns.as_dict())

    def _check_memory(self) -> None:
        config, training = self.config, self.plan.memory(self.task).total
        log = MetricsLog.memory(len(config.seeds), len(config.training.logged_epochs()), len(self.task.metrics))
        if training + log > physical_memory():
            raise InputError(
                f"{config.name}: this would take about {readable(training + log)} of memory, {readable(log)} of "
                f"it for the metrics of all epochs, but this machine has {readable(physical_memory())}; use fewer "
                "workers, a smaller chunk or model, or a larger training.log_every"
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


def first_files(config: Config, workers: int, steps: str, data: Mapping[str, Any]) -> dict[str, str]:
    """Return the contents of a run folder's first files by name, as far as every run has them."""
    found = environment(__version__, "cpu", workers) | {"steps": steps, "data": data}
    return {"config.yaml": to_yaml(config.resolved()), "environment.json": as_json(found)}


def as_json(content: Any) -> str:
    """Return the text of a JSON file (which may not hold NaN)."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"
