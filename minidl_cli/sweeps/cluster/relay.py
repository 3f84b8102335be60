"""A sweep on a cluster: the legs of all its chunks, until each has come to its end."""

import warnings
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

from ...errors import InputError, MinidlWarning, TrainingError
from ...interrupts import GRACE_SECONDS, Interrupted
from ...training.checkpoint import Checkpoint
from ...training.compiled import CompiledStep
from ...training.trainer import EpochRecord
from ...training.trainers import Trainers
from ..chunks import Event
from ..engine import POLL_SECONDS, STOP_SECONDS, TRIES, Failure, Saved
from ..plan import Chunk, Plan
from ..timetable import COSTS_BETWEEN, Timetable
from .connection import ask_workers
from .legs import Leg, hand_out, stop, train_leg

if TYPE_CHECKING:
    from distributed import Client, Future

# The shortest leg: there is no news in between.
SHORTEST_LEG = 1.0
# After how long without any news to say that no worker is left.
SILENCE_SECONDS = 10.0


@dataclass
class _Course:
    """How far a chunk has come.

    Attributes:
        chunk: its seeds.
        checkpoint: what to go on from; None to start.
        leg_seconds: how long its next leg is to take.
        is_kept: whether the checkpoint was handed on.
        records: the records before it that were not handed on yet.
        timetable: when to hand on another checkpoint.
        submitted: when its last leg was submitted.
        is_suspect: whether its last leg may have killed workers, and nobody knows: others were at work, too.
        suspicions: how often that was so.
        deserted: how often in a row it came to a worker without data, while another was gone.
    """

    chunk: Chunk
    checkpoint: Checkpoint | None
    leg_seconds: float
    is_kept: bool = True
    records: deque[EpochRecord] = field(default_factory=deque)
    timetable: Timetable = field(default_factory=Timetable)
    submitted: float = 0.0
    is_suspect: bool = False
    suspicions: int = 0
    deserted: int = 0

    @property
    def seconds(self) -> float:
        """How long it was trained."""
        return self.checkpoint.seconds if self.checkpoint else 0.0

    def add(self, leg: Leg) -> None:
        """Note what a leg has come to, if it has come that far."""
        if leg.checkpoint:
            self.checkpoint, self.is_kept = leg.checkpoint, False
            self.records.extend(leg.records)


class Relay:
    """The legs of all chunks of a sweep: no more at a time than there are workers.

    A leg whose workers die is suspect, but may be innocent, as Dask blames all tasks of a worker. So it is tried again
    with nothing else at work.

    Args:
        client: the connection to the scheduler.
        trainers: what makes the trainers of its stacks.
        plan: which rounds train together.
        saved: returns what a chunk can go on from.
        checked: the addresses of workers that are known to be fit.
        most: how many legs there may be at a time; None for as many as there are workers.
    """

    def __init__(
        self,
        client: "Client",
        trainers: Trainers,
        plan: Plan,
        saved: Saved,
        checked: Iterable[str],
        most: int | None = None,
    ):
        self._client, self._trainers, self._saved = client, trainers, saved
        self._name, self._most = f"minidl-{uuid4().hex}", most
        self._chunks, self._courses = deque(plan.chunks), list[_Course]()
        self._waiting, self._suspects = deque[_Course](), deque[_Course]()
        self._at_work: dict[Future[Leg], _Course] = {}
        self._equipped, self._checked = set[str](), set(checked)
        self._done: SimpleQueue[Future[Leg] | None] = SimpleQueue()
        self._arrived: SimpleQueue[tuple[Future[Leg], Leg]] = SimpleQueue()
        self._loss = f"the connection to {client.scheduler_info()['address']} is lost; what was finished is kept"
        self._legs, self._last_news, self._has_warned = 0, monotonic(), False

    def events(self) -> Iterator[Event | Failure]:
        """Train all rounds, as `Engine.train` does."""
        Thread(target=self._fetch, daemon=True).start()
        try:
            self._equip_workers()
            while self._chunks or self._waiting or self._suspects or self._at_work:
                self._submit_waiting()
                if news := self._news(POLL_SECONDS):
                    yield from self._settle(*news)
                Interrupted.check()
                self._check_connection()
                if monotonic() > self._last_news + SILENCE_SECONDS:
                    self._workers()
            self._stop_workers()
        except BaseException as error:
            self._stop_workers()
            if not isinstance(error, GeneratorExit):
                yield from self._last_events()
            raise
        finally:
            self._done.put(None)

    def _equip_workers(self, *lacking: str) -> bool:
        """Give the data to workers that lack them and all that are new, and return whether others are gone.

        Raises:
            TrainingError: a worker that has come meanwhile is not fit, or one cannot take the data.
        """
        there = set(self._workers())
        are_gone = bool(self._equipped - there)
        if unchecked := there - self._checked:
            self._checked |= self._fit(unchecked)
        there &= self._checked
        with self._asking():
            without, trainers = there - self._equipped | there & set(lacking), self._trainers
            what = self._name, trainers.config, trainers.device, trainers.dataset.parcel()
            answers = self._client.run(hand_out, *what, workers=list(without), on_error="return")
            for address, error in answers.items():
                # Whoever is gone will be noticed. Others would be asked for ever.
                if isinstance(error, Exception) and not isinstance(error, OSError):
                    problem = f"cannot take the data: {type(error).__name__}: {error}"
                    raise TrainingError(f"worker {address}: {problem}") from error
        self._equipped = there
        return are_gone

    def _fit(self, workers: Collection[str]) -> set[str]:
        """Return those of some workers that answer, all of which can do what the others do.

        Raises:
            TrainingError: one cannot, or has other versions.
        """
        try:
            with Interrupted.long_work():
                found = ask_workers(self._client, self._trainers.device, workers)
        except InputError as error:
            self._check_connection()
            raise TrainingError(error.problems) from error
        for address, each in found.items():
            if each.compiler is None and isinstance(self._trainers.step, CompiledStep):
                raise TrainingError(f"worker {address}: has no C compiler, as the others have")
            if self._trainers.device != "cpu" and not each.gpu:
                raise TrainingError(f"worker {address}: has no device {self._trainers.device}, as the others have")
        return set(found)

    def _submit_waiting(self) -> None:
        """Submit a leg for each worker that has none; a suspect's only alone."""
        if any(course.is_suspect for course in self._at_work.values()):
            return
        if self._suspects:
            if not self._at_work and self._workers():
                self._submit(self._suspects.popleft())
        elif self._waiting or self._chunks:
            workers = len(self._workers())
            room = min(workers, self._most or workers) - len(self._at_work)
            for _ in range(min(room, len(self._waiting) + len(self._chunks))):
                self._submit(self._waiting.popleft() if self._waiting else self._begin(self._chunks.popleft()))

    def _begin(self, chunk: Chunk) -> _Course:
        course = _Course(chunk, self._saved(chunk), SHORTEST_LEG)
        self._courses.append(course)
        return course

    def _submit(self, course: _Course) -> None:
        self._legs += 1
        course.submitted = monotonic()
        try:
            future = self._client.submit(
                train_leg,
                self._name,
                course.chunk,
                course.checkpoint.encode() if course.checkpoint else None,
                course.leg_seconds,
                key=f"{self._name}-{self._legs}",
            )
        except Exception as error:
            raise TrainingError(self._loss) from error
        self._at_work[future] = course
        future.add_done_callback(self._done.put)

    def _fetch(self) -> None:
        """Bring in what comes of legs, in a thread of its own: while much arrives, a signal should be noticed."""
        while (future := self._done.get()) is not None:
            try:
                self._arrived.put((future, future.result()))
            except Exception as error:
                self._arrived.put((future, Leg(error=error)))

    def _news(self, seconds: float) -> tuple[_Course, Leg] | None:
        """Return what came of a leg; None if nothing comes for so many seconds."""
        try:
            future, leg = self._arrived.get(timeout=seconds)
        except Empty:
            return None
        self._last_news, self._has_warned = monotonic(), False
        return self._at_work.pop(future), leg

    def _settle(self, course: _Course, leg: Leg) -> Iterator[Event | Failure]:
        """Yield what came of a leg, and see to the next."""
        if leg.error:
            yield from self._suspect(course, self._reason(leg.error))
            return
        if leg.without_data:
            yield from self._meet_new_worker(course, leg.without_data)
            return
        before, every = course.seconds, self._trainers.config.training.checkpoint_every
        course.add(leg)
        course.is_suspect, course.deserted = False, 0
        if not leg.rounds:
            # So that all that is no training takes about 1% of the time.
            overhead = monotonic() - course.submitted - (course.seconds - before)
            course.leg_seconds = max(min(COSTS_BETWEEN * overhead, every), SHORTEST_LEG)
            self._waiting.appendleft(course)
            self._submit_waiting()  # before anything is done with the records: the worker waits
        while course.records:
            yield course.records.popleft()
            Interrupted.check()
        if leg.rounds or course.timetable.is_due(every):
            yield from self._keep(course)
        yield from leg.rounds
        if leg.rounds:
            self._courses.remove(course)

    def _keep(self, course: _Course) -> Iterator[Event]:
        """Hand on the checkpoint that there is, unless that was done."""
        if course.checkpoint and not course.is_kept:
            began, course.is_kept = monotonic(), True
            yield course.checkpoint
            course.timetable.took(monotonic() - began)

    def _meet_new_worker(self, course: _Course, address: str) -> Iterator[Failure]:
        """Give the data to new workers; unless they come in the place of workers that die of a chunk."""
        course.deserted += self._equip_workers(address)
        if course.deserted < TRIES:
            (self._suspects if course.is_suspect else self._waiting).appendleft(course)
        else:
            course.deserted = 0
            yield from self._suspect(course, f"their worker died, {TRIES} times")

    def _suspect(self, course: _Course, reason: str) -> Iterator[Failure]:
        """Try a chunk alone if its leg may have killed workers; it did if nothing was beside it, or time and again."""
        course.suspicions += 1
        if course.is_suspect:
            yield Failure(course.chunk, f"{reason}, with nothing else at work")
        elif course.suspicions > TRIES:
            yield Failure(course.chunk, f"{reason}, and again each time after it was tried alone")
        else:
            course.is_suspect, course.leg_seconds = True, SHORTEST_LEG
            self._suspects.append(course)

    def _reason(self, error: Exception) -> str:
        """Return why a leg that may have killed workers has failed.

        Raises:
            TrainingError: the connection to the scheduler was lost.
            Exception: it is another error.
        """
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            # Dask has tried it on others before, as often as its scheduler was told.
            _, last_worker, retries = error.args
            return f"their worker died, {retries + 1} times (at last {last_worker.address})"
        if isinstance(error, MemoryError):
            return "their worker ran out of memory"
        if isinstance(error, CancelledError):
            self._check_connection()
            return "their worker was lost"
        # What a leg itself may raise is no OSError.
        raise TrainingError(self._loss) if isinstance(error, OSError) else error

    def _workers(self) -> list[str]:
        """Return the addresses of all workers, with a warning if there was none for long."""
        with self._asking():
            if found := list(self._client.nthreads()):
                return found
        if monotonic() > self._last_news + SILENCE_SECONDS and not self._has_warned:
            self._has_warned = True
            warnings.warn("no worker is left in the cluster; waiting for one", MinidlWarning, stacklevel=2)
        return []

    def _check_connection(self) -> None:
        """Make sure that the scheduler is there.

        Raises:
            TrainingError: it is lost.
        """
        if self._client.status != "running":
            raise TrainingError(self._loss)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Leave the context if something goes wrong: what is lost will be noticed. Silence can be interrupted."""
        try:
            with Interrupted.long_work():
                yield
        except (OSError, ValueError, RuntimeError):
            self._check_connection()

    def _stop_workers(self) -> None:
        """Ask the workers to stop, without waiting for that: who cannot be reached will come to the end of its leg."""
        if self._client.status == "running":
            # Where the link is cut, the scheduler does not even answer.
            asking = Thread(target=self._ask_to_stop, daemon=True)
            asking.start()
            asking.join(GRACE_SECONDS)

    def _ask_to_stop(self) -> None:
        with suppress(Exception):  # there may be nobody to ask any more
            self._client.run(stop, self._name, on_error="ignore")

    def _last_events(self) -> Iterator[Event]:
        """Yield what workers have to say before they stop, and all that was not handed on before."""
        deadline = monotonic() + STOP_SECONDS
        while self._at_work and (left := deadline - monotonic()) > 0:
            if news := self._news(left):
                course, leg = news
                course.add(leg)
        for course in self._courses:
            yield from course.records
            yield from self._keep(course)
