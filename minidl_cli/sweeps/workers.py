"""Training the rounds of a config in chunks, in this process or in several."""

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from math import ceil
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from ..config.schema import Config
from ..errors import TrainingError
from ..training.build import Task, build
from ..training.memory import vector_bytes
from ..training.threads import single_thread
from ..training.trainer import EpochRecord, Round, Trainer

Chunk = Sequence[int]
Event = EpochRecord | Round

# What one core keeps close at hand. A stack whose vectors are larger waits for memory at every step.
CACHE_BYTES = 2**20


def plan(task: Task, seeds: Sequence[int], workers: int, size: int | None = None) -> list[Chunk]:
    """Divide rounds into chunks, each of which trains as one stack.

    Args:
        task: what they train.
        seeds: the rounds.
        workers: the number of processes.
        size: the rounds of a chunk; by default as many as the cache holds, and a chunk or more for each worker.
    """
    if size is None:
        stacks = ceil(len(seeds) * vector_bytes(task) / CACHE_BYTES)
        size = ceil(len(seeds) / (ceil(stacks / workers) * workers))
    return [seeds[start : start + size] for start in range(0, len(seeds), size)]


def train_chunks(config: Config, chunks: Sequence[Chunk], workers: int) -> Iterator[Event]:
    """Train chunks of rounds, and yield their epoch records as they come, and each round when it is done.

    Args:
        config: what to train.
        chunks: the seeds of each stack.
        workers: the number of processes; with one, it is this process.

    Raises:
        TrainingError: a worker died.
    """
    workers = min(workers, len(chunks))
    if workers > 1:
        yield from _train_in_processes(config, chunks, workers)
        return
    with single_thread():
        for chunk in chunks:
            yield from _train_chunk(config, chunk)


def _train_chunk(config: Config, chunk: Chunk) -> Iterator[Event]:
    trainer = Trainer(build(config), chunk)
    yield from trainer.epochs()
    yield from trainer.rounds()


def _train_in_processes(config: Config, chunks: Sequence[Chunk], workers: int) -> Iterator[Event]:
    waiting = deque(chunks)
    at_work: dict[Connection, Chunk] = {}
    processes = []
    try:
        for _ in range(workers):
            process, connection = _start_worker(config)
            processes.append(process)
            at_work[connection] = waiting.popleft()
            connection.send(at_work[connection])
        while at_work:
            for ready in wait(list(at_work)):
                assert isinstance(ready, Connection)
                try:
                    event: Event | None = ready.recv()
                except (EOFError, ConnectionError):
                    seeds = ", ".join(map(str, at_work[ready]))
                    raise TrainingError(f"a worker died while it trained the seeds {seeds}") from None
                if event is not None:
                    yield event
                elif waiting:
                    at_work[ready] = waiting.popleft()
                    ready.send(at_work[ready])
                else:
                    del at_work[ready]
                    ready.close()
    finally:
        for process in processes:
            if at_work:
                process.terminate()
            process.join()


def _start_worker(config: Config) -> tuple[SpawnProcess, Connection]:
    # Spawned, not forked: a fork copies locks that PyTorch's threads may hold.
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(config, theirs), daemon=True)
    # Ctrl-C goes to every process of a terminal, but the first one decides when the workers end. They inherit
    # that it is blocked, from their first moment on.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return process, ours


def _work(config: Config, connection: Connection) -> None:
    """A worker process: trains the chunks that it is sent, each followed by None, until the connection ends."""
    try:
        with single_thread():
            while True:
                for event in _train_chunk(config, connection.recv()):
                    connection.send(event)
                connection.send(None)
    except (EOFError, ConnectionError):
        pass  # There is no more work, or the first process is gone.


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
