"""Training the rounds of a config in chunks, in this process or in several."""

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from traceback import format_exc
from types import TracebackType

from ..config.schema import Config
from ..errors import TrainingError
from ..reference.torch_modules import check_counterparts
from ..reference.torch_trainer import TorchTrainer
from ..training.build import Task, build
from ..training.compiled import make_trainer
from ..training.memory import Memory, estimate, vector_bytes
from ..training.trainer import EpochRecord, Round

Chunk = Sequence[int]
Event = EpochRecord | Round

# What one core keeps close at hand.
CACHE_BYTES = 2**20


@dataclass(frozen=True)
class Plan:
    """Which rounds train together, and how many processes train them.

    Attributes:
        chunks: the seeds of each stack.
        workers: the number of processes; with one, it is this process.
    """

    chunks: Sequence[Chunk]
    workers: int

    def memory(self, task: Task) -> Memory:
        """Estimate what training takes while all workers are at it, PyTorch itself aside."""
        return estimate(task, len(self.chunks[0])) * self.workers


def plan(task: Task, workers: int | None = None, chunk: int | None = None) -> Plan:
    """Divide the rounds of a task's config into chunks, each of which trains as one stack.

    Args:
        task: what they train.
        workers: the number of processes, if there is work for as many; by default the number of cores.
        chunk: the rounds of a stack; by default as many as the cache holds, and a stack or more for each worker.
            PyTorch's modules cannot be stacked: by default each of their rounds is a chunk.

    Raises:
        InputError: PyTorch is to train, and a component has no counterpart there.
    """
    seeds, workers = task.config.seeds, workers or default_workers()
    if task.config.framework == "torch":
        check_counterparts(task.config)
        chunk = chunk or 1
    elif chunk is None:
        stacks = ceil(len(seeds) * vector_bytes(task) / CACHE_BYTES)
        chunk = ceil(len(seeds) / (ceil(stacks / workers) * workers))
    chunks = [seeds[start : start + chunk] for start in range(0, len(seeds), chunk)]
    return Plan(chunks, min(workers, len(chunks)))


class Workers:
    """Processes that train chunks of rounds: started when they are called for, kept until the end.

    As a context manager, it ends them all: in peace when there is nothing left to do, at once after an error.
    """

    def __init__(self) -> None:
        self._processes: list[SpawnProcess] = []
        self._idle: list[Connection] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._idle:
            connection.close()
        for process in self._processes:
            if kind is not None:
                process.terminate()
            process.join()

    def call(self, plan: Plan) -> None:
        """Start as many processes as a plan needs, unless they are there already, and wait until they are ready.

        Raises:
            TrainingError: one died.
        """
        needed = plan.workers if plan.workers > 1 else 0
        new = [self._start() for _ in range(needed - len(self._processes))]
        for connection in new:
            _receive(connection, doing="started")
        self._idle += new

    def train(self, config: Config, plan: Plan) -> Iterator[Event]:
        """Train all rounds, and yield their epoch records as they come, and each round when it is done.

        Raises:
            GraphError: a layer failed.
            TrainingError: a worker died.
        """
        self.call(plan)
        if plan.workers > 1:
            yield from self._train_in_processes(config, plan)
            return
        for chunk in plan.chunks:
            yield from _train_chunk(config, chunk)

    def _train_in_processes(self, config: Config, plan: Plan) -> Iterator[Event]:
        waiting = deque(plan.chunks)
        at_work: dict[Connection, Chunk] = {}

        def give_work() -> None:
            connection, chunk = self._idle.pop(), waiting.popleft()
            try:
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
        self._processes.append(process)
        return connection


def _train_chunk(config: Config, chunk: Chunk) -> Iterator[Event]:
    trainer = TorchTrainer(build(config), chunk) if config.framework == "torch" else make_trainer(config, chunk)
    yield from trainer.epochs()
    yield from trainer.rounds()


def _receive(connection: Connection, doing: str) -> Event | None:
    try:
        event: Event | Exception | None = connection.recv()
    except (EOFError, ConnectionError):
        raise _death(doing) from None
    if isinstance(event, Exception):
        raise event
    return event


def _doing(chunk: Chunk) -> str:
    return f"trained the seeds {', '.join(map(str, chunk))}"


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


def work(connection: Connection) -> None:
    """Be a worker process: train the chunks that come, until the connection ends.

    Args:
        connection: brings configs with chunks, and takes for each its events and then None, or else the exception that
            came. It takes a None at the beginning, too.
    """
    try:
        connection.send(None)
        while True:
            config, chunk = connection.recv()
            try:
                for event in _train_chunk(config, chunk):
                    connection.send(event)
                connection.send(None)
            except Exception as error:
                # The first process raises it again, where what happened here would be lost.
                error.add_note(f"In a worker:\n{format_exc()}")
                connection.send(error)
    except (EOFError, ConnectionError):
        pass  # There is no more work, or the first process is gone.


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
