"""Whether a metric of two sets of rounds differs, by how much, and in words.

The two sets are called A and B, and a difference is that of B from A. Rounds that diverged or failed have no value and
take no part: means and tests are those of the finished rounds, in pairs of those that both finished.
"""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from .statistics import mean_and_deviation, student_t_quantile, student_t_tail

Interval = tuple[float, float]

# Both of the difference and of the equivalence.
SIGNIFICANCE = 0.05
# With fewer rounds than this a sentence warns: a deviation is then hardly known.
FEW_ROUNDS = 5


@dataclass(frozen=True)
class Equivalence:
    """Whether A and B are shown to differ by less than a margin: two one-sided tests (TOST; Schuirmann 1987).

    Attributes:
        margin: the difference, either way, below which A and B pass for equivalent.
        equivalent: whether p is below 5%, which it is where `ci90` lies within the margin. Where nothing varies:
            whether the difference is within it.
        p: the larger p-value of the two tests; None where nothing varies.
        ci90: the 90% confidence interval of the difference; None where nothing varies.
    """

    margin: float
    equivalent: bool
    p: float | None
    ci90: Interval | None


@dataclass(frozen=True)
class Comparison:
    """A metric of the rounds of B, held against that of the rounds of A.

    All numbers are finite. What does not exist is None: the test of a single round, or of differences that do not
    vary but for rounding, or what is too large for a number.

    Attributes:
        paired: whether each round of A was compared with its partner in B.
        n_a: the number of rounds of A.
        n_b: the number of rounds of B.
        mean_a: the mean of A.
        mean_b: the mean of B.
        difference: the mean of B less that of A.
        ci95: its 95% confidence interval by Student's t distribution.
        t: the difference over its standard error.
        degrees: the degrees of freedom.
        p: the probability of a `t` at least this far from zero, either way, if A and B did not differ.
        p_holm: the same, corrected by `holm` for several comparisons; None where there is one only.
        comparisons: how many comparisons of the metric it was corrected for.
        hedges_g: the difference over the deviation of the rounds, pooled over A and B, with the correction for few
            rounds of Hedges 1981. Pairs do not change it, so it tells how large the difference is beside the
            spread over seeds.
        d_z: the difference over the deviation of the differences within pairs (Cohen 1988). Of pairs only.
        probability_b_larger: how often a round of B has the larger value, held against a round of A (against its
            partner where there are pairs); ties count half. Of independent rounds this is Mann and Whitney's U over
            its maximum; Bouthillier et al. 2021 recommend it.
        identical: whether the rounds are paired and all pairs are equal, bit for bit.
        constant: whether there are several rounds, but nothing varies but for rounding: not the differences within
            pairs, or, without pairs, neither A nor B.
        equivalence: the test of equivalence, if there is a margin.
    """

    paired: bool
    n_a: int
    n_b: int
    mean_a: float | None = None
    mean_b: float | None = None
    difference: float | None = None
    ci95: Interval | None = None
    t: float | None = None
    degrees: float | None = None
    p: float | None = None
    p_holm: float | None = None
    comparisons: int | None = None
    hedges_g: float | None = None
    d_z: float | None = None
    probability_b_larger: float | None = None
    identical: bool = False
    constant: bool = False
    equivalence: Equivalence | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return all that exists, as JSON has it."""
        return asdict(self, dict_factory=_present)


def _present(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in items if value is not None}


def welch(a: Sequence[float], b: Sequence[float], margin: float | None = None) -> Comparison:
    """Compare independent rounds by Welch's t test, in which the deviations may differ (Welch 1947).

    Colas et al. 2018 recommend it for comparisons over seeds.

    Args:
        a: a metric of the finished rounds of A.
        b: the same of B.
        margin: the margin of equivalence, if that is to be tested.

    Raises:
        ValueError: the margin is not positive and finite.
    """
    a, b = _floats(a), _floats(b)
    if not (a and b):
        return Comparison(False, len(a), len(b))
    (mean_a, std_a), (mean_b, std_b) = mean_and_deviation(a), mean_and_deviation(b)
    error_a, error_b = std_a / math.sqrt(len(a)), std_b / math.sqrt(len(b))
    error = _unless_rounding(math.hypot(error_a, error_b), a + b)
    degrees = math.nan
    if error > 0:
        # Welch and Satterthwaite's, from shares of the variance, which neither overflow nor vanish.
        share_a, share_b = (error_a / error) ** 2, (error_b / error) ** 2
        degrees = 1 / (share_a**2 / (len(a) - 1) + share_b**2 / (len(b) - 1))
    estimate = _Estimate(mean_b - mean_a, error, degrees)
    ordered = np.sort(a)
    places = np.searchsorted(ordered, b, "left") + np.searchsorted(ordered, b, "right")
    probability = float(np.mean(places)) / (2 * len(a))
    return _described(a, b, estimate, margin, paired=False, probability_b_larger=probability)


def paired(a: Sequence[float], b: Sequence[float], margin: float | None = None) -> Comparison:
    """Compare rounds in pairs, those of the same seed and data, by Student's t test of their differences.

    Args:
        a: a metric of those rounds of A whose partner has finished too.
        b: the same of their partners in B, in the same order.
        margin: the margin of equivalence, if that is to be tested.

    Raises:
        ValueError: the margin is not positive and finite, or a round has no partner.
    """
    a, b = _floats(a), _floats(b)
    differences = [y - x for x, y in zip(a, b, strict=True)]
    if not differences:
        return Comparison(True, 0, 0)
    mean, std = mean_and_deviation(differences)
    std = _unless_rounding(std, a + b)
    estimate = _Estimate(mean, std / math.sqrt(len(a)), len(a) - 1)
    probability = float(1 + np.mean(np.sign(differences))) / 2
    comparison = _described(a, b, estimate, margin, paired=True, probability_b_larger=probability)
    return replace(comparison, d_z=_finite(mean / std) if std else None, identical=a == b)


def holm(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return comparisons of one metric with p-values corrected for their number (Holm 1979).

    Among twenty comparisons of equals one looks like a difference; with the correction, one in twenty such sets does.
    Untested comparisons do not count.
    """
    tested = sorted((found.p, place) for place, found in enumerate(comparisons) if found.p is not None)
    corrected = list(comparisons)
    largest = 0.0
    for rank, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * p))
        if len(tested) > 1:
            corrected[place] = replace(comparisons[place], p_holm=largest, comparisons=len(tested))
    return corrected


@dataclass(frozen=True)
class _Estimate:
    """A difference with its standard error (NaN where it is unknown) and the degrees of freedom of that."""

    difference: float
    error: float
    degrees: float

    @property
    def testable(self) -> bool:
        return math.isfinite(self.difference) and self.error > 0

    def interval(self, level: float) -> Interval | None:
        half_width = student_t_quantile((1 + level) / 2, self.degrees) * self.error
        low, high = self.difference - half_width, self.difference + half_width
        return (low, high) if math.isfinite(low) and math.isfinite(high) else None

    def equivalence(self, margin: float) -> Equivalence | None:
        if self.error == 0:
            return Equivalence(margin, abs(self.difference) < margin, None, None)
        if not self.testable:
            return None
        p = student_t_tail((margin - abs(self.difference)) / self.error, self.degrees)
        return Equivalence(margin, p < SIGNIFICANCE, p, self.interval(0.90))


def _described(
    a: list[float],
    b: list[float],
    estimate: _Estimate,
    margin: float | None,
    *,
    paired: bool,
    probability_b_larger: float,
) -> Comparison:
    """Return the comparison that follows from an estimate, without what pairs alone have."""
    if margin is not None and not 0 < margin < math.inf:
        raise ValueError(f"a margin of equivalence is positive and finite, not {margin}")
    comparison = Comparison(
        paired=paired,
        n_a=len(a),
        n_b=len(b),
        mean_a=_finite(mean_and_deviation(a)[0]),
        mean_b=_finite(mean_and_deviation(b)[0]),
        difference=_finite(estimate.difference),
        hedges_g=_hedges_g(a, b, estimate.difference),
        probability_b_larger=probability_b_larger,
        constant=estimate.error == 0,
        equivalence=None if margin is None else estimate.equivalence(margin),
    )
    if not estimate.testable:
        return comparison
    t = estimate.difference / estimate.error
    p = 2 * student_t_tail(abs(t), estimate.degrees)
    return replace(comparison, ci95=estimate.interval(0.95), t=t, degrees=estimate.degrees, p=p)


def _hedges_g(a: list[float], b: list[float], difference: float) -> float | None:
    degrees = len(a) + len(b) - 2
    if len(a) < 2 or len(b) < 2:
        return None
    deviations = [math.sqrt((len(each) - 1) / degrees) * mean_and_deviation(each)[1] for each in (a, b)]
    pooled = _unless_rounding(math.hypot(*deviations), a + b)
    if not pooled:
        return None
    correction = math.exp(math.lgamma(degrees / 2) - math.lgamma((degrees - 1) / 2)) / math.sqrt(degrees / 2)
    return _finite(correction * difference / pooled)


def _floats(values: Iterable[float]) -> list[float]:
    return [float(value) for value in values]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _unless_rounding(deviation: float, values: Sequence[float]) -> float:
    """Return the deviation, or 0 where it is no more than what rounding makes of values that do not vary.

    The differences of 0.95 and 0.94 and of 0.5 and 0.49 are the same on paper, but not in double precision.
    """
    return 0.0 if deviation <= sys.float_info.epsilon * max(map(abs, values)) else deviation


def conclusion(
    comparison: Comparison,
    names: tuple[str, str],
    metric: str,
    *,
    higher_is_better: bool,
    missing: tuple[int, int] = (0, 0),
    same_data: bool = True,
) -> str:
    """Say in one sentence what a comparison shows, and no more.

    Args:
        comparison: of A and B.
        names: what A and B are called.
        metric: what was compared, in words, such as `test accuracy`.
        higher_is_better: which end of its scale is the good one.
        missing: how many rounds of A and of B diverged or failed.
        same_data: whether A and B learned and were tested on the same data, or on data of the same distribution.
    """
    sentence = _Wording(comparison, *names, metric, higher_is_better, same_data).sentence()
    if not same_data:
        sentence += "; their data differ, so this says nothing of the methods"
    left_out = [f"{count} of {name}" for count, name in zip(missing, names, strict=True) if count]
    return f"{sentence}; rounds without a result are left out ({', '.join(left_out)})" if left_out else sentence


@dataclass(frozen=True)
class _Wording:
    """The parts of a sentence about a comparison of `a` and `b`."""

    found: Comparison
    a: str
    b: str
    metric: str
    higher_is_better: bool
    same_data: bool

    def sentence(self) -> str:
        found, fewest = self.found, min(self.found.n_a, self.found.n_b)
        if fewest == 0:
            return f"there is nothing to compare: no {'pair of finished rounds' if found.paired else 'finished round'}"
        if found.identical:
            pairs = "the only pair" if fewest == 1 else f"all {fewest} pairs"
            return f"the {self.metric} of {self.a} and {self.b} is identical in {pairs}"
        if found.difference is None:
            return f"the {self.metric} is too large to compare"
        if fewest == 1:
            return f"too few rounds to tell: {self.relation(found.difference)} ({self.rounds()})"
        if found.constant:
            what = "the differences do not vary, so they" if found.paired else "neither varies, so they"
            return f"{self.relation(found.difference)} ({self.rounds()}); {what} cannot be tested"
        if found.p is None:
            return f"the {self.metric} varies too much to compare"
        p = found.p if found.p_holm is None else found.p_holm
        shown = (self.difference if p < SIGNIFICANCE else self.no_difference)(found.difference, p)
        return shown if fewest >= FEW_ROUNDS else f"{shown}; with so few rounds this is a hint at most"

    def difference(self, difference: float, p: float) -> str:
        """What to say of a difference that chance alone seldom gives."""
        equivalence = self.found.equivalence
        better = self.b if (difference > 0) == self.higher_is_better else self.a
        interval = self.found.ci95
        if interval and difference < 0:
            # By how much B is lower.
            interval = (-interval[1], -interval[0])
        evidence = self.evidence("95%", interval, p, self.correction())
        verdict = f"{self.size()} in favour of {better}" if self.same_data else self.size()
        remark = f", yet within ±{equivalence.margin:.2g}" if equivalence and equivalence.equivalent else ""
        return (
            f"{self.relation(difference)} on average ({evidence}): {verdict}, "
            f"more than chance alone usually gives{remark}"
        )

    def no_difference(self, difference: float, p: float) -> str:
        """What to say of a difference that may well be due to chance."""
        equivalence = self.found.equivalence
        mean = f"{self.b} minus {self.a}: {difference:.3g} on average"
        if equivalence and equivalence.equivalent and equivalence.p is not None:
            evidence = self.evidence("90%", equivalence.ci90, equivalence.p)
            within = f"within ±{equivalence.margin:.2g}"
            return f"{self.a} and {self.b} are equivalent in {self.metric} {within} ({mean}, {evidence})"
        remark = f", nor that they are equivalent within ±{equivalence.margin:.2g}" if equivalence else ""
        evidence = self.evidence("95%", self.found.ci95, p, self.correction())
        return (
            f"no difference in {self.metric} was found between {self.a} and {self.b} ({mean}, {evidence}); "
            f"that does not show that they are equal{remark}"
        )

    def relation(self, difference: float) -> str:
        means = [abs(mean) for mean in (self.found.mean_a, self.found.mean_b) if mean is not None]
        if abs(difference) <= sys.float_info.epsilon * max(means, default=0.0):
            return f"the {self.metric} of {self.a} and {self.b} is the same up to rounding"
        direction = "lower" if difference < 0 else "higher"
        return f"the {self.metric} of {self.b} is {abs(difference):.3g} {direction} than that of {self.a}"

    def evidence(self, level: str, interval: Interval | None, p: float, correction: str = "") -> str:
        parts = [f"{level} interval {interval[0]:.3g} to {interval[1]:.3g}"] if interval else []
        return ", ".join([*parts, ("p < 0.001" if p < 0.001 else f"p = {p:.3g}") + correction, self.rounds()])

    def correction(self) -> str:
        return f" by Holm's correction for {self.found.comparisons}" if self.found.p_holm is not None else ""

    def rounds(self) -> str:
        n_a, n_b = self.found.n_a, self.found.n_b
        if self.found.paired:
            return f"paired over {n_a} seed{'s' * (n_a != 1)}"
        return f"{n_a} and {n_b} rounds"

    def size(self) -> str:
        """How large a difference is beside the spread over rounds, in the words of Cohen 1988."""
        if self.found.hedges_g is None:
            return "a difference"
        size = abs(self.found.hedges_g)
        word = "very small" if size < 0.2 else "small" if size < 0.5 else "medium" if size < 0.8 else "large"
        return f"a {word} difference (Hedges' g {size:.2g})"
