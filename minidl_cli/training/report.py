"""What predictions are worth: scores of each class or target and their means, with their spread over rounds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import scores
from ..data.columns import Columns, Label, written
from ..metrics import METRICS
from ..scores import Floats, Integers
from ..statistics import Summary, summarize

Report = dict[str, Any]

# What is true of the samples of a round, classes [n] or numbers [n, outputs], and what is predicted, [n, outputs].
Predicted = tuple[NDArray[Any], NDArray[Any]]

# A confusion matrix of more classes is neither kept nor drawn: it has more numbers than anyone reads.
MOST_CLASSES = 100


@dataclass(frozen=True)
class _Classified:
    """What is found of a round's predictions of classes; `scores` are `[classes]` by name."""

    counts: scores.ClassCounts
    scores: dict[str, Floats]
    roc_auc: float
    confusion: Integers | None


def describe(columns: Columns, rounds: Iterable[Predicted], middle: float | None, *, planned: int) -> Report:
    """Describe predictions of classes or numbers, as `columns` say, by one of the two functions below."""
    if columns.classes is None:
        return regression_report(rounds, columns.targets, planned=planned)
    assert middle is not None
    return classification_report(rounds, columns.classes, middle, planned=planned)


def classification_report(
    rounds: Iterable[Predicted], labels: Sequence[Label], middle: float, *, planned: int
) -> Report:
    """Describe predictions of classes.

    Args:
        rounds: of each finished round, one at a time, the classes of its samples `[n]`, as places among `labels`,
            and its predictions `[n, outputs]`. With one output, a prediction above `middle` is class 1, and is the
            score for ROC AUC; with two, the score is their difference; with two or more, the class is that of the
            largest output (the first of equal ones).
        labels: the classes' names.
        middle: the border between the classes of a single output.
        planned: how many rounds there are, with those that diverged or failed.

    Returns:
        `metrics`: the statistics over rounds of `balanced_accuracy`, `precision`, `recall`, `f1` (means over the
        classes that occur) and `roc_auc` (of more than two classes the mean of each against the rest).
        `classes`: by label how many `samples` there are (a number if it is the same in all rounds, else its
        statistics), and the statistics of `precision`, `recall` and `f1` over the rounds in which the class occurs.
        `confusion`, for at most `MOST_CLASSES` classes: the `mean` over rounds of how many samples of each class (rows)
        are taken for which (columns), and their `std` where there are several rounds.
        A round whose predictions are not all finite counts as one that diverged. The report is empty if all did.
    """
    judged = [
        _classify(true, prediction, len(labels), middle) for true, prediction in rounds if np.isfinite(prediction).all()
    ]
    if not judged:
        return {}
    missing = planned - len(judged)
    described: Report = {
        "metrics": _summaries([_class_metrics(each) for each in judged], missing),
        "classes": {written(label): _describe_class(index, judged, missing) for index, label in enumerate(labels)},
    }
    matrices = [each.confusion for each in judged if each.confusion is not None]
    return described | ({"confusion": _describe_confusion(matrices)} if matrices else {})


def regression_report(rounds: Iterable[Predicted], targets: Sequence[str], *, planned: int) -> Report:
    """Describe predictions of numbers.

    Args:
        rounds: of each finished round, one at a time, the true values of its samples and its predictions, both
            `[n, outputs]`, in the targets' own units.
        targets: the names of the outputs.
        planned: how many rounds there are, with those that diverged or failed.

    Returns:
        `metrics`: the statistics over rounds of `rmse`, `mae` and `r2`, each the mean over the targets. Where there are
        several targets, `targets`: the same of each by name.
        A round whose predictions are not all finite counts as one that diverged. The report is empty if all did.
    """
    judged = [_target_scores(true, prediction) for true, prediction in rounds if np.isfinite(prediction).all()]
    if not judged:
        return {}
    missing = planned - len(judged)
    means = [{name: float(values.mean()) for name, values in each.items()} for each in judged]
    described: Report = {"metrics": _summaries(means, missing)}
    if len(targets) > 1:
        described["targets"] = {
            target: _summaries([_entry(each, index) for each in judged], missing)
            for index, target in enumerate(targets)
        }
    return described


def predicted_classes(prediction: NDArray[Any], middle: float) -> Integers:
    """Return the class of each sample, `[n]`, that outputs `[n, outputs]` speak for, as `measures.Judge` has it."""
    if prediction.shape[1] == 1:
        return np.asarray(prediction[:, 0] > middle, dtype=np.int64)
    return np.asarray(np.argmax(prediction, axis=1), dtype=np.int64)


def _classify(true: Integers, prediction: NDArray[Any], classes: int, middle: float) -> _Classified:
    found = predicted_classes(prediction, middle)
    counts = scores.count_classes(true, found, classes)
    of_classes = {"precision": scores.precision(counts), "recall": scores.recall(counts), "f1": scores.f1(counts)}
    confusion = scores.confusion_matrix(true, found, classes) if classes <= MOST_CLASSES else None
    return _Classified(counts, of_classes, _roc_auc(true, prediction), confusion)


def _roc_auc(true: Integers, prediction: NDArray[Any]) -> float:
    outputs = prediction.astype(np.float64)  # in single precision, rounding would make differences the same
    if outputs.shape[1] > 2:
        return scores.one_against_rest_roc_auc(true, outputs)
    return scores.roc_auc(true == 1, outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0])


def _class_metrics(of: _Classified) -> dict[str, float]:
    macro = {name: scores.macro(values, of.counts) for name, values in of.scores.items()}
    return {"balanced_accuracy": scores.balanced_accuracy(of.counts), **macro, "roc_auc": of.roc_auc}


def _describe_class(index: int, rounds: Sequence[_Classified], missing: int) -> dict[str, int | Summary]:
    samples = [int(each.counts.samples[index]) for each in rounds]
    found = [_entry(each.scores, index) for each in rounds if each.counts.occurs[index]]
    counted = samples[0] if len(set(samples)) == 1 else summarize(samples, higher_is_better=True)
    return {"samples": counted, **_summaries(found, missing)}


def _describe_confusion(matrices: Sequence[Integers]) -> Report:
    stacked = np.stack(matrices)
    described: Report = {"mean": stacked.mean(axis=0).tolist()}
    return described | ({"std": stacked.std(axis=0, ddof=1).tolist()} if len(stacked) > 1 else {})


def _target_scores(true: NDArray[Any], prediction: NDArray[Any]) -> dict[str, Floats]:
    """Return each score of one round, `[outputs]`; infinite where it is too large for a number."""
    values, predicted = true.T.astype(np.float64), prediction.T.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        return {
            "rmse": scores.root_mean_squared_error(values, predicted),
            "mae": scores.mean_absolute_error(values, predicted),
            "r2": scores.r2(values, predicted),
        }


def _entry(of: Mapping[str, Floats], index: int) -> dict[str, float]:
    """Return each score of one class or target."""
    return {name: float(values[index]) for name, values in of.items()}


def _summaries(rounds: Sequence[dict[str, float]], missing: int) -> dict[str, Summary]:
    """Return the statistics of each metric over the rounds that have it: in others it is NaN."""
    return {
        name: summarize(
            [each[name] for each in rounds if not np.isnan(each[name])],
            missing,
            higher_is_better=METRICS[name].higher_is_better,
        )
        for name in (rounds[0] if rounds else ())
    }
