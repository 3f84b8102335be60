"""Which rounds train together, and how many processes train them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from ..reference.torch_modules import check_counterparts
from ..training.build import Task
from ..training.memory import Memory, estimate, physical_memory, vector_bytes

Chunk = Sequence[int]

# The largest stack: for PyTorch's operations what one core keeps close at hand, as each of them goes through the whole
# stack. Compiled steps take one round after the other, so that only the number of epoch records speaks for a bound.
STACK_BYTES, COMPILED_STACK_BYTES = 2**20, 2**26
# What a worker takes to start, importing PyTorch mostly; and how fast rounds train, at best, on one core. Measured on
# a machine of 2026; only their order of magnitude matters.
START_SECONDS = 1.5
OPERATIONS_PER_SECOND = 60e9
STEP_SECONDS = {"minidl": 1e-6, "torch": 180e-6}


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

    Neither changes any number that comes out.

    Args:
        task: what they train.
        workers: the number of processes, if there is work for as many; by default the number of cores, or one, if
            the training is shorter than the start of a worker.
        chunk: the rounds of a stack; by default as many as are fast together and memory allows, and a stack or more
            for each worker. PyTorch's modules cannot be stacked: by default each of their rounds is a chunk.

    Raises:
        InputError: PyTorch is to train, and a component has no counterpart there.
    """
    seeds, workers = task.config.seeds, workers or _worthwhile_workers(task)
    if task.config.framework == "torch":
        check_counterparts(task.config)
        chunk = chunk or 1
    elif chunk is None:
        largest = STACK_BYTES if task.config.training.compiled == "never" else COMPILED_STACK_BYTES
        stacks = ceil(len(seeds) * vector_bytes(task) / largest)
        chunk = ceil(len(seeds) / (ceil(stacks / workers) * workers))
        while chunk > 1 and estimate(task, chunk).total * workers > physical_memory() / 2:
            chunk = ceil(chunk / 2)
    chunks = [seeds[start : start + chunk] for start in range(0, len(seeds), chunk)]
    return Plan(chunks, min(workers, len(chunks)))


def _worthwhile_workers(task: Task) -> int:
    cores = default_workers()
    saved = expected_seconds(task) * (1 - 1 / cores)
    return cores if saved > START_SECONDS else 1


def expected_seconds(task: Task) -> float:
    """Estimate how long one core trains all rounds of a task's config, at best: by its floating-point operations.

    For each parameter there are about two for each sample of an evaluation, and six for one of training.
    """
    sizes, options = dict(task.sizes), task.config.training
    train, epochs = sizes.pop("train"), len(task.config.seeds) * options.epochs
    operations = task.network.parameter_count() * (6 * train + 2 * sum(sizes.values()))
    return epochs * (operations / OPERATIONS_PER_SECOND + options.steps(train) * STEP_SECONDS[task.config.framework])


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
