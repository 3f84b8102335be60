"""Which rounds train together, and how many processes train them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from ..reference.torch_modules import check_counterparts
from ..runs.environment import physical_memory
from ..training.build import Task
from ..training.memory import Memory, estimate, vector_bytes

Chunk = Sequence[int]

# The largest stack: for PyTorch's operations what one core keeps close at hand, as each of them goes through the whole
# stack. Compiled steps take one round after the other, so that only the number of epoch records speaks for a bound.
STACK_BYTES, COMPILED_STACK_BYTES = 2**20, 2**26
# What a worker takes to start, importing PyTorch mostly; and how fast rounds train on one core. Measured on a machine
# of 2026; only their order of magnitude matters.
START_SECONDS = 1.5
# By who takes the steps: what one takes of each round, and floating-point operations for each second.
COMPILED, OPERATIONS, MODULES = (1e-6, 60e9), (10e-6, 20e9), (180e-6, 30e9)


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
        return estimate(task, max(map(len, self.chunks))) * self.workers


def plan(
    task: Task,
    workers: int | None = None,
    chunk: int | None = None,
    *,
    is_compiled: bool = False,
    begun: Sequence[Chunk] = (),
) -> Plan:
    """Divide the rounds of a task's config into chunks, each of which trains as one stack.

    Neither changes any number that comes out.

    Args:
        task: what they train.
        workers: the number of processes, if there is work for as many; by default the number of cores, or one, if
            the training is shorter than the start of a worker.
        chunk: the rounds of a stack; by default as many as are fast together and memory allows, and a stack or more
            for each worker. PyTorch's modules cannot be stacked: by default each of their rounds is a chunk.
        is_compiled: whether compiled steps train them.
        begun: stacks that were begun before, and stay as they are.

    Raises:
        InputError: PyTorch is to train, and a component has no counterpart there.
    """
    of_begun = {seed for stack in begun for seed in stack}
    seeds = [seed for seed in task.config.seeds if seed not in of_begun] if begun else task.config.seeds
    workers = workers or _worthwhile_workers(task, is_compiled)
    if task.config.framework == "torch":
        check_counterparts(task.config)
        chunk = chunk or 1
    elif chunk is None and seeds:
        largest = COMPILED_STACK_BYTES if is_compiled else STACK_BYTES
        stacks = ceil(len(seeds) * vector_bytes(task) / largest)
        chunk = ceil(len(seeds) / (ceil(stacks / workers) * workers))
        while chunk > 1 and estimate(task, chunk).total * workers > physical_memory() / 2:
            chunk = ceil(chunk / 2)
    chunk = chunk or 1
    chunks = [*begun, *(seeds[start : start + chunk] for start in range(0, len(seeds), chunk))]
    return Plan(chunks, min(workers, len(chunks)))


def _worthwhile_workers(task: Task, is_compiled: bool) -> int:
    cores = default_workers()
    saved = expected_seconds(task, is_compiled) * (1 - 1 / cores)
    return cores if saved > START_SECONDS else 1


def expected_seconds(task: Task, is_compiled: bool) -> float:
    """Estimate how long one core trains all rounds of a task's config, by its steps and floating-point operations.

    For each parameter there are about two for each sample of an evaluation, and six for one of training.
    """
    sizes, options = dict(task.sizes), task.config.training
    train, epochs = sizes.pop("train"), len(task.config.seeds) * options.epochs
    operations = task.network.parameter_count() * (6 * train + 2 * sum(sizes.values()))
    step_seconds, rate = MODULES if task.config.framework == "torch" else COMPILED if is_compiled else OPERATIONS
    return epochs * (operations / rate + options.steps(train) * step_seconds)


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
