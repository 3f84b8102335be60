"""Training the rounds of a config in chunks, in this process or in several."""

import signal
from collections import deque
from collections.abc import Iterator
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType

from ..config.schema import Config
from ..data.dataset import Dataset
from ..errors import TrainingError
from .chunks import Event, train_chunk
from .plan import Chunk, Plan
from .worker import work


class Workers:
    """Processes that train chunks of rounds: kept until the end.

    As a context manager, it ends them all: in peace when there is nothing left to do, at once after an error.
    """

    def __init__(self) -> None:
        self._processes: dict[Connection, SpawnProcess] = {}
        self._starting: list[Connection] = []
        self._idle: list[Connection] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for process in self._processes.values():
                process.terminate()
        self.dismiss()

    def dismiss(self) -> None:
        """End all processes, as there is nothing left to do: they take memory."""
        for connection in self._starting + self._idle:
            connection.close()
        for process in self._processes.values():
            process.join()
        self._processes, self._starting, self._idle = {}, [], []

    def start(self, plan: Plan) -> None:
        """Start as many processes as a plan needs, unless they are there already."""
        needed = plan.workers if plan.workers > 1 else 0
        self._starting += [self._start() for _ in range(needed - len(self._processes))]

    def wait(self) -> None:
        """Wait until all that were started are ready.

        Raises:
            TrainingError: one died.
        """
        for connection in self._starting:
            _receive(connection, doing="started")
        self._idle += self._starting
        self._starting = []

    def train(self, config: Config, plan: Plan, dataset: Dataset) -> Iterator[Event]:
        """Train all rounds, and yield their epoch records as they come, and each round when it is done.

        Args:
            config: what to train.
            plan: which rounds train together.
            dataset: the config's. It is handed to the processes, with what it has read of files.

        Raises:
            GraphError: a layer failed.
            TrainingError: a worker died.
        """
        self.start(plan)
        self.wait()
        if plan.workers > 1:
            yield from self._train_in_processes(config, plan, dataset)
            return
        for chunk in plan.chunks:
            yield from train_chunk(config, chunk, dataset)

    def _train_in_processes(self, config: Config, plan: Plan, dataset: Dataset) -> Iterator[Event]:
        waiting = deque(plan.chunks)
        at_work: dict[Connection, Chunk] = {}
        informed: set[Connection] = set()

        def give_work() -> None:
            connection, chunk = self._idle.pop(), waiting.popleft()
            try:
                if connection not in informed:
                    dataset.hand_over(connection, self._processes[connection].ident or 0)
                    informed.add(connection)
                connection.send((config, chunk))
            except ConnectionError:
                raise _death(_doing(chunk)) from None
            at_work[connection] = chunk

        for _ in range(plan.workers):
            give_work()
        while at_work:
            for ready in wait(list(at_work)):
                assert isinstance(ready, Connection)
                event = _receive(ready, _doing(at_work[ready]))
                if event is not None:
                    yield event
                    continue
                del at_work[ready]
                self._idle.append(ready)
                if waiting:
                    give_work()

    def _start(self) -> Connection:
        process, connection = _start_worker()
        self._processes[connection] = process
        return connection


def _receive(connection: Connection, doing: str) -> Event | None:
    try:
        event: Event | Exception | None = connection.recv()
    except (EOFError, ConnectionError):
        raise _death(doing) from None
    if isinstance(event, Exception):
        raise event
    return event


def _doing(chunk: Chunk) -> str:
    seeds = f"seeds {chunk[0]} to {chunk[-1]}" if len(chunk) > 1 else f"seed {chunk[0]}"
    return f"trained the {seeds}"


def _death(doing: str) -> TrainingError:
    return TrainingError(f"a worker died while it {doing}")


def _start_worker() -> tuple[SpawnProcess, Connection]:
    # Spawned, not forked: a fork copies locks that PyTorch's threads may hold.
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs,), daemon=True)
    # Ctrl-C goes to every process of a terminal, but the first one decides when the workers end. They inherit
    # that it is blocked, from their first moment on. (Starting Python's own helper would unblock it.)
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return process, ours
