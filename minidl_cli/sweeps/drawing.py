"""The figures of a run folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..display import figures
from ..nn.sequential import Sequential
from ..runs.folder import Run
from ..runs.metrics import MetricsLog
from ..statistics import median_index
from ..training.build import Task
from ..training.evaluation import predict, restore
from ..training.trainer import Round, final_weights

# The plane of a decision figure: points along each side, and the share of the data's extent around the data.
GRID_POINTS, GRID_MARGIN = 160, 0.02

FINAL_MSE = figures.Metric("train_mse", "final training MSE")
FINAL_ACCURACY = figures.Metric("test_accuracy", "final test accuracy", higher_is_better=True)


def draw_figures(run: Run, task: Task, rounds: Sequence[Round], log: MetricsLog) -> None:
    """Draw a run's figures into its folder.

    There is always `curves.png`; of several rounds `clusters.png`; for two classes of points in a plane `data.png`, and
    if a round finished `decision.png`.

    Args:
        run: the run folder.
        task: what was trained.
        rounds: all rounds, in the order of their seeds.
        log: the metrics of all epochs.
    """
    name = task.config.name
    title = name if len(rounds) > 1 else f"{name}, seed {rounds[0].seed}"
    figures.draw_curves(
        run.path / "curves.png",
        title,
        np.asarray(log.epochs),
        loss=[figures.Curve(part, log.values[f"{part}_loss"]) for part in task.sizes],
        accuracy=[figures.Curve(part, log.values[f"{part}_accuracy"]) for part in task.sizes],
        loss_label=f"loss ({task.config.loss.name})",
    )
    if len(rounds) > 1:
        ends = {key: np.array([each.metrics.get(key, np.nan) for each in rounds]) for key in task.metrics}
        draw_clusters(run.path / "clusters.png", title, [figures.Finals(name, ends)])
    finished = [each for each in rounds if each.status == "finished"]
    if not is_plane(task):
        return
    draw_data(run.path / "data.png", task, (finished or rounds)[0].seed)
    if finished:
        middle = finished[median_index([each.metrics["test_accuracy"] for each in finished])]
        which = f"seed {middle.seed}" if len(rounds) == 1 else f"seed {middle.seed}, the round of median test accuracy"
        weights = {key: torch.from_numpy(values) for key, values in final_weights(task.config, middle).items()}
        network = restore_one(task, weights)
        _draw_decision(run.path / "decision.png", f"{name}, {which}", task, network, middle.seed)


def draw_clusters(path: Path, title: str, groups: Sequence[figures.Finals]) -> None:
    """Draw the final test accuracy of all rounds over their final training MSE."""
    figures.draw_loss_against_accuracy(path, title, groups, loss=FINAL_MSE, accuracy=FINAL_ACCURACY)


def is_plane(task: Task) -> bool:
    """Tell whether the samples are points in a plane, of two classes."""
    return task.network.widths[0] == 2 and len(task.dataset.columns.classes or ()) == 2


def draw_data(path: Path, task: Task, seed: int) -> None:
    """Draw the samples of a round, part by part."""
    parts = [
        figures.Part(name, part.inputs[0].T.numpy(), _is_class_one(part.targets.mT, task).long().numpy())
        for name, part in task.samples([seed]).items()
    ]
    which = f", seed {seed}" if task.config.data_seed == "round" else ""
    figures.draw_dataset(path, f"{task.config.name}: the data{which}", parts, border=_border(task))


def restore_one(task: Task, weights: Mapping[str, Tensor]) -> Sequential:
    """Return the task's network with the weights of one round, each `[*shape]`."""
    return restore(task.network, {name: values.unsqueeze(0) for name, values in weights.items()})


def predictions_on_test(task: Task, network: Sequential, seed: int, label: str) -> figures.Predictions:
    """Return which predictions of a network of one round are right on its test samples."""
    test = task.samples([seed])["test"]
    points = test.inputs[0].T
    correct = _is_class_one(predict(network, task.judge, points), task) == _is_class_one(test.targets.mT, task)
    return figures.Predictions(label, points.numpy(), correct.numpy())


def _draw_decision(path: Path, title: str, task: Task, network: Sequential, seed: int) -> None:
    test = task.samples([seed])["test"]
    points = test.inputs[0].T
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
        labels=_is_class_one(test.targets.mT, task).long().numpy(),
        correct=predictions_on_test(task, network, seed, "").correct,
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
