"""Statistics over rounds."""

import math
import statistics
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Summary = dict[str, float | list[float]]

# For the ends of a 95% interval, 1,000 or more are the rule (Efron and Tibshirani 1993).
RESAMPLES = 2_000
# How many numbers of them are looked at together.
BLOCK_NUMBERS = 2**20


def summarize(values: Sequence[float], missing: int = 0, *, higher_is_better: bool) -> Summary:
    """Describe a metric over rounds.

    Mean, deviation and interval are those of the finished rounds; median, quartiles and interquartile mean count the
    missing rounds as worse than any other. What does not exist (the deviation of one round, a median that is a
    missing round) is left out.

    Args:
        values: the metric of each finished round.
        missing: the number of rounds that diverged or failed.
        higher_is_better: which end of the scale the missing rounds go to.

    Returns:
        `n` (the finished rounds), `mean`, `std` (the sample's, n - 1), `cv` (std / mean), `ci95` (the 95%
        confidence interval of the mean by Student's t distribution, `[low, high]`), `median`, `q1`, `q3`
        (linearly interpolated), `iqm` (the mean without the lowest and the highest ⌊n/4⌋ rounds, as Agarwal et al.
        2021 take it with `scipy.stats.trim_mean`), `iqm_ci95` (its 95% interval by the percentile bootstrap over
        rounds, from three finished rounds on; below ten or so it is too narrow), `min`, `max`. All are finite, and
        the same values in any order give the same numbers.
    """
    n = len(values)
    summary: Summary = {"n": n}
    if n == 0:
        return summary
    mean, std = mean_and_deviation(values)
    half_width = student_t_quantile(0.975, n - 1) * std / math.sqrt(n) if n > 1 else math.nan
    ordered = _with_missing(values, missing, higher_is_better)
    quartiles = _quantiles(ordered, [0.25, 0.5, 0.75])
    described = {"mean": mean, "std": std, "cv": std / abs(mean) if mean else math.nan}
    described |= dict(zip(("q1", "median", "q3"), quartiles, strict=True), min=min(values), max=max(values))
    described["iqm"] = _interquartile_mean(ordered)
    intervals = {"ci95": [mean - half_width, mean + half_width]}
    if n >= 3:
        intervals["iqm_ci95"] = _quantiles(_resampled_interquartile_means(ordered), [0.025, 0.975])
    summary |= {name: value for name, value in described.items() if math.isfinite(value)}
    summary |= {name: interval for name, interval in intervals.items() if all(map(math.isfinite, interval))}
    return summary


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the sample's standard deviation, NaN where there is none or it is too large."""
    if not all(map(math.isfinite, values)):
        return math.nan, math.nan
    try:
        return _mean(values), statistics.stdev(values) if len(values) > 1 else math.nan
    except OverflowError:
        return _mean(values), math.nan


def _mean(values: Sequence[float]) -> float:
    try:
        return statistics.fmean(values)
    except OverflowError:
        return math.nan


def _with_missing(values: Iterable[float], missing: int, higher_is_better: bool) -> list[float]:
    """Return the values in ascending order, with the missing rounds at the bad end, infinitely far away."""
    return sorted([*values, *[-math.inf if higher_is_better else math.inf] * missing])


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


def _interquartile_mean(ordered: Sequence[float]) -> float:
    cut = len(ordered) // 4
    return _mean(ordered[cut : len(ordered) - cut])


def _resampled_interquartile_means(ordered: Sequence[float]) -> list[float]:
    """Return the interquartile means of samples drawn with replacement from the rounds (Efron 1979)."""
    values, middle = np.array(ordered), _middle_places(len(ordered))
    blocks = (middle[block] for block in _blocks(len(ordered)))
    means = np.concatenate([(values[places] / middle.shape[1]).sum(axis=1) for places in blocks])
    # Rounding may carry the mean of values that are all the same beyond them.
    return [float(mean) for mean in np.clip(means, ordered[0], ordered[-1])]


@lru_cache(maxsize=1)
def _middle_places(rounds: int) -> NDArray[np.int32]:
    """Return which of the ordered rounds are the middle half of each sample, `[samples, half]`.

    For every metric of so many rounds they are the same.
    """
    import torch

    from .randomness import generator

    numbers, cut = generator(0, "bootstrap"), rounds // 4
    middle = np.empty((RESAMPLES, rounds - 2 * cut), np.int32)
    for block in _blocks(rounds):
        drawn = torch.randint(rounds, (block.stop - block.start, rounds), generator=numbers).numpy()
        # To sort places among the ordered rounds is to sort their values, and takes less time.
        middle[block] = np.sort(drawn)[:, cut : rounds - cut]
    return middle


def _blocks(rounds: int) -> list[slice]:
    """Divide the samples into blocks that take little memory: of many rounds, all of them take hundreds of MB."""
    size = max(1, BLOCK_NUMBERS // rounds)
    return [slice(first, min(first + size, RESAMPLES)) for first in range(0, RESAMPLES, size)]


def student_t_quantile(share: float, degrees: float) -> float:
    """Return the quantile of Student's t distribution with this many degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, share))


def student_t_tail(t: float, degrees: float) -> float:
    """Return the probability that Student's t distribution with this many degrees of freedom exceeds `t`."""
    from scipy.special import stdtr

    return float(stdtr(degrees, -t))


def median_index(values: Sequence[float]) -> int:
    """Return the index of the value in the middle of the ordered values (the lower one of two)."""
    order = np.argsort(values, kind="stable")
    return int(order[(len(values) - 1) // 2])


def success(values: Sequence[float], missing: int, target: float, *, higher_is_better: bool) -> Summary:
    """Describe how often a metric reaches a target.

    Args:
        values: the metric of each finished round.
        missing: the number of rounds that diverged or failed: they do not reach it.
        target: the value to reach or to pass.
        higher_is_better: whether to pass it upward.

    Returns:
        `target`, `successes`, `n` (all rounds, the missing ones too), and where there are any `rate` and `ci95`, its
        95% interval `[low, high]` by Wilson 1927, which Brown, Cai and DasGupta 2001 recommend.
    """
    successes, n = int(np.sum(_reached(values, target, higher_is_better))), len(values) + missing
    summary: Summary = {"target": target, "successes": successes, "n": n}
    if n == 0:
        return summary
    interval = [_wilson_low(successes, n), 1 - _wilson_low(n - successes, n)]
    return summary | {"rate": successes / n, "ci95": interval}


def _wilson_low(successes: int, n: int) -> float:
    """Return the lower end of Wilson's 95% interval; the upper one is that of the failures, turned round."""
    z = statistics.NormalDist().inv_cdf(0.975)
    spread = z * math.sqrt(successes * (n - successes) / n + z**2 / 4)
    return (successes + z**2 / 2 - spread) / (n + z**2)


def first_epochs(
    curves: ArrayLike, epochs: Sequence[int], target: float, *, higher_is_better: bool
) -> list[int | None]:
    """Return for each round the first logged epoch at which a metric reaches a target, None where it never does.

    Args:
        curves: the metric of each round at each logged epoch, `[rounds, epochs]`; NaN where a round has no value.
        epochs: the numbers of the logged epochs, ascending.
        target: the value to reach or to pass.
        higher_is_better: whether to pass it upward.
    """
    reached = _reached(curves, target, higher_is_better)
    return [epochs[int(np.argmax(row))] if row.any() else None for row in reached]


def epochs_to_target(
    curves: ArrayLike, epochs: Sequence[int], target: float, missing: int = 0, *, higher_is_better: bool
) -> Summary:
    """Describe how many epochs rounds need to reach a target.

    Args:
        curves: the metric of each finished round at each logged epoch, `[rounds, epochs]`; NaN where a round has
            no value, as after it stopped early.
        epochs: the numbers of the logged epochs, ascending.
        target: the value to reach or to pass.
        missing: the number of rounds that diverged or failed: they do not reach it, whatever came before.
        higher_is_better: whether to pass it upward.

    Returns:
        `target`, `reached` (how many rounds did), `n` (all rounds, the missing ones too), and `median`, `q1`, `q3` of
        the epochs needed, where rounds that never reach the target count as slower than any other. One that
        falls among those is left out.
    """
    found = first_epochs(curves, epochs, target, higher_is_better=higher_is_better)
    needed = [float(epoch) for epoch in found if epoch is not None]
    n = len(found) + missing
    summary: Summary = {"target": target, "reached": len(needed), "n": n}
    if n == 0:
        return summary
    quartiles = _quantiles(_with_missing(needed, n - len(needed), higher_is_better=False), [0.25, 0.5, 0.75])
    return summary | {
        name: epoch for name, epoch in zip(("q1", "median", "q3"), quartiles, strict=True) if math.isfinite(epoch)
    }


def _reached(values: ArrayLike, target: float, higher_is_better: bool) -> NDArray[np.bool_]:
    """Return where values are at the target or beyond it. NaN is not."""
    values = np.asarray(values, dtype=np.float64)
    reached: NDArray[np.bool_] = values >= target if higher_is_better else values <= target
    return reached
