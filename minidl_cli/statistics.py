"""Statistics over rounds."""

import math
import statistics
from collections.abc import Sequence

import numpy as np

Summary = dict[str, float | list[float]]


def summarize(values: Sequence[float], missing: int = 0, *, higher_is_better: bool) -> Summary:
    """Describe a metric over rounds.

    Mean, deviation and interval are those of the finished rounds; median and quartiles count the missing rounds
    as worse than any other. What does not exist (the deviation of one round, a median that is a missing round)
    is left out.

    Args:
        values: the metric of each finished round.
        missing: the number of rounds that diverged or failed.
        higher_is_better: which end of the scale the missing rounds go to.

    Returns:
        `n` (the finished rounds), `mean`, `std` (the sample's, n - 1), `cv` (std / mean), `ci95` (the 95%
        confidence interval of the mean by Student's t distribution, `[low, high]`), `median`, `q1`, `q3`
        (linearly interpolated), `min`, `max`. All are finite.
    """
    n = len(values)
    summary: Summary = {"n": n}
    if n == 0:
        return summary
    mean, std = _mean_and_deviation(values)
    half_width = student_t_quantile(0.975, n - 1) * std / math.sqrt(n) if n > 1 else math.nan
    worst = -math.inf if higher_is_better else math.inf
    quartiles = _quantiles([*values, *[worst] * missing], [0.25, 0.5, 0.75])
    described = {"mean": mean, "std": std, "cv": std / abs(mean) if mean else math.nan}
    described |= dict(zip(("q1", "median", "q3"), quartiles, strict=True), min=min(values), max=max(values))
    summary |= {name: value for name, value in described.items() if math.isfinite(value)}
    if math.isfinite(mean - half_width) and math.isfinite(mean + half_width):
        summary["ci95"] = [mean - half_width, mean + half_width]
    return summary


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the sample's standard deviation, NaN where there is none or it is too large."""
    try:
        return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan
    except OverflowError:
        return math.nan, math.nan


def _quantiles(values: Sequence[float], shares: Sequence[float]) -> list[float]:
    """Quantiles by linear interpolation (Hyndman and Fan's type 7), where infinite values spread to the neighbour."""
    ordered = sorted(values)
    found = []
    for share in shares:
        place = share * (len(ordered) - 1)
        below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
        weight = place - math.floor(place)
        found.append(below if weight == 0 or below == above else below + weight * (above - below))
    return [math.nan if not math.isfinite(value) else value for value in found]


def student_t_quantile(share: float, degrees: int) -> float:
    """Return the quantile of Student's t distribution with this many degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, share))


def median_index(values: Sequence[float]) -> int:
    """Return the index of the value in the middle of the ordered values (the lower one of two)."""
    order = np.argsort(values, kind="stable")
    return int(order[(len(values) - 1) // 2])
