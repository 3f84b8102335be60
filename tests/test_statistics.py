"""Statistics over rounds, against NumPy and SciPy."""

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from minidl_cli.statistics import Summary, median_index, student_t_quantile, summarize

ALWAYS = {"n", "mean", "min", "max"}
OF_TWO = {"std", "cv", "ci95"}
QUARTILES = {"q1", "median", "q3"}

# Metrics as they come: losses over many orders of magnitude, accuracies, and values that are all the same.
metrics = st.floats(-1e30, 1e30) | st.floats(0, 1) | st.sampled_from([0.0, 0.25, 1.0])
samples = st.lists(metrics, max_size=40)
quickly = settings(deadline=None, max_examples=200, database=None, derandomize=True)


def numbers(count: int, seed: int = 0) -> list[float]:
    return np.random.default_rng(seed).lognormal(size=count).tolist()


@pytest.mark.parametrize("count", [2, 3, 7, 100])
def test_moments_are_those_of_the_sample(count: int) -> None:
    values = numbers(count)
    summary = summarize(values, higher_is_better=False)
    assert summary["n"] == count
    assert summary["mean"] == pytest.approx(np.mean(values), rel=1e-14)
    assert summary["std"] == pytest.approx(np.std(values, ddof=1), rel=1e-12)
    assert summary["cv"] == pytest.approx(stats.variation(values, ddof=1), rel=1e-12)
    assert (summary["min"], summary["max"]) == (min(values), max(values))


@pytest.mark.parametrize("count", [2, 3, 7, 100])
def test_the_interval_is_students(count: int) -> None:
    values = numbers(count)
    expected = stats.t.interval(0.95, count - 1, loc=np.mean(values), scale=stats.sem(values))
    assert summarize(values, higher_is_better=False)["ci95"] == pytest.approx(list(expected), rel=1e-10)


def test_the_interval_holds_the_mean_19_times_in_20() -> None:
    drawn = np.random.default_rng(0).normal(3, 2, size=(2000, 4))
    intervals = [summarize(row.tolist(), higher_is_better=True)["ci95"] for row in drawn]
    share = np.mean([low <= 3 <= high for low, high in intervals])
    assert abs(share - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 100])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_quartiles_are_those_of_numpy(count: int, higher_is_better: bool) -> None:
    values = numbers(count)
    expected = np.quantile(values, [0.25, 0.5, 0.75], method="linear")
    assert quartiles(summarize(values, higher_is_better=higher_is_better)) == pytest.approx(expected, rel=1e-14)


def quartiles(summary: Summary) -> list[float]:
    return [summary[name] for name in ("q1", "median", "q3")]


@pytest.mark.parametrize(
    ("values", "missing", "higher_is_better", "expected"),
    [
        # Losses: the missing rounds are the largest.
        ([1, 2, 3, 4], 1, False, {"q1": 2, "median": 3, "q3": 4}),
        ([1, 2, 3, 4], 2, False, {"q1": 2.25, "median": 3.5}),
        ([1, 2, 3], 2, False, {"q1": 2, "median": 3}),
        ([1, 2], 3, False, {"q1": 2}),
        ([1, 2], 4, False, {}),
        ([1], 0, False, {"q1": 1, "median": 1, "q3": 1}),
        # Accuracies: they are the smallest.
        ([1, 2, 3, 4], 1, True, {"q1": 1, "median": 2, "q3": 3}),
        ([1, 2, 3, 4], 2, True, {"median": 1.5, "q3": 2.75}),
        ([1, 2], 3, True, {"q3": 1}),
        ([1, 2], 4, True, {}),
        ([1], 100, True, {}),
    ],
)
def test_missing_rounds_count_as_the_worst(
    values: list[float], missing: int, higher_is_better: bool, expected: dict[str, float]
) -> None:
    summary = summarize(values, missing, higher_is_better=higher_is_better)
    assert {name: summary[name] for name in QUARTILES & set(summary)} == expected


@pytest.mark.parametrize("higher_is_better", [True, False])
@pytest.mark.parametrize("missing", [1, 2, 5])
def test_missing_rounds_are_far_away_rounds(missing: int, higher_is_better: bool) -> None:
    values = numbers(20)
    worst = -1e100 if higher_is_better else 1e100
    expected = np.quantile(values + [worst] * missing, [0.25, 0.5, 0.75])
    found = summarize(values, missing, higher_is_better=higher_is_better)
    for name, value in zip(("q1", "median", "q3"), expected, strict=True):
        if abs(value) < 1e50:
            assert found[name] == pytest.approx(value, rel=1e-13)
        else:
            assert name not in found


@pytest.mark.parametrize("missing", [1, 50])
def test_mean_deviation_and_interval_are_those_of_the_finished_rounds(missing: int) -> None:
    values = numbers(9)
    whole, some = (summarize(values, count, higher_is_better=True) for count in (0, missing))
    of_the_finished = ALWAYS | OF_TWO
    assert {name: some[name] for name in of_the_finished} == {name: whole[name] for name in of_the_finished}


def test_what_does_not_exist_is_left_out() -> None:
    assert summarize([], higher_is_better=True) == {"n": 0}
    assert summarize([], 3, higher_is_better=True) == {"n": 0}
    assert set(summarize([2.0], higher_is_better=True)) == ALWAYS | QUARTILES
    assert set(summarize([-1.0, 1.0], higher_is_better=True)) == ALWAYS | QUARTILES | {"std", "ci95"}
    assert set(summarize([1.0, 2.0], higher_is_better=True)) == ALWAYS | QUARTILES | OF_TWO


def test_rounds_that_are_all_the_same_deviate_by_nothing() -> None:
    assert summarize([0.1] * 7, higher_is_better=True) == {
        "n": 7,
        "mean": 0.1,
        "std": 0.0,
        "cv": 0.0,
        "ci95": [0.1, 0.1],
        "median": 0.1,
        "q1": 0.1,
        "q3": 0.1,
        "min": 0.1,
        "max": 0.1,
    }


def test_the_coefficient_of_variation_has_no_sign() -> None:
    assert summarize([-1.0, -3.0], higher_is_better=True)["cv"] == pytest.approx(math.sqrt(2) / 2)


@quickly
@given(values=samples, missing=st.integers(0, 50), higher_is_better=st.booleans())
def test_a_summary_is_json_without_nan(values: list[float], missing: int, higher_is_better: bool) -> None:
    summary = summarize(values, missing, higher_is_better=higher_is_better)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert set(summary) <= ALWAYS | OF_TWO | QUARTILES


@pytest.mark.parametrize(
    "values", [[1e308, 1e308], [0.0, 1.7e308], [-1.7e308, 1.7e308], [1e-300, 1e10, -1e10]], ids=str
)
def test_finite_values_of_any_size_give_a_summary_that_is_json(values: list[float]) -> None:
    summary = summarize(values, higher_is_better=False)
    json.dumps(summary, allow_nan=False)
    assert (summary["min"], summary["max"]) == (min(values), max(values))


@quickly
@given(values=st.lists(metrics, min_size=1, max_size=40), missing=st.integers(0, 50), higher_is_better=st.booleans())
def test_quartiles_lie_between_the_extremes_in_order(values: list[float], missing: int, higher_is_better: bool) -> None:
    summary = summarize(values, missing, higher_is_better=higher_is_better)
    present = [summary[name] for name in ("min", "q1", "median", "q3", "max") if name in summary]
    assert present == sorted(present)
    if not missing:
        assert len(present) == 5


@quickly
@given(values=samples, higher_is_better=st.booleans(), seed=st.randoms(use_true_random=False))
def test_the_order_of_the_rounds_does_not_matter(values: list[float], higher_is_better: bool, seed: object) -> None:
    shuffled = list(values)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (summarize(each, 2, higher_is_better=higher_is_better) for each in (values, shuffled))
    assert one == other


@pytest.mark.parametrize("degrees", [1, 2, 10, 99, 10**6])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.975])
def test_quantiles_of_students_distribution(degrees: int, share: float) -> None:
    assert student_t_quantile(share, degrees) == pytest.approx(stats.t.ppf(share, degrees), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "index"),
    [([5.0], 0), ([2.0, 1.0], 1), ([3.0, 1.0, 2.0], 2), ([4.0, 3.0, 2.0, 1.0], 2), ([1.0, 1.0, 1.0], 1)],
)
def test_the_median_round(values: Sequence[float], index: int) -> None:
    assert median_index(values) == index
