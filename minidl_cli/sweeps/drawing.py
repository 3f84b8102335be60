"""The figures of a run folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import metrics
from ..data.columns import Columns, written
from ..display import figures
from ..nn.sequential import Sequential
from ..runs.folder import Run
from ..runs.metrics import MetricsLog
from ..statistics import median_index
from ..training.build import Task
from ..training.evaluation import predict, predict_rounds, restore
from ..training.report import Report
from ..training.round import Round
from ..training.samples import Samples
from ..training.trainer import final_weights

# The plane of a decision figure: points along each side, and the share of the data's extent around the data.
GRID_POINTS, GRID_MARGIN = 160, 0.02

FINAL_MSE = figures.Metric("train_mse", "final training MSE")


def draw_figures(run: Run, task: Task, rounds: Sequence[Round], log: MetricsLog, reports: Mapping[str, Report]) -> None:
    """Draw a run's figures into its folder.

    There is always `curves.png`; of several rounds `clusters.png`; for two classes of points in a plane `data.png`. If
    a round finished, there is `confusion.png` for at most a hundred classes, `decision.png` for the points in a plane,
    and `predicted.png` for numbers. Points that lack a coordinate are left out. `curves.png` is drawn last: where it
    is, all are.

    A round that diverged or failed is part of the curves as far as it came: the median of an epoch is that of the
    rounds that were trained for it, and the caption says how many reach the end. Until then the numbers of a round that
    failed are as good as those of any other: what kills a worker does not look at them.

    Args:
        run: the run folder.
        task: what was trained.
        rounds: all rounds, in the order of their seeds.
        log: the metrics of all epochs.
        reports: what the predictions of the finished rounds are worth, by the name of the part.
    """
    name = task.config.name
    title = name if len(rounds) > 1 else f"{name}, seed {rounds[0].seed}"
    if len(rounds) > 1:
        ends = {key: np.array([each.metrics.get(key, np.nan) for each in rounds]) for key in task.metrics}
        draw_clusters(run.path / "clusters.png", title, [figures.Finals(name, ends)], metrics.headline(task.metrics))
    if "confusion" in reports.get("test", {}):
        _draw_confusion(run.path / "confusion.png", title, reports["test"])
    finished = [each for each in rounds if each.status == "finished"]
    if is_plane(task.dataset.columns):
        draw_data(run.path / "data.png", task, (finished or rounds)[0].seed)
    if finished:
        headline = metrics.headline(task.metrics)
        middle = finished[median_index([each.metrics[headline] for each in finished])]
        which = "" if len(rounds) == 1 else f", the round of median {metrics.title(headline)}"
        _draw_round(run, task, middle, f"{name}, seed {middle.seed}{which}")
    _draw_curves(run.path / "curves.png", title, task, log)


def _draw_curves(path: Path, title: str, task: Task, log: MetricsLog) -> None:
    beside = _beside_loss(task, log)
    figures.draw_curves(
        path,
        title,
        np.asarray(log.epochs),
        [figures.Curve(part, log.values[f"{part}_loss"]) for part in task.sizes],
        [figures.Curve(part, log.values[f"{part}_{beside.name}"]) for part in task.sizes],
        loss_label=f"loss ({task.config.loss.name})",
        metric=figures.Metric(beside.name, beside.title, beside.higher_is_better),
    )


def _draw_confusion(path: Path, title: str, report: Report) -> None:
    matrices = {name: np.array(values) for name, values in report["confusion"].items()}
    figures.draw_confusion(path, f"{title}: test samples", list(report["classes"]), **matrices)


def _draw_round(run: Run, task: Task, of: Round, title: str) -> None:
    """Draw what a round makes of its test samples, where that can be seen: of a plane, or of numbers."""
    weights = {key: torch.from_numpy(values) for key, values in final_weights(task.config, of).items()}
    if task.dataset.columns.classes is None:
        _draw_predicted(run.path / "predicted.png", title, task, weights, of.seed)
    elif is_plane(task.dataset.columns):
        _draw_decision(run.path / "decision.png", title, task, restore_one(task, weights), of.seed)


def _draw_predicted(path: Path, title: str, task: Task, weights: Mapping[str, Tensor], seed: int) -> None:
    stacked = {name: values.unsqueeze(0) for name, values in weights.items()}
    true, predicted = next(predict_rounds(task, [seed], stacked, "test"))
    columns = zip(task.dataset.columns.targets, true.T, predicted.T, strict=True)
    figures.draw_true_against_predicted(path, title, [figures.Target(*column) for column in columns])


def _beside_loss(task: Task, log: MetricsLog) -> metrics.Metric:
    """Return the metric that `curves.png` has beside the loss: of numbers the MSE, or the MAE if that is the loss."""
    if task.dataset.columns.classes is not None:
        return metrics.METRICS["accuracy"]
    is_loss = np.array_equal(log.values["test_loss"], log.values["test_mse"], equal_nan=True)
    return metrics.METRICS["mae" if is_loss else "mse"]


def draw_clusters(path: Path, title: str, groups: Sequence[figures.Finals], metric: str) -> None:
    """Draw a final metric of all rounds, such as `test_accuracy`, over their final training MSE."""
    figures.draw_final_pairs(path, title, groups, loss=FINAL_MSE, metric=final(metric))


def final(name: str) -> figures.Metric:
    """Return how figures show a final metric, such as `test_accuracy`."""
    return figures.Metric(name, f"final {metrics.title(name)}", metrics.metric(name).higher_is_better)


def is_plane(columns: Columns) -> bool:
    """Tell whether samples are points in a plane, of two classes."""
    return [column.kind for column in columns.inputs] == ["number"] * 2 and len(columns.classes or ()) == 2


def axis_labels(columns: Columns) -> tuple[str, str]:
    """Return what the axes of a plane are called."""
    x, y = columns.inputs
    return x.name, y.name


def class_names(columns: Columns) -> tuple[str, str]:
    """Return what the two classes of a plane are called."""
    assert columns.classes is not None
    one, other = (label if isinstance(label, str) else f"class {written(label)}" for label in columns.classes)
    return one, other


def draw_data(path: Path, task: Task, seed: int) -> None:
    """Draw the samples of a round, part by part."""
    parts = []
    for name, samples in task.samples([seed]).items():
        points, targets = _points(samples)
        parts.append(figures.Part(name, points.numpy(), _is_class_one(targets, task).long().numpy()))
    which = f", seed {seed}" if task.config.data_seed == "round" else ""
    title, columns = f"{task.config.name}: the data{which}", task.dataset.columns
    labels, names = axis_labels(columns), class_names(columns)
    figures.draw_dataset(path, title, parts, border=_border(task), axis_labels=labels, class_names=names)


def _points(samples: Samples) -> tuple[Tensor, Tensor]:
    """Return the samples of one round that lack no coordinate, `[n, 2]`, and their targets, `[1, n, outputs]`."""
    inputs, targets = next(samples.in_order(1, len(samples)))
    complete = inputs[0].isfinite().all(dim=0)
    return inputs[0, :, complete].T, targets[:, :, complete].mT


def restore_one(task: Task, weights: Mapping[str, Tensor]) -> Sequential:
    """Return the task's network with the weights of one round, each `[*shape]`."""
    return restore(task.network, {name: values.unsqueeze(0) for name, values in weights.items()})


def predictions_on_test(task: Task, network: Sequential, seed: int, label: str) -> figures.Predictions:
    """Return which predictions of a network of one round are right on its test samples."""
    points, targets = _points(task.samples([seed])["test"])
    correct = _is_class_one(predict(network, task.judge, points), task) == _is_class_one(targets, task)
    return figures.Predictions(label, points.numpy(), correct.numpy())


def _draw_decision(path: Path, title: str, task: Task, network: Sequential, seed: int) -> None:
    points, targets = _points(task.samples([seed])["test"])
    if not len(points):
        return
    low, high = points.min(dim=0).values, points.max(dim=0).values
    margin = torch.where(high > low, GRID_MARGIN * (high - low), 0.5)
    x, y = (
        torch.linspace(float(start), float(end), GRID_POINTS)
        for start, end in zip(low - margin, high + margin, strict=True)
    )
    grid = torch.cartesian_prod(y, x).flip(1)
    scores = _class_one_score(predict(network, task.judge, grid), task)
    absent, present = task.dataset.target_values
    figures.draw_decision(
        path,
        title,
        x=x.numpy(),
        y=y.numpy(),
        prediction=scores.view(GRID_POINTS, GRID_POINTS).numpy(),
        levels=(absent, task.dataset.middle, present),
        border=_border(task),
        points=points.numpy(),
        labels=_is_class_one(targets, task).long().numpy(),
        correct=predictions_on_test(task, network, seed, "").correct,
        axis_labels=axis_labels(task.dataset.columns),
        class_names=class_names(task.dataset.columns),
    )


def _border(task: Task) -> list[NDArray[Any]]:
    return [line.numpy() for line in task.dataset.border()]


def _is_class_one(outputs: Tensor, task: Task) -> Tensor:
    return _class_one_score(outputs, task) > task.dataset.middle


def _class_one_score(outputs: Tensor, task: Task) -> Tensor:
    """Return how far outputs `[1, samples, outputs]` lean to class 1, on the scale of the target values.

    With two outputs it is half their difference from the midpoint on, so that the border between the classes
    is where it is for one.
    """
    if outputs.shape[2] == 1:
        return outputs[0, :, 0]
    return task.dataset.middle + (outputs[0, :, 1] - outputs[0, :, 0]) / 2
