"""A sweep on a cluster: the legs of all its chunks, until each has come to its end."""

import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

from ...config.schema import Config
from ...data.dataset import Dataset
from ...errors import MinidlWarning, TrainingError
from ...interrupts import GRACE_SECONDS, Interrupted
from ...training.checkpoint import Checkpoint
from ..chunks import Event
from ..engine import POLL_SECONDS, STOP_SECONDS, TRIES, Failure, Saved
from ..plan import Chunk, Plan
from ..timetable import COSTS_BETWEEN, Timetable
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
        timetable: when to hand on another.
        submitted: when its last leg was submitted.
        is_suspect: whether its last leg may have killed workers, and nobody knows: others were at work, too.
        new_workers: on how many workers in a row it came that had no data yet.
    """

    chunk: Chunk
    checkpoint: Checkpoint | None
    leg_seconds: float
    is_kept: bool = True
    timetable: Timetable = field(default_factory=Timetable)
    submitted: float = 0.0
    is_suspect: bool = False
    new_workers: int = 0

    def goes_on_from(self, checkpoint: Checkpoint | None) -> None:
        """Note what a leg has come to, if it has come that far."""
        if checkpoint:
            self.checkpoint, self.is_kept = checkpoint, False


class Relay:
    """The legs of all chunks of a sweep: no more at a time than there are workers.

    A leg whose workers die is suspect, but may be innocent, as Dask blames all tasks of a worker. So it is tried again
    with nothing else at work.

    Args:
        client: the connection to the scheduler.
        config: what to train.
        plan: which rounds train together.
        dataset: the config's.
        saved: returns what a chunk can go on from.
    """

    def __init__(self, client: "Client", config: Config, plan: Plan, dataset: Dataset, saved: Saved):
        self._client, self._config, self._plan, self._dataset, self._saved = client, config, plan, dataset, saved
        self._name = f"minidl-{uuid4().hex}"
        self._waiting: deque[_Course | Chunk] = deque(plan.chunks)
        self._suspects: deque[_Course] = deque()
        self._at_work: dict[Future[Leg], _Course] = {}
        self._done: SimpleQueue[Future[Leg] | None] = SimpleQueue()
        self._arrived: SimpleQueue[tuple[Future[Leg], Leg]] = SimpleQueue()
        self._loss = f"the connection to {client.scheduler_info()['address']} is lost; what was finished is kept"
        self._legs, self._last_news, self._has_warned = 0, monotonic(), False

    def events(self) -> Iterator[Event | Failure]:
        """Train all rounds, as `Engine.train` does."""
        Thread(target=self._fetch, daemon=True).start()
        try:
            self._hand_out_data()
            while self._waiting or self._suspects or self._at_work:
                self._submit_waiting()
                if news := self._news(POLL_SECONDS):
                    yield from self._settle(*news)
                Interrupted.check()
                self._check_connection()
                if monotonic() > self._last_news + SILENCE_SECONDS:
                    self._has_workers()
            self._stop_workers()
        except BaseException as error:
            self._stop_workers()
            if not isinstance(error, GeneratorExit):
                yield from self._last_events()
            raise
        finally:
            self._done.put(None)

    def _hand_out_data(self, *workers: str) -> None:
        """Give some workers the data, or all that there are."""
        with self._asking():
            self._client.run(
                hand_out, self._name, self._dataset.parcel(), workers=list(workers) or None, on_error="ignore"
            )

    def _submit_waiting(self) -> None:
        """Submit a leg for each worker that has none; a suspect's only alone."""
        if self._suspects:
            if not self._at_work and self._has_workers():
                self._submit(self._suspects.popleft())
            return
        while self._waiting and self._has_room() and self._has_workers():
            course = self._waiting.popleft()
            self._submit(course if isinstance(course, _Course) else _Course(course, self._saved(course), SHORTEST_LEG))

    def _has_room(self) -> bool:
        is_trial = any(course.is_suspect for course in self._at_work.values())
        return not is_trial and len(self._at_work) < self._plan.workers

    def _submit(self, course: _Course) -> None:
        self._legs += 1
        course.submitted = monotonic()
        future = self._client.submit(
            train_leg,
            self._config,
            course.chunk,
            course.checkpoint.encode() if course.checkpoint else None,
            self._plan.device,
            course.leg_seconds,
            self._name,
            key=f"{self._name}-{self._legs}",
        )
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
        course.goes_on_from(leg.checkpoint)
        course.is_suspect, course.new_workers = False, 0
        every = self._config.training.checkpoint_every
        if not leg.rounds:
            # So that all that is no training takes about 1% of the time.
            overhead = monotonic() - course.submitted - leg.seconds
            course.leg_seconds = max(min(COSTS_BETWEEN * overhead, every), SHORTEST_LEG)
            self._waiting.appendleft(course)
            self._submit_waiting()  # before anything is done with the records: the worker waits
        yield from leg.records
        if leg.rounds or course.timetable.is_due(every):
            yield from self._keep(course)
        yield from leg.rounds

    def _keep(self, course: _Course) -> Iterator[Event]:
        """Hand on the checkpoint that there is, unless that was done."""
        if course.checkpoint and not course.is_kept:
            began, course.is_kept = monotonic(), True
            yield course.checkpoint
            course.timetable.took(monotonic() - began)

    def _meet_new_worker(self, course: _Course, address: str) -> Iterator[Failure]:
        """Hand out the data to a worker; unless a chunk meets one new worker after the other: those before it died."""
        course.new_workers += 1
        if course.new_workers <= TRIES:
            self._hand_out_data(address)
            (self._suspects if course.is_suspect else self._waiting).appendleft(course)
        else:
            course.new_workers = 0
            yield from self._suspect(course, f"their worker died, {TRIES} times")

    def _suspect(self, course: _Course, reason: str) -> Iterator[Failure]:
        """Try a chunk alone if its leg may have killed workers; it did if nothing was beside it."""
        if course.is_suspect:
            yield Failure(course.chunk, f"{reason}, with nothing else at work")
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
        raise error

    def _has_workers(self) -> bool:
        """Tell whether the cluster has a worker, with a warning if it has had none for long."""
        with self._asking():
            if self._client.nthreads():
                return True
        if monotonic() > self._last_news + SILENCE_SECONDS and not self._has_warned:
            self._has_warned = True
            warnings.warn("no worker is left in the cluster; waiting for one", MinidlWarning, stacklevel=2)
        return False

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
        except (OSError, ValueError):
            self._check_connection()

    def _stop_workers(self) -> None:
        """Ask the workers to stop, without waiting for that: who cannot be reached will come to the end of its leg."""
        if self._client.status == "running":
            # Where the link is cut, the scheduler does not even answer.
            asking = Thread(
                target=self._client.run, args=(stop, self._name), kwargs={"on_error": "ignore"}, daemon=True
            )
            asking.start()
            asking.join(GRACE_SECONDS)

    def _last_events(self) -> Iterator[Event]:
        """Yield what workers have to say before they stop, and the checkpoints that were not handed on before."""
        deadline = monotonic() + STOP_SECONDS
        unkept = [course for course in (*self._suspects, *self._waiting) if isinstance(course, _Course)]
        while self._at_work and (left := deadline - monotonic()) > 0:
            if news := self._news(left):
                course, leg = news
                unkept.append(course)
                course.goes_on_from(leg.checkpoint)
                yield from leg.records
        for course in [*unkept, *self._at_work.values()]:
            yield from self._keep(course)
