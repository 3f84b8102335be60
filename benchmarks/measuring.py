"""Two sides measured in turn, and how their times compare."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Protocol

Measure = Callable[[], float]


class Side(Protocol):
    """One side of a comparison."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        ...

    def ready(self) -> AbstractContextManager[Measure]:
        """Prepare, and give a function that measures once, in seconds."""
        ...


@dataclass(frozen=True)
class Program:
    """A whole program, timed from its start to its end."""

    name: str
    command: Sequence[str]

    @contextmanager
    def ready(self) -> Iterator[Measure]:
        silent = subprocess.DEVNULL
        yield lambda: seconds(lambda: subprocess.run(self.command, check=True, stdout=silent, stderr=silent))


@dataclass(frozen=True)
class Servant:
    """A Python module that stays in memory and measures itself when asked (see `serve`): its start is not counted.

    Each has a process of its own, so that no side lives with the other's settings, such as those of MKL.
    """

    name: str
    module: Sequence[str]

    @contextmanager
    def ready(self) -> Iterator[Measure]:
        command = [sys.executable, "-m", *self.module]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            requests, answers = process.stdin, process.stdout
            assert requests is not None
            assert answers is not None

            def measure() -> float:
                print("measure", file=requests, flush=True)
                return float(answers.readline())

            yield measure


def serve(measure: Measure) -> None:
    """Be a `Servant`: measure once for every line of standard input."""
    for _ in sys.stdin:
        print(measure(), flush=True)


def seconds(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes."""
    started = perf_counter()
    work()
    return perf_counter() - started


@dataclass(frozen=True)
class Comparison:
    """What is measured, beside what, and the largest ratio of their times that we want."""

    title: str
    ours: Side
    beside: Side
    goal: float | None

    def run(self, repetitions: int) -> str:
        """Measure both sides in turn, after a warm-up of each, and return a row of the table.

        Ratios are of neighbours in time, which share the weather of the machine. Every other pair is the other way
        round, so that nobody always comes first.
        """
        with self.ours.ready() as ours, self.beside.ready() as beside:
            ours(), beside()
            pairs = []
            for repetition in range(repetitions):
                if repetition % 2:
                    second, first = beside(), ours()
                else:
                    first, second = ours(), beside()
                pairs.append((first, second))
        ratios = [first / second for first, second in pairs]
        met = "" if self.goal is None else f"≤ {self.goal:g}: {'met' if median(ratios) <= self.goal else 'missed'}"
        cells = [
            self.title,
            f"{self.ours.name}: {_spread([first for first, _ in pairs], _time)}",
            f"{self.beside.name}: {_spread([second for _, second in pairs], _time)}",
            _spread(ratios, _number),
            met,
        ]
        return _row(cells)


HEAD = "| what | ours | beside | ratio | goal |\n|---|---|---|---|---|"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float], shown: Callable[[float], str]) -> str:
    return f"**{shown(median(values))}** ({shown(min(values))} to {shown(max(values))})"


def _time(value: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{_number(value / size)} {unit}"
    return f"{_number(value * 1e6)} µs"


def _number(value: float) -> str:
    return f"{value:#.3g}".rstrip(".")
