"""The training of a config, or of its variants, into run folders."""

import warnings
from collections.abc import Generator, Iterable
from threading import Thread
from time import perf_counter
from typing import Protocol

import numpy as np

from ..errors import MinidlWarning, TrainingError
from ..interrupts import Interrupted
from ..runs.folder import Run
from ..runs.lock import Lock
from ..runs.metrics import MetricsLog
from ..training.checkpoint import Checkpoint
from ..training.compiled import CompiledStep
from ..training.exactness import warn_of_inexact_products
from ..training.round import Round
from ..training.trainer import EpochRecord
from ..training.trainers import Trainers
from .checkpoints import Checkpoints
from .contrast import Side, contrast
from .engine import Engine, Failure
from .planned import Planned
from .results import import_drawing, write_results


class Job(Protocol):
    """Training that has its run folder already, and happens while `records` is iterated.

    Attributes:
        run: the run folder.
        epochs: how many epochs there are to train, those of all rounds added up.
        done: how many of them were trained before.
        doing: what is being trained, in a few words.
        is_done: whether the run had finished before, so that there is nothing to do.
    """

    run: Run
    epochs: int
    done: int
    doing: str
    is_done: bool

    def records(self) -> Generator[EpochRecord, None, None]:
        """Train, yield the record of every epoch of every stack, and write the results into the run folder.

        Raises:
            InputError: another process trains the run.
            TrainingError: no round finished (the folder is complete all the same), workers cannot be started, or the
                folder can no longer be written.
            Interrupted: a signal came; the folder has what is needed to go on.
        """


class RoundsJob:
    """The training of all rounds of a config into one run folder.

    Args:
        planned: what to train.
        run: the run folder.
        engine: what trains it. It ends with the job, unless others need it.
        lock: its lock, if this process holds it already.
        is_done: whether the run had finished before, so that there is nothing to do.

    Attributes:
        none_finished: whether all rounds diverged or failed; known at the end.
    """

    def __init__(self, planned: Planned, run: Run, engine: Engine, lock: Lock | None = None, *, is_done: bool = False):
        self.planned, self.run, self._engine, self._lock, self.is_done = planned, run, engine, lock, is_done
        config = planned.config
        rounds = len(config.seeds)
        self.epochs = rounds * config.training.epochs
        self.done = sum(each.done(config.training.epochs) for each in planned.begun)
        self.doing = f"{rounds} round{'s' * (rounds > 1)}"
        self.none_finished = False

    def records(self) -> Generator[EpochRecord, None, None]:
        """Do what `Job.records` says."""
        with self._engine:
            yield from self.train(is_last=True)
        if self.none_finished:
            raise _failure(self.run, "every round diverged; try a smaller learning rate", [self])

    def train(self, is_last: bool) -> Generator[EpochRecord, None, None]:
        """Do what `records` does, but do not complain where no round finished; the last dismisses the workers."""
        with self._lock or Lock(self.run.path):
            if not self.is_done:
                yield from self._train(is_last)
        self.none_finished = all(status != "finished" for _, status in self.run.rounds())

    def _train(self, is_last: bool) -> Generator[EpochRecord, None, None]:
        planned, run, engine = self.planned, self.run, self._engine
        task, options = planned.task, planned.config.training
        warn_of_inexact_products(task.dtype)
        engine.start(planned.plan)
        # While the workers start, this process has time to compile; while they train, to import what draws.
        trainers = self._settled()
        if planned.plan.workers > 1:
            Thread(target=import_drawing, daemon=True).start()
        engine.wait()
        started = perf_counter() - sum(each.seconds for each in planned.begun) / planned.plan.workers
        rounds, failures = dict[int, Round](), list[Failure]()
        try:
            with Interrupted.deferred(), self._log() as log:
                checkpoints = self._checkpoints(log)
                shown = dict[int, int]()  # the last epoch of each round: those of a worker that dies come again
                for event in engine.train(trainers, planned.plan, checkpoints.read):
                    match event:
                        case EpochRecord():
                            if options.is_logged(event.epoch):
                                log.write(event.epoch, event.seeds, event.lr, event.metrics, event.seconds)
                            if event.epoch > shown.get(event.seeds[0], 0):
                                shown |= dict.fromkeys(event.seeds, event.epoch)
                                yield event
                        case Checkpoint():
                            # What a checkpoint goes on from has to be in the log for good.
                            log.sync()
                            checkpoints.write(event)
                        case Round():
                            rounds[event.seed] = event
                        case Failure():
                            failures.append(event)
            seconds = perf_counter() - started
            if is_last:
                engine.dismiss()
            rounds |= {seed: self._failed(seed) for failure in failures for seed in failure.seeds}
            ordered = [rounds[seed] for seed in planned.config.seeds]
            write_results(run, task, ordered, log, seconds, failures)
        except OSError as error:
            raise TrainingError(f"{run.path}: cannot be written: {error.strerror or error}") from error

    def _log(self) -> MetricsLog:
        """Return the log of epochs, with what it has of those that something goes on from."""
        config, begun = self.planned.config, self.planned.begun
        reached = {seed: last for each in begun for seed, last in each.last_epochs.items()}
        epochs = config.training.logged_epochs()
        return MetricsLog(self.run.metrics_path, config.seeds, epochs, self.planned.task.metrics, reached)

    def _checkpoints(self, log: MetricsLog) -> Checkpoints:
        """Return the checkpoints, of rounds whose rows are all there: only rounds that start over get them all."""
        checkpoints = self.planned.checkpoints or Checkpoints(self.run, self.planned.task)
        checkpoints.drop_unusable()
        for begun in self.planned.begun:
            if not all(log.has(seed, last) for seed, last in begun.last_epochs.items()):
                checkpoints.drop(begun, f"{self.run.metrics_path.name} lacks epochs before it")
        return checkpoints

    def _failed(self, seed: int) -> Round:
        """Return a round that failed."""
        task = self.planned.task
        dtype = np.dtype(self.planned.config.training.dtype)
        weights = {name: np.full(shape, np.nan, dtype) for name, shape in task.network.state_shapes().items()}
        best = weights if "validation" in task.sizes else None
        return Round(seed, "failed", epochs=0, weights=weights, best=best)

    def _settled(self) -> Trainers:
        """Return what makes the trainers, with it settled who takes the steps: one and the same for all rounds."""
        trainers = self.planned.trainers
        lack = self._engine.lack_of_compilers() if isinstance(trainers.step, CompiledStep) else None
        settled = trainers.settled(lack)
        if settled.step is not trainers.step:
            steps = str(settled.step)
            warnings.warn(f"the steps could not be compiled; they are those of {steps}", MinidlWarning, stacklevel=2)
            self.run.write_json("environment.json", self.run.environment() | {"steps": steps})
        return settled


class VariantsJob:
    """The training of the variants of a config, one after the other, and what compares them.

    Args:
        run: the run folder.
        jobs: the training of each variant, by its label.
        engine: what trains them. It ends with the job.
        lock: the run's lock, if this process holds it already.
        is_done: whether the run had finished before, so that there is nothing to do.
    """

    def __init__(
        self, run: Run, jobs: dict[str, RoundsJob], engine: Engine, lock: Lock | None = None, *, is_done: bool = False
    ):
        self.run, self._jobs, self._engine, self._lock, self.is_done = run, jobs, engine, lock, is_done
        self.epochs = sum(job.epochs for job in jobs.values())
        self.done = sum(job.done for job in jobs.values())
        self.doing = next(iter(jobs))

    def records(self) -> Generator[EpochRecord, None, None]:
        """Do what `Job.records` says."""
        with self._lock or Lock(self.run.path):
            yield from self._train()
        if all(job.none_finished for job in self._jobs.values()):
            raise _failure(self.run, "every round of every variant diverged", self._jobs.values())

    def _train(self) -> Generator[EpochRecord, None, None]:
        with self._engine:
            for place, (label, job) in enumerate(self._jobs.items(), start=1):
                self.doing = label
                yield from job.train(is_last=place == len(self._jobs))
        if self.is_done:
            return
        # Drawing takes half a second to import: not before it is needed.
        with Interrupted.deferred():
            from .contrast_results import write_variants

        try:
            sides = [Side.of(label, job.run) for label, job in self._jobs.items()]
            write_variants(self.run, sides, contrast(sides))
        except OSError as error:
            raise TrainingError(f"{self.run.path}: cannot be written: {error.strerror or error}") from error


def _failure(run: Run, divergence: str, jobs: Iterable[RoundsJob]) -> TrainingError:
    """Return the error of a run without a round that finished."""
    statuses = {status for job in jobs for _, status in job.run.rounds()}
    problem = divergence if statuses == {"diverged"} else "no round finished"
    return TrainingError(f"{problem} ({run.path} has the records)")
