"""Training the rounds of a config into a run folder."""

import json
import warnings
from collections.abc import Generator, Sequence
from pathlib import Path
from time import perf_counter

from .. import __version__
from ..config.dump import to_yaml
from ..config.schema import Config
from ..display.text import readable
from ..errors import InputError, MinidlWarning, TrainingError
from ..nn.product import stacking_is_exact
from ..runs.environment import environment
from ..runs.folder import DEFAULT_RUNS_DIR, Run
from ..runs.metrics import MetricsLog
from ..training.build import build
from ..training.memory import estimate, physical_memory
from ..training.trainer import EpochRecord, Round
from .results import METRICS, write_results
from .workers import default_workers, plan, train_chunks


def train(config: Config, *, runs_dir: str | Path = DEFAULT_RUNS_DIR) -> Run:
    """Train one round, that of the config's seed, and return its run folder.

    Args:
        config: what to train.
        runs_dir: the folder of runs.

    Raises:
        InputError: the config's parts do not fit together, or the folder cannot be written.
        TrainingError: the round diverged.
    """
    return sweep(config, seeds=[config.seed], runs_dir=runs_dir)


def sweep(
    config: Config,
    *,
    seeds: Sequence[int] | None = None,
    runs_dir: str | Path = DEFAULT_RUNS_DIR,
    workers: int | None = None,
    chunk: int | None = None,
) -> Run:
    """Train many rounds into one run folder, and return it.

    Args:
        config: what to train.
        seeds: the rounds; by default `sweep.rounds` seeds from the config's seed on.
        runs_dir: the folder of runs.
        workers: the number of processes; by default the number of cores.
        chunk: the number of rounds in a stack; by default what fits the cache.

    Raises:
        InputError: the config's parts do not fit together, or the folder cannot be written.
        TrainingError: every round diverged, or a worker died.
    """
    job = Sweep(config, default_seeds(config) if seeds is None else seeds, Path(runs_dir), workers, chunk)
    for _ in job.records():
        pass
    return job.run


def default_seeds(config: Config) -> range:
    """Return the seeds that a config asks for: `sweep.rounds` of them, from `seed` on."""
    return range(config.seed, config.seed + config.sweep.rounds)


class Sweep:
    """The training of some rounds of a config into a run folder of their own.

    The folder is made at once; the training happens while `records` is iterated.

    Args:
        config: what to train.
        seeds: the rounds, all different.
        runs_dir: the folder of runs.
        workers: the number of processes; by default the number of cores.
        chunk: the number of rounds in a stack; by default what fits the cache.

    Attributes:
        run: the run folder.
        config: what to train.
        seeds: the rounds.
        workers: the number of processes.

    Raises:
        InputError: the config's parts do not fit together, memory is too small, or the folder cannot be written.
    """

    def __init__(
        self,
        config: Config,
        seeds: Sequence[int],
        runs_dir: Path = DEFAULT_RUNS_DIR,
        workers: int | None = None,
        chunk: int | None = None,
    ):
        self.config, self.seeds = config, list(seeds)
        self._task = build(config)
        self._chunks = plan(self._task, self.seeds, workers or default_workers(), chunk)
        self.workers = min(workers or default_workers(), len(self._chunks))
        self._check_memory()
        self._warn_of_lone_batch()
        found = environment(__version__, "cpu", self.workers)
        files = {"config.yaml": to_yaml(config.resolved()), "environment.json": json.dumps(found, indent=2) + "\n"}
        self.run = Run.create(runs_dir, config.name, files)

    def _check_memory(self) -> None:
        needed = estimate(self._task, len(self._chunks[0])).total * self.workers
        if needed > physical_memory():
            raise InputError(
                f"{self.config.name}: training would take about {readable(needed)} of memory, but this machine has "
                f"{readable(physical_memory())}; use fewer workers, a smaller chunk or a smaller model"
            )

    def _warn_of_lone_batch(self) -> None:
        batch_size, samples = self.config.training.batch_size, self._task.dataset.sizes["train"]
        if batch_size > samples:
            problem = f"training.batch_size is {batch_size}, but there are {samples} samples: an epoch is one batch"
            warnings.warn(problem, MinidlWarning, stacklevel=2)

    def records(self) -> Generator[EpochRecord, None, None]:
        """Train, yield the record of every epoch of every stack, and write the results into the run folder.

        Raises:
            TrainingError: every round diverged (the folder is complete all the same), or a worker died.
        """
        if not stacking_is_exact():
            warnings.warn(
                "matrix products give a round other last digits at other places in a stack here; "
                "where torch is used before minidl_cli is imported, import minidl_cli first",
                MinidlWarning,
                stacklevel=2,
            )
        started = perf_counter()
        rounds: dict[int, Round] = {}
        with MetricsLog(self.run.metrics_path, self.seeds, self.config.training.logged_epochs(), METRICS) as log:
            for event in train_chunks(self.config, self._chunks, self.workers):
                if isinstance(event, Round):
                    rounds[event.seed] = event
                    continue
                if event.is_logged:
                    log.write(event.epoch, event.seeds, event.lr, event.metrics, event.seconds)
                yield event
        ordered = [rounds[seed] for seed in self.seeds]
        write_results(self.run, self._task, ordered, log, perf_counter() - started)
        if all(each.status == "diverged" for each in ordered):
            raise TrainingError(f"every round diverged; try a smaller learning rate ({self.run.path} has the records)")
