"""Which rounds train together, and how many processes train them."""

import os
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import torch

from ..reference.torch_modules import check_counterparts
from ..runs.environment import physical_memory
from ..training.build import Task
from ..training.device import find_device, free_memory
from ..training.memory import Footprint, Memory, vector_bytes

Chunk = Sequence[int]

# The largest stack: for PyTorch's operations what one core keeps close at hand, as each of them goes through the whole
# stack. Compiled steps take one round after the other, so that only the number of epoch records speaks for a bound.
STACK_BYTES, COMPILED_STACK_BYTES = 2**20, 2**26
# How much of a machine's memory the stacks may take where smaller ones would do: the rest is for files and others. And
# how much of what is free on a GPU: the rest is lost between the blocks that PyTorch takes, or is taken by libraries.
STACK_SHARE, FREE_SHARE = 0.5, 0.85
# What a worker takes to start, importing PyTorch mostly; and how fast rounds train on one core. Measured on a machine
# of 2026; only their order of magnitude matters.
START_SECONDS = 1.5
# By who takes the steps: what one takes of each round, and floating-point operations for each second.
COMPILED, OPERATIONS, MODULES = (1e-6, 60e9), (10e-6, 20e9), (180e-6, 30e9)
# A GPU of the class of an H100 or H200: what it takes to start; what the graph of a step takes, however small it is;
# the bytes that go through its memory, and floating-point operations in single precision, for each second, in products
# as small as these; and what the CPU takes to draw the place of a sample in an epoch's order. As above, only the order
# of magnitude matters.
GPU_START_SECONDS, GPU_STEP_SECONDS, GPU_BANDWIDTH, GPU_RATE = 3.0, 100e-6, 4e12, 20e12
ORDER_SECONDS = 20e-9


THIS_MACHINE = "this machine"


@dataclass(frozen=True)
class Capacity:
    """What there is to train on.

    Attributes:
        workers: how many processes; None for as many cores of this machine as pay, and as memory allows.
        memory: the bytes that they have, all together.
        device: where each of them computes, as `find_device` takes it.
        place: what has this memory, in words.
        host: the bytes of memory of the machine that each process is on, beside GPUs; None if that is this one.
    """

    workers: int | None
    memory: int
    device: str = "cpu"
    place: str = THIS_MACHINE
    host: int | None = None

    def for_each(self, workers: int) -> int:
        """Return the bytes that each of so many processes has."""
        return self.memory // workers


def capacity_here(workers: int | None = None, device: str = "cpu") -> Capacity:
    """Return what this machine has to train on.

    Args:
        workers: how many processes; None for as many cores as pay.
        device: where they compute, as `find_device` takes it; a GPU serves one process.

    Raises:
        InputError: there is no such device, or it cannot be used.
    """
    if device == "cpu":
        return Capacity(workers, physical_memory())
    free, name = free_memory(device), torch.cuda.get_device_name(find_device(device))
    return Capacity(1, int(FREE_SHARE * free), device, f"{name} ({device})")


@dataclass(frozen=True)
class Plan:
    """Which rounds train together, and how many processes train them.

    Attributes:
        chunks: the seeds of each stack.
        workers: the number of processes; with one, the built-in engine trains in this process.
        memory: what training takes while all workers are at it, PyTorch itself aside.
        device: where they compute.
    """

    chunks: Sequence[Chunk]
    workers: int
    memory: Memory
    device: str = "cpu"


def plan(
    task: Task,
    capacity: Capacity,
    chunk: int | None = None,
    *,
    is_compiled: bool = False,
    begun: Sequence[Chunk] = (),
) -> Plan:
    """Divide the rounds of a task's config into chunks, each of which trains as one stack.

    Neither changes any number that comes out.

    Args:
        task: what they train.
        capacity: what there is to train on. With any number of processes, there are as many as there is work for, and
            a single one if the training is shorter than the start of a worker.
        chunk: the rounds of a stack; by default as many as are fast together and memory allows, and a stack or more
            for each worker. PyTorch's modules cannot be stacked: by default each of their rounds is a chunk.
        is_compiled: whether compiled steps train them.
        begun: stacks that were begun before, and stay as they are.

    Raises:
        InputError: PyTorch is to train, and a component has no counterpart there.
    """
    of_begun = {seed for stack in begun for seed in stack}
    seeds = [seed for seed in task.config.seeds if seed not in of_begun] if begun else task.config.seeds
    footprint = Footprint(task, is_compiled=is_compiled, device=capacity.device)
    workers = capacity.workers or _worthwhile_workers(task, capacity, footprint, is_compiled)
    if task.config.framework == "torch":
        check_counterparts(task.config)
        chunk = chunk or 1
    elif chunk is None and seeds:
        most = min(_fast_together(task, capacity, is_compiled), _fitting(len(seeds), footprint, capacity, workers))
        stacks = ceil(len(seeds) / most)
        chunk = ceil(len(seeds) / (ceil(stacks / workers) * workers))
    chunk = chunk or 1
    chunks = [*begun, *(seeds[start : start + chunk] for start in range(0, len(seeds), chunk))]
    needed = min(workers, len(chunks))
    return Plan(chunks, needed, footprint.of(max(map(len, chunks))) * needed, capacity.device)


def _fast_together(task: Task, capacity: Capacity, is_compiled: bool) -> int:
    """Return how many rounds a stack should have at most: on a GPU, a step of many takes hardly longer than of few."""
    if capacity.device != "cpu":
        return len(task.config.seeds)
    largest = COMPILED_STACK_BYTES if is_compiled else STACK_BYTES
    return max(1, largest // vector_bytes(task))


def _fitting(rounds: int, footprint: Footprint, capacity: Capacity, workers: int) -> int:
    """Return how many of so many rounds fit into a stack of each worker; one, if none does."""
    share = STACK_SHARE if capacity.device == "cpu" else 1.0

    def is_too_large(size: int) -> bool:
        stack = footprint.of(size)
        host = physical_memory() // workers if capacity.host is None else capacity.host
        is_beyond = stack.on(capacity.device) > share * capacity.for_each(workers)
        return is_beyond or stack.beside(capacity.device) > STACK_SHARE * host

    return max(1, bisect_left(range(1, rounds + 1), True, key=is_too_large))


def _worthwhile_workers(task: Task, capacity: Capacity, footprint: Footprint, is_compiled: bool) -> int:
    cores = default_workers() if capacity.device == "cpu" else 1
    saved = expected_seconds(task, is_compiled) * (1 - 1 / cores)
    if saved <= START_SECONDS:
        return 1
    # Of rounds so large that not every core can have one, those train that can.
    return max(1, min(cores, capacity.memory // footprint.of(1).total))


def faster_device(tasks: Sequence[Task]) -> str:
    """Return where tasks, one after the other, take less time, if there is a GPU: `cuda` or `cpu`."""
    if any(task.config.framework == "torch" for task in tasks):
        return "cpu"
    on_gpu = GPU_START_SECONDS + sum(map(_expected_gpu_seconds, tasks))
    return "cuda" if on_gpu < sum(map(_expected_cpu_seconds, tasks)) else "cpu"


def _expected_cpu_seconds(task: Task) -> float:
    """Estimate how long all cores train a task; compiled steps, unless the config is against them."""
    alone = expected_seconds(task, task.config.training.compiled != "never")
    return min(alone, START_SECONDS + alone / min(default_workers(), len(task.config.seeds)))


def _expected_gpu_seconds(task: Task) -> float:
    """Estimate how long a GPU trains all rounds of a task as one stack."""
    options, train, rounds = task.config.training, task.sizes["train"], len(task.config.seeds)
    rate = GPU_RATE / 2 if task.dtype == torch.float64 else GPU_RATE
    # A step goes through each vector about twice, and through the activations as often, forth and back.
    activations = sum(task.network.widths) * task.dtype.itemsize * min(options.batch_size, train)
    step = GPU_STEP_SECONDS + rounds * 4 * (vector_bytes(task) + activations) / GPU_BANDWIDTH
    operations = rounds * _operations(task) / rate
    return options.epochs * (options.steps(train) * step + operations + rounds * train * ORDER_SECONDS)


def _operations(task: Task) -> int:
    """Return the floating-point operations of an epoch of one round.

    For each parameter there are about two for each sample of an evaluation, and six for one of training.
    """
    sizes = dict(task.sizes)
    return task.network.parameter_count() * (6 * sizes.pop("train") + 2 * sum(sizes.values()))


def expected_seconds(task: Task, is_compiled: bool) -> float:
    """Estimate how long one core trains all rounds of a task's config, by its steps and floating-point operations."""
    options, epochs = task.config.training, len(task.config.seeds) * task.config.training.epochs
    step_seconds, rate = MODULES if task.config.framework == "torch" else COMPILED if is_compiled else OPERATIONS
    return epochs * (_operations(task) / rate + options.steps(task.sizes["train"]) * step_seconds)


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
