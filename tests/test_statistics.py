"""Statistics over rounds, against NumPy and SciPy."""

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from minidl_cli.randomness import generator
from minidl_cli.statistics import (
    RESAMPLES,
    Summary,
    epochs_to_target,
    first_epochs,
    median_index,
    student_t_quantile,
    student_t_tail,
    success,
    summarize,
)

ALWAYS = {"n", "mean", "min", "max"}
OF_TWO = {"std", "cv", "ci95"}
OF_THREE = {"iqm_ci95"}
QUARTILES = {"q1", "median", "q3"}
RANKED = QUARTILES | {"iqm"}

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
    assert set(summarize([2.0], higher_is_better=True)) == ALWAYS | RANKED
    assert set(summarize([-1.0, 1.0], higher_is_better=True)) == ALWAYS | RANKED | {"std", "ci95"}
    assert set(summarize([1.0, 2.0], higher_is_better=True)) == ALWAYS | RANKED | OF_TWO
    assert set(summarize([1.0, 2.0, 3.0], higher_is_better=True)) == ALWAYS | RANKED | OF_TWO | OF_THREE


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
        "iqm": 0.1,
        "iqm_ci95": [0.1, 0.1],
    }


def test_the_coefficient_of_variation_has_no_sign() -> None:
    assert summarize([-1.0, -3.0], higher_is_better=True)["cv"] == pytest.approx(math.sqrt(2) / 2)


@quickly
@given(values=samples, missing=st.integers(0, 50), higher_is_better=st.booleans())
def test_a_summary_is_json_without_nan(values: list[float], missing: int, higher_is_better: bool) -> None:
    summary = summarize(values, missing, higher_is_better=higher_is_better)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert set(summary) <= ALWAYS | OF_TWO | OF_THREE | RANKED


@pytest.mark.parametrize(
    "values",
    [
        [1e308, 1e308],
        [0.0, 1.7e308],
        [-1.7e308, 1.7e308],
        [1e-300, 1e10, -1e10],
        [-1.7e308, 0.0, 1.7e308, 1e308],
        [5e-324] * 4,
    ],
    ids=str,
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


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 100])
def test_the_interquartile_mean_is_scipys_trimmed_mean(count: int) -> None:
    values = numbers(count)
    assert summarize(values, higher_is_better=True)["iqm"] == pytest.approx(stats.trim_mean(values, 0.25), rel=1e-14)


@pytest.mark.parametrize(
    ("missing", "losses", "accuracies"),
    [(0, 3.5, 3.5), (1, 4.0, 3.0), (2, 4.5, 2.5), (3, None, None)],
)
def test_missing_rounds_are_the_worst_in_the_interquartile_mean(
    missing: int, losses: float | None, accuracies: float | None
) -> None:
    """Of six values and up to two missing rounds, one or two are cut off at each end."""
    values = [6.0, 2.0, 3.0, 4.0, 5.0, 1.0]
    assert summarize(values, missing, higher_is_better=False).get("iqm") == losses
    assert summarize(values, missing, higher_is_better=True).get("iqm") == accuracies


def test_the_bootstrap_is_that_of_scipy_but_for_chance() -> None:
    values = numbers(40)
    low, high = summarize(values, higher_is_better=True)["iqm_ci95"]
    found = stats.bootstrap(
        (values,),
        lambda drawn, axis: stats.trim_mean(drawn, 0.25, axis=axis),
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    width = found.confidence_interval.high - found.confidence_interval.low
    assert low == pytest.approx(found.confidence_interval.low, abs=0.06 * width)
    assert high == pytest.approx(found.confidence_interval.high, abs=0.06 * width)


@pytest.mark.parametrize(("count", "missing"), [(3, 0), (10, 0), (41, 2)])
def test_the_bootstrap_is_that_of_its_definition(count: int, missing: int) -> None:
    values = numbers(count)
    ordered = np.sort([*values, *[1e300] * missing])
    drawn = torch.randint(len(ordered), (RESAMPLES, len(ordered)), generator=generator(0, "bootstrap"))
    means = stats.trim_mean(ordered[drawn.numpy()], 0.25, axis=1)
    found = summarize(values, missing, higher_is_better=False)["iqm_ci95"]
    assert found == pytest.approx(np.quantile(means, [0.025, 0.975]), rel=1e-12)


@pytest.mark.parametrize("value", [0.1, 0.3, 1 / 3, 0.058])
def test_the_bootstrap_interval_of_equal_rounds_is_a_point(value: float) -> None:
    for count in range(3, 30):
        assert summarize([value] * count, higher_is_better=True)["iqm_ci95"] == [value, value]


def test_the_bootstrap_interval_holds_the_interquartile_mean_about_19_times_in_20() -> None:
    drawn = np.random.default_rng(0).normal(3, 2, size=(500, 40))
    intervals = [summarize(row.tolist(), higher_is_better=True)["iqm_ci95"] for row in drawn]
    share = np.mean([low <= 3 <= high for low, high in intervals])
    assert 0.90 < share < 0.98


def test_the_bootstrap_draws_the_same_every_time() -> None:
    values = numbers(20)
    before = torch.get_rng_state()
    one, other = (summarize(values, 1, higher_is_better=False)["iqm_ci95"] for _ in range(2))
    assert one == other
    assert torch.equal(torch.get_rng_state(), before)


def test_the_bootstrap_draws_the_same_rounds_for_every_metric() -> None:
    """A metric that is another one turned upside down has the same interval, upside down."""
    values = numbers(8)
    low, high = summarize(values, higher_is_better=True)["iqm_ci95"]
    turned = summarize([10 - 2 * value for value in reversed(values)], higher_is_better=True)["iqm_ci95"]
    assert turned == pytest.approx([10 - 2 * high, 10 - 2 * low], rel=0.1)


def test_the_bootstrap_draws_missing_rounds_too() -> None:
    """With one of 40 missing hardly any sample has too many of them; with 9 of 40, more than 1 in 40 has."""
    values = sorted(numbers(40), reverse=True)
    whole = summarize(values, higher_is_better=False)["iqm_ci95"]
    some = summarize(values[:39], 1, higher_is_better=False)["iqm_ci95"]
    far = summarize([*values[:39], 1e100], higher_is_better=False)["iqm_ci95"]
    assert some == far != whole
    many = summarize(values[:31], 9, higher_is_better=False)
    assert "iqm" in many
    assert "iqm_ci95" not in many


@quickly
@given(values=st.lists(metrics, min_size=3, max_size=40), missing=st.integers(0, 9))
def test_the_bootstrap_interval_lies_among_the_values_in_order(values: list[float], missing: int) -> None:
    summary = summarize(values, missing, higher_is_better=False)
    low, high = summary.get("iqm_ci95", (summary["min"], summary["max"]))
    assert summary["min"] <= low <= high <= summary["max"]


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


@pytest.mark.parametrize("degrees", [1, 1.3, 2, 57.3, 10**6])
@pytest.mark.parametrize("t", [-3.0, 0.0, 0.7, 5.0, 40.0])
def test_tails_of_students_distribution(degrees: float, t: float) -> None:
    assert student_t_tail(t, degrees) == pytest.approx(stats.t.sf(t, degrees), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("n", [1, 2, 5, 100])
@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_wilsons_interval(n: int, share: float) -> None:
    successes = round(share * n)
    values = [1.0] * successes + [0.0] * (n - successes)
    found = success(values, 0, 0.5, higher_is_better=True)
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert found["ci95"] == pytest.approx([expected.low, expected.high], rel=1e-12, abs=0)
    assert (found["rate"], found["n"], found["successes"], found["target"]) == (successes / n, n, successes, 0.5)


@pytest.mark.parametrize(("higher_is_better", "successes"), [(True, 2), (False, 3)])
def test_missing_rounds_fail(higher_is_better: bool, successes: int) -> None:
    """The target itself is success both ways."""
    found = success([0.9, 0.95, 0.97, 0.1], 4, 0.95, higher_is_better=higher_is_better)
    assert (found["successes"], found["n"], found["rate"]) == (successes, 8, successes / 8)


def test_all_rounds_missing_and_no_rounds() -> None:
    assert success([], 3, 0.5, higher_is_better=True)["rate"] == 0
    assert success([], 0, 0.5, higher_is_better=True) == {"target": 0.5, "successes": 0, "n": 0}


@quickly
@given(values=samples, missing=st.integers(0, 50), target=metrics, higher_is_better=st.booleans())
def test_a_success_rate_lies_in_its_interval(
    values: list[float], missing: int, target: float, higher_is_better: bool
) -> None:
    found = success(values, missing, target, higher_is_better=higher_is_better)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    if found["n"]:
        low, high = found["ci95"]
        assert 0 <= low <= found["rate"] <= high <= 1


CURVES = [
    [0.1, 0.5, 0.9, 0.8],  # reaches 0.5 at the second
    [0.6, 0.1, 0.1, 0.1],  # at once, and loses it again
    [0.1, 0.2, 0.3, 0.5],  # at the end
    [0.1, 0.2, math.nan, math.nan],  # stopped early
    [0.4, 0.4, 0.4, 0.49],  # never
]


def test_the_first_epoch_at_the_target() -> None:
    epochs = [1, 10, 20, 30]
    assert first_epochs(CURVES, epochs, 0.5, higher_is_better=True) == [10, 1, 30, None, None]
    assert first_epochs(CURVES, epochs, 0.1, higher_is_better=False) == [1, 10, 1, 1, None]
    assert first_epochs(np.zeros((0, 4)), epochs, 0.5, higher_is_better=True) == []


@pytest.mark.parametrize(
    ("rounds", "missing", "expected"),
    [
        ([0, 1, 2], 0, {"reached": 3, "n": 3, "q1": 5.5, "median": 10, "q3": 20}),
        ([0, 1, 2, 3, 4], 0, {"reached": 3, "n": 5, "q1": 10, "median": 30}),
        ([0, 1, 2], 2, {"reached": 3, "n": 5, "q1": 10, "median": 30}),
        ([0, 1, 2], 4, {"reached": 3, "n": 7, "q1": 20}),
        ([3, 4], 0, {"reached": 0, "n": 2}),
        ([], 2, {"reached": 0, "n": 2}),
        ([], 0, {"reached": 0, "n": 0}),
    ],
)
def test_rounds_that_never_reach_the_target_are_the_slowest(
    rounds: list[int], missing: int, expected: dict[str, float]
) -> None:
    curves = np.array(CURVES)[rounds]
    found = epochs_to_target(curves, [1, 10, 20, 30], 0.5, missing, higher_is_better=True)
    assert found == {"target": 0.5, **expected}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize(
    ("values", "index"),
    [([5.0], 0), ([2.0, 1.0], 1), ([3.0, 1.0, 2.0], 2), ([4.0, 3.0, 2.0, 1.0], 2), ([1.0, 1.0, 1.0], 1)],
)
def test_the_median_round(values: Sequence[float], index: int) -> None:
    assert median_index(values) == index
