"""How good predictions are: scores of classes, and of numbers.

Where scikit-learn has a score, this is the same number: `zero_division=0`, and for several targets `raw_values`.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ClassCounts:
    """How often each class occurs, and is predicted; all attributes are `[classes]`.

    Attributes:
        samples: how many samples are of the class.
        predicted: how many are taken for it.
        hits: how many are both.
    """

    samples: Integers
    predicted: Integers
    hits: Integers

    @property
    def occurs(self) -> NDArray[np.bool_]:
        """Which classes there are, among the samples or the predictions: only those have a share in a macro average."""
        present: NDArray[np.bool_] = (self.samples > 0) | (self.predicted > 0)
        return present


def count_classes(true: Integers, predicted: Integers, classes: int) -> ClassCounts:
    """Count samples by class.

    Args:
        true: the class of each sample, `[n]`, from 0 to `classes - 1`.
        predicted: what it is taken for, `[n]`.
        classes: how many classes there are, whether they occur or not.
    """
    hits = true[true == predicted]
    return ClassCounts(*(np.bincount(each, minlength=classes) for each in (true, predicted, hits)))


def confusion_matrix(true: Integers, predicted: Integers, classes: int) -> Integers:
    """Return how many samples of each class (rows) are taken for which (columns), `[classes, classes]`.

    `true` and `predicted` are `[n]`, from 0 to `classes - 1`.
    """
    counts = np.bincount(true * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes)


def balanced_accuracy(counts: ClassCounts) -> float:
    """Return the mean recall of the classes that have samples (Brodersen et al. 2010); NaN of no samples."""
    return _mean(recall(counts)[counts.samples > 0])


def precision(counts: ClassCounts) -> Floats:
    """Return for each class the share of its predictions that are right, 0 where it is never predicted, `[classes]`."""
    return _ratio(counts.hits, counts.predicted)


def recall(counts: ClassCounts) -> Floats:
    """Return for each class the share of its samples that are found, 0 where it has none, `[classes]`."""
    return _ratio(counts.hits, counts.samples)


def f1(counts: ClassCounts) -> Floats:
    """Return for each class the harmonic mean of precision and recall, 0 where both are, `[classes]`.

    2 P R / (P + R) = 2 hits / (samples + predicted), as P = hits / predicted and R = hits / samples
    (van Rijsbergen 1979).
    """
    return _ratio(2 * counts.hits, counts.samples + counts.predicted)


def macro(scores: Floats, counts: ClassCounts) -> float:
    """Return the mean of a score `[classes]` over the classes that occur, each with the same weight."""
    return _mean(scores[counts.occurs])


def roc_auc(positive: NDArray[np.bool_], score: NDArray[Any]) -> float:
    """Return the area under the receiver operating characteristic.

    It is the share of the pairs of a positive and a negative sample in which the positive one has the higher score;
    a tie counts half (Mann and Whitney 1947; Hanley and McNeil 1982).

    Args:
        positive: which samples are of the class, `[n]`.
        score: how much each seems to be, `[n]`, on any scale.

    Returns:
        The area, from 0 to 1; NaN where the samples are all positive or all negative.
    """
    inside, outside = np.sort(score[positive]), np.sort(score[~positive])
    if not (inside.size and outside.size):
        return math.nan
    below = int(np.searchsorted(outside, inside, side="left").sum())
    not_above = int(np.searchsorted(outside, inside, side="right").sum())
    return (below + not_above) / (2 * inside.size * outside.size)


def one_against_rest_roc_auc(true: Integers, scores: NDArray[Any]) -> float:
    """Return the mean area under the ROC of each class against all others.

    Args:
        true: the class of each sample, `[n]`.
        scores: how much each sample seems to be of each class, `[n, classes]`.

    Returns:
        The mean over the classes that have samples, but not all of them; NaN where there is no such class.
    """
    areas = np.array([roc_auc(true == index, score) for index, score in enumerate(scores.T)])
    return _mean(areas[~np.isnan(areas)])


def mean_squared_error(true: Floats, predicted: Floats) -> Floats:
    """Return the MSE of each target, `[targets]`, given true and predicted values `[targets, n]`."""
    return np.asarray(np.square(true - predicted).mean(axis=-1))


def root_mean_squared_error(true: Floats, predicted: Floats) -> Floats:
    """Return the RMSE of each target, `[targets]`, given true and predicted values `[targets, n]`."""
    return np.asarray(np.sqrt(mean_squared_error(true, predicted)))


def mean_absolute_error(true: Floats, predicted: Floats) -> Floats:
    """Return the MAE of each target, `[targets]`, given true and predicted values `[targets, n]`."""
    return np.asarray(np.abs(true - predicted).mean(axis=-1))


def r2(true: Floats, predicted: Floats) -> Floats:
    """Return the coefficient of determination of each target, `[targets]`, given values `[targets, n]`.

    R² = 1 - Σ(t - p)² / Σ(t - mean t)². Where all true values are the same it is 1 for perfect predictions and 0 for
    others; of fewer than two samples it is NaN.
    """
    samples = true.shape[-1]
    if samples < 2:
        return np.full(true.shape[:-1], math.nan)
    # The mean of equal numbers may be rounded, and their variance then not 0.
    variance = np.where(np.ptp(true, axis=-1) == 0, 0.0, true.var(axis=-1))
    error = mean_squared_error(true, predicted)
    return np.where(variance == 0, error == 0, 1 - _ratio(error, variance))


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    """Return the quotients, 0 where the denominator is 0."""
    quotients: Floats = np.zeros(np.shape(numerator))
    np.divide(numerator, denominator, out=quotients, where=np.asarray(denominator != 0))
    return quotients


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else math.nan
