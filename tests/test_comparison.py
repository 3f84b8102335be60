"""Comparisons of two sets of rounds, against SciPy."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from minidl_cli.comparison import Comparison, Equivalence, conclusion, holm, paired, welch

quickly = settings(deadline=None, max_examples=200, database=None, derandomize=True)

# Metrics as they come, and as they hardly ever do: huge, tiny, and the same again and again.
metrics = (
    st.floats(-1.7e308, 1.7e308) | st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.95, 1.0, 1.7e308, -1.7e308, 5e-324])
)
samples = st.lists(metrics, max_size=12)
pairs = st.lists(st.tuples(metrics, metrics), max_size=12).map(
    lambda drawn: ([a for a, _ in drawn], [b for _, b in drawn])
)
margins = st.none() | st.floats(0, 1.7e308, exclude_min=True)

SIZES = [(2, 2), (2, 9), (5, 3), (20, 20), (100, 37)]


def numbers(count: int, seed: int, center: float = 0.0, scale: float = 1.0) -> list[float]:
    return np.random.default_rng(seed).normal(center, scale, count).tolist()


@pytest.mark.parametrize(("n_a", "n_b"), SIZES)
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_welchs_test_is_scipys(n_a: int, n_b: int, scale: float) -> None:
    """SciPy squares, so it is asked about numbers of a middle size."""
    a, b = numbers(n_a, 0), numbers(n_b, 1, center=0.5, scale=3)
    found = welch([scale * value for value in a], [scale * value for value in b])
    expected = stats.ttest_ind(b, a, equal_var=False)
    low, high = expected.confidence_interval(0.95)
    assert found.t == pytest.approx(expected.statistic, rel=1e-10)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.degrees == pytest.approx(expected.df, rel=1e-10)
    assert found.ci95 == pytest.approx((scale * low, scale * high), rel=1e-9)
    assert found.difference == pytest.approx(scale * (np.mean(b) - np.mean(a)), rel=1e-10)
    assert (found.mean_a, found.mean_b) == pytest.approx((scale * np.mean(a), scale * np.mean(b)), rel=1e-10)
    assert (found.n_a, found.n_b, found.paired, found.identical, found.constant) == (n_a, n_b, False, False, False)


@pytest.mark.parametrize("n", [2, 3, 20, 100])
def test_the_paired_test_is_scipys(n: int) -> None:
    a, change = numbers(n, 0, scale=10), numbers(n, 1, center=0.2)
    b = [x + y for x, y in zip(a, change, strict=True)]
    found, expected = paired(a, b), stats.ttest_rel(b, a)
    assert found.t == pytest.approx(expected.statistic, rel=1e-10)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-10)
    assert found.degrees == expected.df == n - 1
    assert found.ci95 == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-9)
    assert found.d_z == pytest.approx(np.mean(change) / np.std(change, ddof=1), rel=1e-10)
    assert found.probability_b_larger == np.mean(np.array(change) > 0)
    assert (found.n_a, found.n_b, found.paired, found.identical, found.constant) == (n, n, True, False, False)


@pytest.mark.parametrize(("n_a", "n_b"), SIZES)
def test_the_probability_of_a_larger_value_is_that_of_mann_and_whitney(n_a: int, n_b: int) -> None:
    """Rounded to one decimal, so that there are ties."""
    a, b = np.round(numbers(n_a, 0), 1).tolist(), np.round(numbers(n_b, 1, center=0.3), 1).tolist()
    expected = stats.mannwhitneyu(b, a).statistic / (n_a * n_b)
    assert welch(a, b).probability_b_larger == pytest.approx(expected, rel=1e-12)


def test_ties_of_pairs_count_half() -> None:
    assert paired([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 4.0, 0.0]).probability_b_larger == 2.5 / 4


@pytest.mark.parametrize(("n_a", "n_b"), SIZES)
def test_hedges_g_is_cohens_d_made_smaller(n_a: int, n_b: int) -> None:
    a, b = numbers(n_a, 0), numbers(n_b, 1, center=0.5)
    degrees = n_a + n_b - 2
    pooled = math.sqrt(((n_a - 1) * np.var(a, ddof=1) + (n_b - 1) * np.var(b, ddof=1)) / degrees)
    correction = math.gamma(degrees / 2) / math.gamma((degrees - 1) / 2) / math.sqrt(degrees / 2)
    assert 0.5 < correction < 1
    assert welch(a, b).hedges_g == pytest.approx(correction * (np.mean(b) - np.mean(a)) / pooled, rel=1e-9)


def test_hedges_g_is_without_bias() -> None:
    """Over many samples of 5 rounds its mean is the true difference; without the correction it is 11% more."""
    drawn = np.random.default_rng(0).normal(0, 1, size=(2000, 2, 5))
    found = [welch(a.tolist(), (b + 1).tolist()).hedges_g for a, b in drawn]
    assert np.mean(found) == pytest.approx(1, abs=4 * np.std(found) / math.sqrt(2000))
    assert 4 * np.std(found) / math.sqrt(2000) < 0.08


def test_pairs_do_not_change_hedges_g() -> None:
    a, b = numbers(10, 0), numbers(10, 1, center=0.5)
    assert paired(a, b).hedges_g == welch(a, b).hedges_g
    assert welch(a, b).d_z is None


@pytest.mark.parametrize("margin", [0.05, 0.3, 0.6, 1.5])
@pytest.mark.parametrize("change", [-1.0, -0.1, 0.0, 0.4])
@pytest.mark.parametrize("test", [welch, paired])
def test_equivalence_is_two_one_sided_tests(test: Any, change: float, margin: float) -> None:
    a, b = numbers(12, 0), numbers(12, 1, center=change)
    moved_up, moved_down = [value + margin for value in b], [value - margin for value in b]
    options = {} if test is paired else {"equal_var": False}
    scipys = stats.ttest_rel if test is paired else stats.ttest_ind
    above = scipys(moved_up, a, alternative="greater", **options).pvalue
    below = scipys(moved_down, a, alternative="less", **options).pvalue
    low, high = scipys(b, a, **options).confidence_interval(0.90)
    found = test(a, b, margin).equivalence
    assert found.margin == margin
    assert found.p == pytest.approx(max(above, below), rel=1e-9)
    assert found.ci90 == pytest.approx((low, high), rel=1e-9)
    assert found.equivalent == (found.p < 0.05) == (-margin < low and high < margin)


@pytest.mark.parametrize("test", [welch, paired])
def test_without_a_margin_there_is_no_test_of_equivalence(test: Any) -> None:
    assert test([1.0, 2.0], [1.0, 3.0]).equivalence is None


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("test", [welch, paired])
def test_a_margin_is_positive(test: Any, margin: float) -> None:
    with pytest.raises(ValueError, match="margin of equivalence is positive and finite"):
        test([1.0, 2.0], [1.0, 3.0], margin)


def test_every_round_has_a_partner() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired([1.0, 2.0], [1.0])


def test_identical_pairs() -> None:
    a = numbers(5, 0)
    found = paired(a, a, 0.1)
    assert (found.identical, found.constant, found.difference, found.hedges_g) == (True, True, 0.0, 0.0)
    assert (found.p, found.t, found.ci95, found.d_z) == (None, None, None, None)
    assert found.equivalence == Equivalence(0.1, True, None, None)
    assert found.probability_b_larger == 0.5
    assert not paired(a, [*a[:-1], math.nextafter(a[-1], 9)]).identical
    assert not paired([1.0, 2.0], [2.0, 1.0]).identical
    assert not welch(a, a).identical


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([0.25, 0.5], [0.5, 0.75]),
        # The same on paper, but not in double precision.
        ([0.95, 0.5, 0.3], [0.94, 0.49, 0.29]),
        (numbers(20, 0), [value + 0.1 for value in numbers(20, 0)]),
    ],
)
def test_differences_that_do_not_vary_are_not_tested(a: list[float], b: list[float]) -> None:
    found = paired(a, b, 0.05)
    assert found.constant
    assert not found.identical
    assert (found.p, found.t, found.degrees, found.ci95, found.d_z) == (None,) * 5
    assert found.hedges_g is not None
    difference = b[0] - a[0]
    assert found.difference == pytest.approx(difference)
    assert found.equivalence == Equivalence(0.05, abs(difference) < 0.05, None, None)


def test_rounds_that_do_not_vary_are_not_tested() -> None:
    found = welch([1.0] * 4, [0.5] * 3, 0.1)
    assert (found.constant, found.difference, found.p, found.ci95, found.hedges_g) == (True, -0.5, None, None, None)
    assert found.equivalence == Equivalence(0.1, False, None, None)
    assert found.probability_b_larger == 0


def test_rounding_is_no_variation() -> None:
    """What stands between the two sets is their rounds' deviation, and that is none."""
    a, b = [0.1, 0.1, math.nextafter(0.1, 1)], [0.2, 0.2, math.nextafter(0.2, 1)]
    for found in (welch(a, b), paired(a, b)):
        assert (found.constant, found.p, found.hedges_g) == (True, None, None)


def test_a_single_round_is_not_tested() -> None:
    for found in (welch([1.0], [2.0, 3.0, 5.0], 0.1), paired([1.0], [3.0], 0.1)):
        assert (found.p, found.ci95, found.hedges_g, found.d_z, found.equivalence) == (None,) * 5
        assert found.difference == pytest.approx(found.mean_b - found.mean_a)
        assert not found.constant


def test_no_rounds() -> None:
    assert welch([], [1.0, 2.0]).as_dict() == {
        "paired": False, "n_a": 0, "n_b": 2, "identical": False, "constant": False
    }  # fmt: skip
    assert paired([], []).as_dict() == {"paired": True, "n_a": 0, "n_b": 0, "identical": False, "constant": False}


def test_numpys_numbers_are_welcome() -> None:
    a, b = np.array([1.7e308, 1.0]), np.array([-1.7e308, 2.0])
    assert paired(a, b) == paired(a.tolist(), b.tolist())
    assert welch(a, b) == welch(a.tolist(), b.tolist())


def test_a_comparison_is_json() -> None:
    found = paired([1.0, 2.0, 4.0], [1.5, 2.0, 5.0], 0.1).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found["equivalence"]) == {"margin", "equivalent", "p", "ci90"}
    assert "d_z" not in welch([1.0, 2.0, 4.0], [1.5, 2.0, 5.0]).as_dict()


def check_any(found: Comparison) -> None:
    """What holds whatever was compared."""
    plain = found.as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert found.p is None or 0 <= found.p <= 1
    assert found.probability_b_larger is None or 0 <= found.probability_b_larger <= 1
    if found.ci95 is not None:
        assert found.ci95[0] <= found.difference <= found.ci95[1]
    sentence = conclusion(found, ("one", "other"), "test loss", higher_is_better=False, missing=(0, 2))
    assert "one and other" in sentence or "that of one" in sentence or "to compare" in sentence
    assert not any(word in sentence for word in ("None", "nan", "inf", "prove"))


@quickly
@given(a=samples, b=samples, margin=margins)
@example(a=[1.7e308, -1.7e308], b=[1.7e308, 1.7e308], margin=1e308)
@example(a=[1.7e308] * 3, b=[-1.7e308] * 2, margin=None)
@example(a=[0.0, 5e-324], b=[0.0, 0.0], margin=1e-300)
@example(a=[1e-200, 2e-200], b=[1e200, 1e200], margin=None)
def test_any_finite_rounds_can_be_compared(a: list[float], b: list[float], margin: float | None) -> None:
    check_any(welch(a, b, margin))


@quickly
@given(rounds=pairs, margin=margins)
@example(rounds=([1.7e308, -1.7e308], [-1.7e308, 1.7e308]), margin=1e308)
@example(rounds=([1.7e308, 1.6e308], [1.6e308, 1.7e308]), margin=1e-308)
@example(rounds=([1.7e308, 1.7e308], [1.6e308, 1.6e308]), margin=None)
@example(rounds=([5e-324, 0.0, 0.0], [0.0, 0.0, 5e-324]), margin=5e-324)
@example(rounds=([1.0, 2.0, 3.0], [1.0, 2.0, math.nextafter(3, 4)]), margin=0.1)
def test_any_finite_pairs_can_be_compared(rounds: tuple[list[float], list[float]], margin: float | None) -> None:
    check_any(paired(*rounds, margin))


@quickly
@given(
    a=st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=12), b=st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=12)
)
def test_to_swap_a_and_b_is_to_turn_the_signs(a: list[float], b: list[float]) -> None:
    one, other = welch(a, b, 1.0), welch(b, a, 1.0)
    assert one.difference == -other.difference
    assert one.p == pytest.approx(other.p) if one.p is not None else other.p is None
    assert one.equivalence.equivalent == other.equivalence.equivalent
    assert one.probability_b_larger == pytest.approx(1 - other.probability_b_larger)


def test_a_true_difference_lies_in_19_of_20_intervals_and_none_is_found_in_1_of_20() -> None:
    drawn = np.random.default_rng(0).normal(0, [[1], [3]], size=(2000, 2, 6))
    found = [welch(a.tolist(), (b[:4] + 2).tolist()) for a, b in drawn]
    held = np.mean([each.ci95[0] <= 2 <= each.ci95[1] for each in found])
    assert abs(held - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


# In words.

SEEDS = numbers(20, 3, center=0.95, scale=0.01)


def said(found: Comparison, *, higher_is_better: bool = True, **options: Any) -> str:
    return conclusion(found, ("minidl", "torch"), "test accuracy", higher_is_better=higher_is_better, **options)


def moved(center: float, scale: float, count: int = 20) -> tuple[list[float], list[float]]:
    """Rounds and their partners, whose differences have this mean and about this deviation."""
    changes = np.random.default_rng(4).normal(size=count)
    changes = center + scale * (changes - np.mean(changes))
    return SEEDS[:count], [value + change for value, change in zip(SEEDS, changes.tolist(), strict=False)]


def test_a_difference_in_words() -> None:
    found = paired(*moved(0.0012, 0.001))
    low, high = found.ci95
    assert said(found) == (
        "the test accuracy of torch is 0.0012 higher than that of minidl on average "
        f"(95% interval {low:.3g} to {high:.3g}, p < 0.001, paired over 20 seeds): "
        f"a very small difference (Hedges' g {found.hedges_g:.2g}) in favour of torch, "
        "more than chance alone usually gives"
    )


def test_a_difference_downward_in_words() -> None:
    """The interval tells by how much it is lower."""
    found = welch(*moved(-0.03, 0.001))
    low, high = found.ci95
    assert low < high < 0
    assert said(found) == (
        "the test accuracy of torch is 0.03 lower than that of minidl on average "
        f"(95% interval {-high:.3g} to {-low:.3g}, p < 0.001, 20 and 20 rounds): "
        f"a large difference (Hedges' g {-found.hedges_g:.2g}) in favour of minidl, "
        "more than chance alone usually gives"
    )


@pytest.mark.parametrize(
    ("center", "higher_is_better", "better"),
    [(0.1, True, "torch"), (-0.1, True, "minidl"), (0.1, False, "minidl"), (-0.1, False, "torch")],
)
def test_the_better_one_in_words(center: float, higher_is_better: bool, better: str) -> None:
    assert f"in favour of {better}," in said(paired(*moved(center, 0.01)), higher_is_better=higher_is_better)


@pytest.mark.parametrize(
    ("size", "word"),
    [(0.19, "very small"), (0.21, "small"), (0.49, "small"), (0.51, "medium"), (0.79, "medium"), (0.81, "large")],
)
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_size_of_a_difference_in_words(size: float, word: str, sign: int) -> None:
    spread = np.std(SEEDS, ddof=1)
    found = paired(*moved(sign * size * float(spread), 1e-5))
    assert abs(found.hedges_g) == pytest.approx(size, abs=0.02)
    found = paired(*moved(sign * size * float(spread) * size / abs(found.hedges_g), 1e-5))
    assert f": a {word} difference (Hedges' g {abs(found.hedges_g):.2g}) in favour" in said(found)


def test_a_difference_within_the_margin_in_words() -> None:
    rounds = moved(0.0012, 0.001)
    assert said(paired(*rounds, 0.005)).endswith("more than chance alone usually gives, yet within ±0.005")
    assert said(paired(*rounds, 0.0013)).endswith("more than chance alone usually gives")


def test_no_difference_in_words() -> None:
    found = paired(*moved(-0.0001, 0.001))
    low, high = found.ci95
    assert said(found) == (
        "no difference in test accuracy was found between minidl and torch (torch minus minidl: -0.0001 on average, "
        f"95% interval {low:.3g} to {high:.3g}, p = {found.p:.3g}, paired over 20 seeds); "
        "that does not show that they are equal"
    )
    assert said(paired(*moved(-0.0001, 0.001), 0.0002)).endswith(
        "; that does not show that they are equal, nor that they are equivalent within ±0.0002"
    )


def test_equivalence_in_words() -> None:
    found = paired(*moved(-0.0001, 0.001), 0.005)
    low, high = found.equivalence.ci90
    assert said(found) == (
        "minidl and torch are equivalent in test accuracy within ±0.005 (torch minus minidl: -0.0001 on average, "
        f"90% interval {low:.3g} to {high:.3g}, p < 0.001, paired over 20 seeds)"
    )


def test_few_rounds_in_words() -> None:
    hint = "; with so few rounds this is a hint at most"
    assert said(paired(*moved(0.1, 0.01, count=4))).endswith(hint)
    assert said(welch(SEEDS, SEEDS[:4])).endswith(hint)
    assert not said(paired(*moved(0.1, 0.01, count=5))).endswith(hint)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (paired(SEEDS, SEEDS, 0.1), "the test accuracy of minidl and torch is identical in all 20 pairs"),
        (paired([0.5], [0.5]), "the test accuracy of minidl and torch is identical in the only pair"),
        (
            paired([0.5, 0.95], [0.49, 0.94]),
            "the test accuracy of torch is 0.01 lower than that of minidl (paired over 2 seeds); "
            "the differences do not vary, so they cannot be tested",
        ),
        (
            welch([1.0] * 5, [1.0] * 6),
            "the test accuracy of minidl and torch is the same up to rounding (5 and 6 rounds); "
            "neither varies, so they cannot be tested",
        ),
        (
            paired([0.5], [0.75]),
            "too few rounds to tell: the test accuracy of torch is 0.25 higher than that of minidl "
            "(paired over 1 seed)",
        ),
        (
            welch([0.5], [0.25, 0.75, 0.5]),
            "too few rounds to tell: the test accuracy of minidl and torch is the same up to rounding (1 and 3 rounds)",
        ),
        (welch([], [0.5]), "there is nothing to compare: no finished round"),
        (paired([], []), "there is nothing to compare: no pair of finished rounds"),
        (paired([1.7e308], [-1.7e308]), "the test accuracy is too large to compare"),
        (welch([1.7e308, -1.7e308], [1.0, 2.0]), "the test accuracy varies too much to compare"),
    ],
)
def test_what_cannot_be_tested_in_words(found: Comparison, sentence: str) -> None:
    assert said(found) == sentence


def test_rounds_without_a_result_in_words() -> None:
    found = welch(SEEDS, SEEDS[:17])
    plain = said(found)
    assert said(found, missing=(0, 3)) == f"{plain}; rounds without a result are left out (3 of torch)"
    assert said(found, missing=(1, 3)) == f"{plain}; rounds without a result are left out (1 of minidl, 3 of torch)"


def with_p(p: float | None) -> Comparison:
    return Comparison(True, 20, 20, difference=0.1, p=p)


def test_holm_by_hand() -> None:
    """The smallest of four is multiplied by 4, the next by 3, and so on, and none may be below one before it."""
    found = holm([with_p(0.03), with_p(0.01), with_p(None), with_p(0.04), with_p(0.005)])
    assert [each.p_holm for each in found] == [
        pytest.approx(0.06),
        pytest.approx(0.03),
        None,
        pytest.approx(0.06),
        0.02,
    ]
    assert [each.comparisons for each in found] == [4, 4, None, 4, 4]
    assert [each.p for each in found] == [0.03, 0.01, None, 0.04, 0.005]


def test_one_comparison_needs_no_correction() -> None:
    assert holm([with_p(0.03), with_p(None)]) == [with_p(0.03), with_p(None)]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_holm_keeps_the_order_and_never_lowers(values: list[float]) -> None:
    found = sorted(holm([with_p(p) for p in values]), key=lambda each: each.p)
    corrected = [each.p_holm for each in found]
    assert corrected == sorted(corrected)
    assert all(each.p <= each.p_holm <= 1 for each in found)


def test_a_corrected_difference_in_words() -> None:
    """What one comparison alone would call a difference may be chance among five."""
    rounds = moved(0.006, 0.010)
    alone = paired(*rounds)
    assert 0.01 < alone.p < 0.05
    first, *_ = holm([alone, *[with_p(0.9)] * 4])
    assert "more than chance alone" in said(alone)
    assert said(first).startswith("no difference in test accuracy was found")
    assert f"p = {5 * alone.p:.3g} by Holm's correction for 5," in said(first)


def test_differing_data_leave_no_winner() -> None:
    found = said(welch(*moved(0.1, 0.01)), same_data=False)
    assert "in favour of" not in found
    assert found.endswith("; their data differ, so this says nothing of the methods")
