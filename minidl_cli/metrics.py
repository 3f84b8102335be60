"""The metrics: what they are called, which end of their scale is the good one, and what difference matters."""

import math
from collections.abc import Container
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A number that says how well a network does.

    Attributes:
        name: as files and options have it, such as `mse`.
        title: as tables and figures have it.
        higher_is_better: which end of its scale is the good one.
        is_share: whether it lies between 0 and 1.
    """

    name: str
    title: str
    higher_is_better: bool = False
    is_share: bool = False

    def margin(self, mean: float) -> float | None:
        """Return the difference from a mean that is too small to matter: 0.01, or of an error a tenth of the mean.

        A tenth of no positive number is None.
        """
        if self.higher_is_better:
            return 0.01
        return 0.1 * mean if 0 < mean < math.inf else None


def _share(name: str, title: str) -> Metric:
    return Metric(name, title, higher_is_better=True, is_share=True)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("loss", "loss"),
        Metric("mse", "MSE"),
        Metric("rmse", "RMSE"),
        Metric("mae", "MAE"),
        Metric("r2", "R²", higher_is_better=True),
        _share("accuracy", "accuracy"),
        _share("balanced_accuracy", "balanced accuracy"),
        _share("precision", "precision"),
        _share("recall", "recall"),
        _share("f1", "F1"),
        _share("roc_auc", "ROC AUC"),
    )
}


def metric(name: str) -> Metric:
    """Return the metric that a name such as `test_accuracy` is about: the part of the data comes first.

    Raises:
        KeyError: there is none.
    """
    return METRICS[name.partition("_")[2]]


def measured(*, of_classes: bool) -> tuple[str, ...]:
    """Return the metrics that every part of the data has after each epoch and at the end."""
    return ("loss", "mse", "accuracy" if of_classes else "mae")


def headline(names: Container[str]) -> str:
    """Return which of the metrics of a run tells most of it: its test accuracy, or where numbers are learned, its MSE.

    Of metrics that several runs have in common, it is the one to compare them by.
    """
    return "test_accuracy" if "test_accuracy" in names else "test_mse"


def title(name: str) -> str:
    """Return the name of a part's metric as a table shows it, such as `test MSE` for `test_mse`."""
    return f"{name.partition('_')[0]} {metric(name).title}"
