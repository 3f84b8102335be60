"""Training the rounds of a config into a run folder."""

import json
import warnings
from collections.abc import Generator
from pathlib import Path
from time import perf_counter

from .. import __version__
from ..config.dump import to_yaml
from ..config.schema import Config
from ..display.text import readable
from ..errors import GraphError, InputError, MinidlWarning, TrainingError
from ..runs.environment import environment
from ..runs.folder import DEFAULT_RUNS_DIR, Run
from ..runs.metrics import MetricsLog
from ..training.build import build
from ..training.exactness import warn_of_inexact_products
from ..training.memory import physical_memory
from ..training.trainer import EpochRecord, Round
from .results import METRICS, write_results
from .workers import plan, train_rounds


def train(config: Config, *, runs_dir: str | Path = DEFAULT_RUNS_DIR) -> Run:
    """Train one round, that of the config's seed, and return its run folder.

    Args:
        config: what to train; `sweep.rounds` is taken to be 1.
        runs_dir: the folder of runs.

    Raises:
        InputError: the config's parts do not fit together, or the folder cannot be written.
        TrainingError: the round diverged, or the folder can no longer be written.
    """
    one = config.sweep.model_copy(update={"rounds": 1})
    return sweep(config.model_copy(update={"sweep": one}), runs_dir=runs_dir)


def sweep(
    config: Config,
    *,
    runs_dir: str | Path = DEFAULT_RUNS_DIR,
    workers: int | None = None,
    chunk: int | None = None,
) -> Run:
    """Train all rounds of a config (`sweep.rounds` seeds, from `seed` on) into one run folder, and return it.

    Args:
        config: what to train.
        runs_dir: the folder of runs.
        workers: the number of processes; by default the number of cores.
        chunk: the number of rounds in a stack; by default what fits the cache.

    Raises:
        InputError: the config's parts do not fit together, or the folder cannot be written.
        TrainingError: every round diverged, a worker died, or the folder can no longer be written.
    """
    job = Job(config, Path(runs_dir), workers, chunk)
    for _ in job.records():
        pass
    return job.run


class Job:
    """The training of all rounds of a config into a run folder of their own.

    The folder is made at once; the training happens while `records` is iterated.

    Args:
        config: what to train.
        runs_dir: the folder of runs.
        workers: the number of processes; by default the number of cores.
        chunk: the number of rounds in a stack; by default what fits the cache.

    Attributes:
        config: what to train.
        run: the run folder.

    Raises:
        InputError: the config's parts do not fit together, memory is too small, or the folder cannot be written.
    """

    def __init__(
        self,
        config: Config,
        runs_dir: Path = DEFAULT_RUNS_DIR,
        workers: int | None = None,
        chunk: int | None = None,
    ):
        for name, value in {"workers": workers, "chunk": chunk}.items():
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        self.config = config
        self._task = build(config)
        self._plan = plan(self._task, workers, chunk)
        self._check_memory()
        self._check_shapes()
        self._warn_of_lone_batch()
        found = environment(__version__, "cpu", self._plan.workers)
        files = {"config.yaml": to_yaml(config.resolved()), "environment.json": json.dumps(found, indent=2) + "\n"}
        self.run = Run.create(runs_dir, config.name, files)

    def _check_memory(self) -> None:
        training = self._plan.memory(self._task).total
        log = MetricsLog.memory(len(self.config.seeds), len(self.config.training.logged_epochs()), len(METRICS))
        if training + log > physical_memory():
            raise InputError(
                f"{self.config.name}: this would take about {readable(training + log)} of memory, {readable(log)} of "
                f"it for the metrics of all epochs, but this machine has {readable(physical_memory())}; use fewer "
                "workers, a smaller chunk or model, or a larger training.log_every"
            )

    def _check_shapes(self) -> None:
        try:
            self._task.network.allocate(1, self._task.dtype)
        except GraphError as error:
            raise self.config.error(error.place, str(error)) from error

    def _warn_of_lone_batch(self) -> None:
        batch_size, samples = self.config.training.batch_size, self._task.dataset.sizes["train"]
        if batch_size > samples:
            problem = f"training.batch_size is {batch_size}, but there are {samples} samples: an epoch is one batch"
            warnings.warn(problem, MinidlWarning, stacklevel=2)

    def records(self) -> Generator[EpochRecord, None, None]:
        """Train, yield the record of every epoch of every stack, and write the results into the run folder.

        Raises:
            TrainingError: every round diverged (the folder is complete all the same), a worker died, or the folder
                can no longer be written.
        """
        warn_of_inexact_products(self._task.dtype)
        started = perf_counter()
        seeds, options = self.config.seeds, self.config.training
        rounds: dict[int, Round] = {}
        try:
            with MetricsLog(self.run.metrics_path, seeds, options.logged_epochs(), METRICS) as log:
                for event in train_rounds(self.config, self._plan):
                    if isinstance(event, Round):
                        rounds[event.seed] = event
                        continue
                    if options.is_logged(event.epoch):
                        log.write(event.epoch, event.seeds, event.lr, event.metrics, event.seconds)
                    yield event
            ordered = [rounds[seed] for seed in seeds]
            write_results(self.run, self._task, ordered, log, perf_counter() - started)
        except OSError as error:
            raise TrainingError(f"{self.run.path}: cannot be written: {error.strerror or error}") from error
        if all(each.status == "diverged" for each in ordered):
            raise TrainingError(f"every round diverged; try a smaller learning rate ({self.run.path} has the records)")
