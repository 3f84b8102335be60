"""Sides measured in turn, and how their times compare."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Protocol

# The seconds that a servant trains for a measurement, if an epoch does not take longer.
LONG_ENOUGH = 0.4

# What a servant says when it has warmed up.
READY = "ready\n"

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
    """A whole program, timed from its start to its end.

    Attributes:
        parts: into how many equal shares its time is divided, such as the rounds that it trains.
        caches: whether it finds what it compiled before; else it compiles anew each time.
    """

    name: str
    command: Sequence[str]
    parts: int = 1
    caches: bool = False

    @contextmanager
    def ready(self) -> Iterator[Measure]:
        run = partial(run_silently, self.command, caches=self.caches)
        yield lambda: seconds(run) / self.parts


@dataclass(frozen=True)
class Extrapolated:
    """A whole program that takes too long to wait for: timed at two smaller sizes, and continued along the line.

    Attributes:
        command: gives the program of a number of epochs.
        epochs: the two numbers of epochs that are measured.
        wanted: the number of epochs whose time is reported; for a program of fewer rounds than wanted, as many epochs
            more as give the same number of trained epochs, those of all rounds added up.
        parts: into how many equal shares that time is divided.
    """

    name: str
    command: Callable[[int], Sequence[str]]
    epochs: tuple[int, int]
    wanted: float
    parts: int = 1

    @contextmanager
    def ready(self) -> Iterator[Measure]:
        def time(epochs: int) -> float:
            return seconds(lambda: run_silently(self.command(epochs)))

        def measure() -> float:
            few, many = self.epochs
            less, more = time(few), time(many)
            return (less + (more - less) / (many - few) * (self.wanted - few)) / self.parts

        yield measure


@dataclass(frozen=True)
class Slope:
    """A whole program timed at two numbers of epochs: what an epoch more takes, so that its start is not counted.

    Attributes:
        command: gives the program of a number of epochs.
        epochs: the two numbers of epochs.
        wanted: the number of epochs whose time is reported.
    """

    name: str
    command: Callable[[int], Sequence[str]]
    epochs: tuple[int, int]
    wanted: float

    @contextmanager
    def ready(self) -> Iterator[Measure]:
        def time(epochs: int) -> float:
            return seconds(lambda: run_silently(self.command(epochs), caches=True))

        def measure() -> float:
            few, many = self.epochs
            less, more = time(few), time(many)
            return (more - less) / (many - few) * self.wanted

        yield measure


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

            assert answers.readline() == READY
            yield measure


def serve(measure: Measure) -> None:
    """Be a `Servant`, now that everything is warm: measure once for every line of standard input."""
    print(READY, end="", flush=True)
    for _ in sys.stdin:
        print(measure(), flush=True)


def enough(epoch: float) -> int:
    """Return how many epochs to train for a measurement, given the seconds of one."""
    return max(1, round(LONG_ENOUGH / epoch))


def seconds(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes."""
    started = perf_counter()
    work()
    return perf_counter() - started


def run_silently(command: Sequence[str], caches: bool = False) -> None:
    """Run a program, and show nothing unless it fails.

    Without its usual caches it has an empty one, and that of matplotlib's fonts.
    """
    usual = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    with TemporaryDirectory() as empty:
        emptied = {"XDG_CACHE_HOME": empty, "MPLCONFIGDIR": f"{usual}/matplotlib"}
        environment = os.environ | ({} if caches else emptied)
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")


Pairs = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Times:
    """The goal that minidl is at least so many times as fast as the other side."""

    least: float

    def judge(self, pairs: Pairs) -> str:
        return _verdict(f"≥ {self.least:.3g}", median(_ratios(pairs)) >= self.least)


@dataclass(frozen=True)
class Within:
    """The goal that minidl takes at most so many seconds more than the other side."""

    most: float

    def judge(self, pairs: Pairs) -> str:
        more = median(ours - theirs for ours, theirs in pairs)
        return _verdict(f"{more:.2f} s more; ≤ {self.most:g} s", more <= self.most)


@dataclass(frozen=True)
class Rival:
    """A side that minidl is compared with, and what it is to reach."""

    side: Side
    goal: Times | Within | None = None


@dataclass(frozen=True)
class Result:
    """What a comparison gave: the seconds of minidl and of a rival, in pairs of the same turn."""

    work: str
    rounds: int
    rival: Rival
    pairs: Pairs

    @property
    def ours(self) -> float:
        return median(ours for ours, _ in self.pairs)

    @property
    def theirs(self) -> float:
        return median(theirs for _, theirs in self.pairs)

    @property
    def row(self) -> str:
        ours, theirs = zip(*self.pairs, strict=True)
        goal = self.rival.goal.judge(self.pairs) if self.rival.goal else ""
        cells = [_spread(ours, show_time), self.rival.side.name, _spread(theirs, show_time)]
        return row(self.work, f"{self.rounds:,}", *cells, _spread(_ratios(self.pairs), show_number), goal)


@dataclass(frozen=True)
class Comparison:
    """minidl beside its rivals on the same work."""

    work: str
    rounds: int
    ours: Side
    rivals: Sequence[Rival]
    repetitions: int

    def run(self) -> Iterator[Result]:
        """Measure all sides in turn.

        Times of the same turn are compared, since they share the weather of the machine. Every other turn is the other
        way round, so that nobody always comes first.
        """
        with ExitStack() as stack:
            measures = [stack.enter_context(side.ready()) for side in (self.ours, *(each.side for each in self.rivals))]
            turns = [_turn(measures, backwards=bool(turn % 2)) for turn in range(self.repetitions)]
        ours, *theirs = zip(*turns, strict=True)
        for rival, times in zip(self.rivals, theirs, strict=True):
            yield Result(self.work, self.rounds, rival, list(zip(ours, times, strict=True)))


def _turn(measures: Sequence[Measure], *, backwards: bool) -> list[float]:
    """Measure every side once; the times come in the order of the sides."""
    if backwards:
        return [measure() for measure in reversed(measures)][::-1]
    return [measure() for measure in measures]


HEAD = """| work | rounds | minidl | peer | its time | times as fast | goal |
|---|---|---|---|---|---|---|"""


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _verdict(goal: str, is_met: bool) -> str:
    return f"{goal}: {'met' if is_met else 'missed'}"


def _ratios(pairs: Pairs) -> list[float]:
    """Return how many times as fast as the other side minidl was in each pair."""
    return [theirs / ours for ours, theirs in pairs]


def _spread(values: Sequence[float], shown: Callable[[float], str]) -> str:
    return f"**{shown(median(values))}** ({shown(min(values))} to {shown(max(values))})"


def show_time(value: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{show_number(value / size)} {unit}"
    return f"{show_number(value * 1e6)} µs"


def show_number(value: float) -> str:
    return f"{value:#.3g}".rstrip(".")
