"""What the benchmarks make of the times that they measure."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from benchmarks import measuring
from benchmarks.limit import Rates, step_operations
from benchmarks.measuring import Comparison, Extrapolated, Measure, Result, Rival, Times, Within
from benchmarks.works import DISC


@dataclass
class Scripted:
    """A side whose times are given, and which notes when it is asked."""

    name: str
    times: list[float]
    asked: list[str] = field(default_factory=list)

    @contextmanager
    def ready(self) -> Iterator[Measure]:
        times = iter(self.times)

        def measure() -> float:
            self.asked.append(self.name)
            return next(times)

        yield measure


def test_times_of_the_same_turn_are_compared_and_every_other_turn_is_backwards():
    asked: list[str] = []
    ours, one, other = (
        Scripted(name, times, asked)
        for name, times in {"ours": [1, 2, 4], "one": [3, 2, 4], "other": [9, 8, 7]}.items()
    )
    found = list(Comparison("work", 1, ours, [Rival(one), Rival(other)], repetitions=3).run())
    assert asked == ["ours", "one", "other", "other", "one", "ours", "ours", "one", "other"]
    assert [result.pairs for result in found] == [[(1, 3), (2, 2), (4, 4)], [(1, 9), (2, 8), (4, 7)]]
    assert [result.ours for result in found] == [2, 2]
    assert [result.theirs for result in found] == [3, 8]


def test_a_row_has_medians_with_their_range_and_whether_the_goal_is_met():
    result = Result(
        "disc", 1000, Rival(Scripted("peer", []), Times(2)), [(0.001, 0.003), (0.002, 0.002), (0.004, 0.01)]
    )
    assert result.row == (
        "| disc | 1,000 | **2.00 ms** (1.00 ms to 4.00 ms) | peer | **3.00 ms** (2.00 ms to 10.0 ms) "
        "| **2.50** (1.00 to 3.00) | ≥ 2: met |"
    )


@pytest.mark.parametrize(
    ("goal", "pairs", "verdict"),
    [
        (Times(3), [(1, 3), (1, 2), (1, 3)], "≥ 3: met"),
        (Times(3), [(1, 3), (1, 2), (1, 2.9)], "≥ 3: missed"),
        (Within(1), [(2.5, 1), (2, 1), (2, 1)], "1.00 s more; ≤ 1 s: met"),
        (Within(1), [(2.5, 1), (2.5, 1), (2, 1)], "1.50 s more; ≤ 1 s: missed"),
    ],
)
def test_a_goal_is_judged_by_the_median_of_the_pairs(goal, pairs, verdict):
    assert goal.judge(pairs) == verdict


def test_extrapolation_follows_the_line_through_two_sizes(monkeypatch):
    monkeypatch.setattr(measuring, "seconds", lambda work: work())
    monkeypatch.setattr(measuring, "run_silently", lambda command: 5 + 0.25 * int(command[0]))
    side = Extrapolated("peer", lambda epochs: [str(epochs)], epochs=(20, 120), wanted=1000, parts=10)
    with side.ready() as measure:
        assert measure() == pytest.approx((5 + 0.25 * 1000) / 10)


def test_operations_of_the_products_of_a_step():
    """A batch of 4 in a network of widths 3, 5, 2, and half of 6 test samples, counted by hand."""
    work = replace(DISC, widths=(3, 5, 2), batch_size=4, samples=(8, 6))
    first, second = 2 * 3 * 5, 2 * 5 * 2
    forward, of_weights, of_inputs, test = first + second, first + second, second, first + second
    assert step_operations(work) == 4 * (forward + of_weights + of_inputs) + 3 * test


def test_the_limit_is_that_of_the_fastest_library_on_as_many_cores():
    rates = Rates(
        {("torch", 1): 10.0, ("torch", 2): 15.0, ("numpy", 1): 5.0, ("numpy", 2): 20.0}
        | {("jax", 1): 1.0, ("jax", 2): 1.0}
    )
    operations = step_operations(DISC)
    assert rates.least_time(DISC, 1) == operations / 10
    assert rates.least_time(DISC, 100) == operations / 20
