"""Training the rounds of a config in chunks, in this process or in several."""

import signal
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from errno import ENOMEM
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import wait
from time import monotonic
from types import TracebackType
from typing import Any, Self

from ..errors import TrainingError
from ..interrupts import Interrupted
from ..training.checkpoint import Checkpoint
from ..training.device import has_cuda
from ..training.trainers import Trainers
from .chunks import Event, train_chunk
from .engine import POLL_SECONDS, STOP_SECONDS, TRIES, Failure, Saved
from .plan import Capacity, Chunk, Plan, capacity_here
from .timetable import Timetable
from .worker import work


class Workers:
    """Processes of this machine, or this process, as an engine: see `Engine`.

    One that dies is replaced, and its chunk is tried again, `TRIES` times in all. So many may also die in a row while
    they start.
    """

    def __init__(self) -> None:
        self._workers: list[_Worker] = []
        self._failed_starts = 0
        self._timetable = Timetable()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for worker in self._workers:
                worker.process.kill()
        self.dismiss()

    def has_cuda(self, workers: int | None) -> bool:
        """Do what `Engine.has_cuda` says: they are all on this machine."""
        return has_cuda()

    def capacity(self, workers: int | None, device: str) -> Capacity:
        """Do what `Engine.capacity` says: the workers are as many as asked for, or as pay."""
        return capacity_here(workers, device)

    def describe(self) -> Mapping[str, Any]:
        """Do what `Engine.describe` says."""
        return {}

    def lack_of_compilers(self) -> str | None:
        """Do what `Engine.lack_of_compilers` says: the compiler is the same."""
        return None

    def dismiss(self) -> None:
        """End all processes, as there is nothing left to do: they take memory."""
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.process.join()
        self._workers = []

    def start(self, plan: Plan) -> None:
        """Do what `Engine.start` says."""
        self._start_until(plan.workers if plan.workers > 1 else 0)

    def wait(self) -> None:
        """Do what `Engine.wait` says."""
        while starting := self._busy():
            for worker in _ready(starting):
                try:
                    worker.receive()
                except EOFError:
                    self._replace(worker, len(self._workers))

    def train(self, trainers: Trainers, plan: Plan, saved: Saved) -> Iterator[Event | Failure]:
        """Do what `Engine.train` says. The workers are lost where they die again and again while they start."""
        if plan.workers > 1:
            self.start(plan)
            try:
                yield from self._train_in_processes(trainers, plan, saved)
            except (Interrupted, KeyboardInterrupt):
                yield from self._stop()
                raise
        else:
            for chunk in plan.chunks:
                yield from train_chunk(trainers, chunk, self._timetable, saved(chunk))

    def _train_in_processes(self, trainers: Trainers, plan: Plan, saved: Saved) -> Iterator[Event | Failure]:
        waiting, deaths = deque(plan.chunks), Counter[int]()
        while waiting or self._busy():
            for worker in list(self._workers):
                if worker.is_busy or not waiting:
                    continue
                if not worker.process.is_alive():  # it died while it had nothing to do
                    self._replace(worker, len(self._workers))
                else:
                    chunk = waiting.popleft()
                    worker.give(trainers, chunk, saved(chunk))
            for worker in _ready(self._busy()):
                try:
                    events = worker.receive()
                except EOFError:
                    if lost := worker.chunk:
                        deaths[lost[0]] += 1
                        if deaths[lost[0]] < TRIES:
                            waiting.appendleft(lost)
                        else:
                            yield Failure(lost, f"their worker {worker.cause_of_death()}, {deaths[lost[0]]} times")
                    self._replace(worker, min(plan.workers, len(self._busy()) - 1 + len(waiting)))
                else:
                    yield from events

    def _busy(self) -> "list[_Worker]":
        return [worker for worker in self._workers if worker.is_busy]

    def _start_until(self, needed: int) -> None:
        try:
            self._workers += [_Worker() for _ in range(needed - len(self._workers))]
        except OSError as error:
            raise TrainingError(f"workers cannot be started: {error.strerror or error}") from error

    def _replace(self, dead: "_Worker", needed: int) -> None:
        """Drop a worker that died, and start others until there are as many as are needed.

        Raises:
            TrainingError: too many in a row died while they started.
        """
        self._workers.remove(dead)
        self._failed_starts = 0 if dead.has_started else self._failed_starts + 1
        if self._failed_starts == TRIES:
            cause = dead.cause_of_death()
            raise TrainingError(f"{TRIES} workers in a row died while they started; the last one {cause}")
        self._start_until(needed)

    def _stop(self) -> Iterator[Event]:
        """Ask all workers to stop, and yield what they have to say until they have."""
        for worker in self._workers:
            worker.process.terminate()
        at_work, deadline = self._busy(), monotonic() + STOP_SECONDS
        while at_work and (left := deadline - monotonic()) > 0:
            for worker in _ready(at_work, left):
                try:
                    events = worker.receive()
                except Exception:  # it is gone, or failed at the last moment, which no longer matters
                    at_work.remove(worker)
                else:
                    yield from events


class _Worker:
    """A process that trains chunks, as the first process sees it.

    Attributes:
        process: the process.
        connection: the way to it.
        chunk: what it is training.
        is_busy: whether there is something to come from it: it trains, or starts.
        has_started: whether it ever came as far as to train.
    """

    def __init__(self) -> None:
        # Spawned, not forked: a fork copies locks that PyTorch's threads may hold.
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs,), daemon=True)
        self.chunk: Chunk | None = None
        self.is_busy, self.has_started = True, False
        self._trainers: Trainers | None = None
        # Ctrl-C, and the end of a terminal, go to every process of the terminal, but the first one decides when the
        # workers end. They inherit that these are blocked, from their first moment on. (Starting Python's own helper
        # would unblock them.)
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP])
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    def give(self, trainers: Trainers, chunk: Chunk, saved: Checkpoint | None) -> None:
        """Give it a chunk to train."""
        self.chunk, self.is_busy = chunk, True
        # Of one that is dead, the next `receive` tells.
        with suppress(ConnectionError):
            if self._trainers is not trainers:
                trainers.dataset.hand_over(self.connection, self.process.ident or 0)
                self.connection.send((trainers.config, trainers.device))
                self._trainers = trainers
            self.connection.send((chunk, saved))

    def receive(self) -> list[Event]:
        """Return what comes next from it; nothing if it is ready for more.

        Raises:
            EOFError: it died.
            Exception: whatever it raised.
        """
        try:
            events: list[Event] | Exception | None = self.connection.recv()
        except OSError as error:  # in the middle of a message
            raise EOFError from error
        except (TypeError, AttributeError, ImportError) as error:
            raise TrainingError(f"a worker failed, with an error that cannot be told here: {error}") from error
        if isinstance(events, Exception):
            raise events
        if events is None:
            self.chunk, self.is_busy, self.has_started = None, False, True
        return events or []

    def cause_of_death(self) -> str:
        """Return what it died of, in words that follow its name."""
        self.connection.close()
        self.process.join()
        code = self.process.exitcode or 0
        if code == ENOMEM:
            return "ran out of memory"
        if code < 0:
            named = -code in [each.value for each in signal.Signals]
            return f"was killed by {signal.Signals(-code).name if named else f'signal {-code}'}"
        return f"ended with exit code {code}"


def _ready(workers: Sequence[_Worker], seconds: float | None = None) -> list[_Worker]:
    """Return those of some workers from whom something has come, once there are any, or so many seconds have passed.

    Raises:
        Interrupted: there was no time given, and a signal came.
    """
    connections = [worker.connection for worker in workers]
    if seconds is None:
        while not (found := wait(connections, POLL_SECONDS)):
            Interrupted.check()
        Interrupted.check()
    else:
        found = wait(connections, seconds)
    return [worker for worker in workers if worker.connection in found]
