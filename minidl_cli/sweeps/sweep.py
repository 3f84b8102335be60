"""Training the rounds of a config, or of its variants, into run folders."""

import json
import warnings
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Any, Protocol

from .. import __version__
from ..config.dump import to_yaml
from ..config.schema import Config
from ..config.variants import Variant
from ..display.text import readable
from ..errors import GraphError, InputError, MinidlWarning, TrainingError
from ..runs.environment import environment, identify, physical_memory
from ..runs.folder import DEFAULT_RUNS_DIR, VARIANTS, Run
from ..runs.metrics import MetricsLog
from ..training.build import build, make_dataset, variants
from ..training.compiled import CompiledStep, compile_ahead, compiled_step
from ..training.exactness import single_thread, warn_of_inexact_products
from ..training.trainer import EpochRecord, Round
from .contrast import Side, contrast
from .plan import plan
from .results import import_drawing, write_results
from .workers import Workers


def train(config: Config, *, runs_dir: str | Path = DEFAULT_RUNS_DIR) -> Run:
    """Train one round, that of the config's seed, and return its run folder.

    Args:
        config: what to train; `sweep.rounds` is taken to be 1, and nothing is varied.
        runs_dir: the folder of runs.

    Raises:
        InputError: the config's parts do not fit together, or the folder cannot be written.
        TrainingError: the round diverged, or the folder can no longer be written.
    """
    return sweep(of_one_round(config), runs_dir=runs_dir)


def of_one_round(config: Config) -> Config:
    """Return the config that trains only the round of the config's seed, and varies nothing: a warning says so.

    Raises:
        InputError: what the config varies is wrong.
    """
    if config.sweep.vary:
        labels = "; ".join(each.label for each in variants(config))
        problem = f"trained as it stands, without the values of sweep.vary ({labels}); `minidl sweep` trains them all"
        warnings.warn(problem, MinidlWarning, stacklevel=2)
    return config.model_copy(update={"sweep": config.sweep.model_copy(update={"rounds": 1, "vary": {}})})


def sweep(
    config: Config,
    *,
    runs_dir: str | Path = DEFAULT_RUNS_DIR,
    workers: int | None = None,
    chunk: int | None = None,
) -> Run:
    """Train all rounds of a config (`sweep.rounds` seeds, from `seed` on) into one run folder, and return it.

    Where `sweep.vary` asks for variants, each is trained with all rounds into a run folder below the one returned.

    Args:
        config: what to train.
        runs_dir: the folder of runs.
        workers: the number of processes; by default the number of cores, or one for a short training.
        chunk: the number of rounds in a stack; by default what is fast together and fits in memory.

    Raises:
        InputError: the config's parts do not fit together, or the folder cannot be written.
        TrainingError: every round diverged, a worker died, or the folder can no longer be written.
    """
    job = start(config, Path(runs_dir), workers, chunk)
    for _ in job.records():
        pass
    return job.run


class Job(Protocol):
    """Training that has its run folder already, and happens while `records` is iterated.

    Attributes:
        run: the run folder.
        epochs: how many epochs there are to train, those of all rounds added up.
        doing: what is being trained, in a few words.
    """

    run: Run
    epochs: int
    doing: str

    def records(self) -> Generator[EpochRecord, None, None]:
        """Train, yield the record of every epoch of every stack, and write the results into the run folder.

        Raises:
            TrainingError: every round diverged (the folder is complete all the same), a worker died, or the folder
                can no longer be written.
        """


def start(
    config: Config, runs_dir: Path = DEFAULT_RUNS_DIR, workers: int | None = None, chunk: int | None = None
) -> Job:
    """Check everything that can be checked beforehand, make the run folder, and return the job of training it.

    Args:
        config: what to train: its rounds, or if `sweep.vary` says so, its variants.
        runs_dir: the folder of runs.
        workers: the number of processes; by default the number of cores, or one for a short training.
        chunk: the number of rounds in a stack; by default what is fast together and fits in memory.

    Raises:
        InputError: the config's parts do not fit together, memory is too small, or the folder cannot be written.
    """
    for name, value in {"workers": workers, "chunk": chunk}.items():
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    if not config.sweep.vary:
        planned = _Planned(config, workers, chunk)
        return _RoundsJob(planned, Run.create(runs_dir, config.name, planned.files()))
    found = variants(config)
    all_planned = _plan_variants(found, workers, chunk)
    kinds = ", or ".join(dict.fromkeys(str(planned.step) for planned in all_planned))
    data = {name: of for planned in all_planned for name, of in planned.data.items()}
    files = _files(config, max(planned.plan.workers for planned in all_planned), kinds, data)
    for variant, planned in zip(found, all_planned, strict=True):
        files |= {f"{VARIANTS}/{variant.folder}/{name}": text for name, text in planned.files().items()}
    run = Run.create(runs_dir, config.name, files)
    jobs = [_RoundsJob(planned, run.variant(each.folder)) for each, planned in zip(found, all_planned, strict=True)]
    return _VariantsJob(run, dict(zip((each.label for each in found), jobs, strict=True)))


def _plan_variants(found: Sequence[Variant], workers: int | None, chunk: int | None) -> "list[_Planned]":
    planned, problems = [], []
    for each in found:
        try:
            planned.append(_Planned(each.config, workers, chunk))
        except InputError as error:
            problems += [f"{problem} (in the variant {each.label})" for problem in error.problems]
    if problems:
        raise InputError(problems)
    return planned


def _files(config: Config, workers: int, steps: str, data: Mapping[str, Any]) -> dict[str, str]:
    found = environment(__version__, "cpu", workers) | {"steps": steps, "data": data}
    return {"config.yaml": to_yaml(config.resolved()), "environment.json": _json(found)}


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


class _Planned:
    """A config that has been checked, and divided into stacks."""

    def __init__(self, config: Config, workers: int | None, chunk: int | None):
        dataset = make_dataset(config)
        # Before anything is read: a file that changes in between is then found to have changed.
        self.data = identify(dataset.files())
        self.config, self.task = config, build(config, dataset)
        self.step = compiled_step(config, self.task.dataset)
        self.plan = plan(self.task, workers, chunk, is_compiled=isinstance(self.step, CompiledStep))
        self._check_memory()
        self.task.fit(config.seeds)  # what cannot be fitted is found before anything is trained
        self._check_shapes()
        self._warn_of_lone_batch()

    def files(self) -> dict[str, str]:
        """Return the first files of the run folder."""
        columns = {"columns.json": _json(self.task.dataset.columns.as_dict())}
        return _files(self.config, self.plan.workers, str(self.step), self.data) | columns

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


class _RoundsJob:
    """The training of all rounds of a config into one run folder."""

    def __init__(self, planned: _Planned, run: Run):
        self._config, self._task, self._plan, self.run = planned.config, planned.task, planned.plan, run
        self._step = planned.step
        rounds = len(self._config.seeds)
        self.epochs = rounds * self._config.training.epochs
        self.doing = f"{rounds} round{'s' * (rounds > 1)}"
        self.all_diverged = False

    def records(self) -> Generator[EpochRecord, None, None]:
        with Workers() as workers:
            yield from self.train(workers, is_last=True)
        if self.all_diverged:
            raise TrainingError(f"every round diverged; try a smaller learning rate ({self.run.path} has the records)")

    def train(self, workers: Workers, is_last: bool) -> Generator[EpochRecord, None, None]:
        """Do what `records` does, but do not complain of rounds that diverged; the last dismisses the workers."""
        warn_of_inexact_products(self._task.dtype)
        workers.start(self._plan)
        # While the workers start, this process has time to compile; while they train, to import what draws.
        config = self._settled()
        if self._plan.workers > 1:
            Thread(target=import_drawing, daemon=True).start()
        workers.wait()
        started = perf_counter()
        seeds, options = self._config.seeds, self._config.training
        rounds: dict[int, Round] = {}
        try:
            with MetricsLog(self.run.metrics_path, seeds, options.logged_epochs(), self._task.metrics) as log:
                for event in workers.train(config, self._plan, self._task.dataset):
                    if isinstance(event, Round):
                        rounds[event.seed] = event
                        continue
                    if options.is_logged(event.epoch):
                        log.write(event.epoch, event.seeds, event.lr, event.metrics, event.seconds)
                    yield event
            if is_last:
                workers.dismiss()
            ordered = [rounds[seed] for seed in seeds]
            write_results(self.run, self._task, ordered, log, perf_counter() - started)
        except OSError as error:
            raise TrainingError(f"{self.run.path}: cannot be written: {error.strerror or error}") from error
        self.all_diverged = all(each.status == "diverged" for each in ordered)

    def _settled(self) -> Config:
        """Return the config with it settled who takes the steps: one and the same for all rounds."""
        steps = compile_ahead(self._config, self._step)
        if steps == str(self._step):
            return self._config
        warnings.warn(f"the steps could not be compiled; they are those of {steps}", MinidlWarning, stacklevel=2)
        self.run.write_json("environment.json", self.run.environment() | {"steps": steps})
        options = self._config.training.model_copy(update={"compiled": "never"})
        return self._config.model_copy(update={"training": options})


class _VariantsJob:
    """The training of the variants of a config, one after the other, and what compares them."""

    def __init__(self, run: Run, jobs: dict[str, _RoundsJob]):
        self.run, self._jobs = run, jobs
        self.epochs = sum(job.epochs for job in jobs.values())
        self.doing = next(iter(jobs))

    def records(self) -> Generator[EpochRecord, None, None]:
        with Workers() as workers:
            for place, (label, job) in enumerate(self._jobs.items(), start=1):
                self.doing = label
                yield from job.train(workers, is_last=place == len(self._jobs))
        # Drawing takes half a second to import: not before it is needed.
        from .contrast_results import write_variants

        try:
            sides = [Side.of(label, job.run) for label, job in self._jobs.items()]
            write_variants(self.run, sides, contrast(sides))
        except OSError as error:
            raise TrainingError(f"{self.run.path}: cannot be written: {error.strerror or error}") from error
        if all(job.all_diverged for job in self._jobs.values()):
            raise TrainingError(f"every round of every variant diverged ({self.run.path} has the records)")
