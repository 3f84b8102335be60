"""The arithmetic limit: how long the matrix products of a step take at the rate of a large product on this machine.

`python -m benchmarks.limit LIBRARY CORES` measures and prints that rate.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .measuring import Result, row, seconds, show_number, show_time
from .works import Work

SIZE, REPETITIONS = 2048, 20

LIBRARIES = ("torch", "numpy", "jax")
CORES = (1, 2)


@dataclass(frozen=True)
class Rates:
    """Floating-point operations per second of a large float32 product, by library and number of cores."""

    measured: dict[tuple[str, int], float]

    @classmethod
    def measure(cls) -> "Rates":
        return cls({(library, cores): _served(library, cores) for library in LIBRARIES for cores in CORES})

    def best(self, cores: int) -> float:
        """Return the rate of the fastest library: not every one uses all that the processor can do."""
        return max(self.measured[library, cores] for library in LIBRARIES)

    def least_time(self, work: Work, rounds: int) -> float:
        """Return the least seconds for a step of a round: one round has one core, several have two."""
        return step_operations(work) / self.best(1 if rounds == 1 else 2)

    def __str__(self) -> str:
        lines = [row("library", *(f"GFLOP/s, cores: {cores}" for cores in CORES)), row(*["---"] * 3)]
        for library in LIBRARIES:
            lines.append(row(library, *(show_number(self.measured[library, cores] / 1e9) for cores in CORES)))
        return "\n".join(lines)


def _served(library: str, cores: int) -> float:
    """Return what a process of its own measures."""
    command = [sys.executable, "-m", "benchmarks.limit", library, str(cores)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def step_operations(work: Work) -> float:
    """Return the operations of the products of a step of a full epoch's mean batch, for one round.

    A product of `[out, in]` with `[in, batch]` takes 2 · out · in · batch. A layer needs it forward, for the gradient
    of its weight, and for that of its input, but the first layer not for the latter. The test evaluation goes forward.
    """
    layers = [2 * inputs * outputs for inputs, outputs in pairwise(work.widths)]
    train, test = work.samples
    return (train * (3 * sum(layers) - layers[0]) + test * sum(layers)) / work.steps


def limit_table(results: Iterable[Result], work: Work, rates: Rates) -> str:
    """Return a table of how far each side was from the limit."""
    lines = ["| work | rounds | limit | side | its time | times the limit |", "|---|---|---|---|---|---|"]
    seen: set[int] = set()
    for result in results:
        least = rates.least_time(work, result.rounds)
        sides = [] if result.rounds in seen else [("minidl", result.ours)]
        seen.add(result.rounds)
        for name, time in [*sides, (result.rival.side.name, result.theirs)]:
            cells = [show_time(least), name, show_time(time), show_number(time / least)]
            lines.append(row(result.work, f"{result.rounds:,}", *cells))
    return "\n".join(lines)


def product(library: str) -> Callable[[], object]:
    """Return what multiplies two large matrices."""
    left, right = np.random.default_rng(0).random((2, SIZE, SIZE), np.float32)
    if library == "numpy":
        return lambda: left @ right
    if library == "torch":
        import torch

        matrices = torch.from_numpy(left), torch.from_numpy(right)
        return lambda: torch.mm(*matrices)
    import jax

    arrays, multiply = (jax.numpy.asarray(left), jax.numpy.asarray(right)), jax.jit(jax.numpy.matmul)
    return lambda: multiply(*arrays).block_until_ready()


def main(library: str, cores: int) -> None:
    """Print the rate of a library on so many cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])  # before a library counts them
    multiply = product(library)
    multiply()
    print(2 * SIZE**3 / min(seconds(multiply) for _ in range(REPETITIONS)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
