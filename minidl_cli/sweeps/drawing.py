"""The figures of a run folder."""

from collections.abc import Sequence

import numpy as np
import torch

from ..display import figures
from ..runs.folder import Run
from ..runs.metrics import MetricsLog
from ..statistics import median_index
from ..training.build import Task
from ..training.evaluation import chosen_weights, predict, restore
from ..training.trainer import Round

# The plane of a decision figure: points along each side, and the share of the data's extent around the data.
GRID_POINTS, GRID_MARGIN = 160, 0.02


def draw_figures(run: Run, task: Task, rounds: Sequence[Round], log: MetricsLog) -> None:
    """Draw `curves.png` and, for two classes of points in a plane, `decision.png` into a run folder.

    Args:
        run: the run folder.
        task: what was trained.
        rounds: all rounds, in the order of their seeds.
        log: the metrics of all epochs.
    """
    parts = list(task.sizes)
    title = task.config.name if len(rounds) > 1 else f"{task.config.name}, seed {rounds[0].seed}"
    figures.draw_curves(
        run.path / "curves.png",
        title,
        np.asarray(log.epochs),
        loss=[figures.Curve(part, log.values[f"{part}_loss"]) for part in parts],
        accuracy=[figures.Curve(part, log.values[f"{part}_accuracy"]) for part in parts],
        loss_label=f"loss ({task.config.loss.name})",
    )
    finished = [each for each in rounds if each.status == "finished"]
    if task.dataset.features == 2 and task.dataset.classes == 2 and finished:
        middle = finished[median_index([each.metrics["test_accuracy"] for each in finished])]
        which = f"seed {middle.seed}" if len(rounds) == 1 else f"seed {middle.seed}, the round of median test accuracy"
        _draw_decision(run, task, middle, f"{task.config.name}, {which}")


def _draw_decision(run: Run, task: Task, trained: Round, title: str) -> None:
    weights = trained.best if chosen_weights(task.config) == "best" and trained.best else trained.weights
    network = restore(task, {name: torch.from_numpy(values).unsqueeze(0) for name, values in weights.items()})
    test = task.samples([trained.seed])["test"]
    points, targets = test.inputs[0].T, test.targets.mT
    low, high = points.min(dim=0).values, points.max(dim=0).values
    margin = torch.where(high > low, GRID_MARGIN * (high - low), 0.5)
    x, y = (
        torch.linspace(float(start), float(end), GRID_POINTS)
        for start, end in zip(low - margin, high + margin, strict=True)
    )
    grid = torch.cartesian_prod(y, x).flip(1)
    scores = _class_one_score(predict(network, task.loss, grid), task)
    labels = _class_one_score(targets, task) > task.judge.middle
    predicted = _class_one_score(predict(network, task.loss, points), task) > task.judge.middle
    absent, present = task.dataset.target_values
    figures.draw_decision(
        run.path / "decision.png",
        title,
        x=x.numpy(),
        y=y.numpy(),
        prediction=scores.view(GRID_POINTS, GRID_POINTS).numpy(),
        levels=(absent, task.judge.middle, present),
        border=[line.numpy() for line in task.dataset.border()],
        points=points.numpy(),
        labels=labels.long().numpy(),
        correct=(labels == predicted).numpy(),
    )


def _class_one_score(outputs: torch.Tensor, task: Task) -> torch.Tensor:
    """Return how far outputs `[1, samples, outputs]` lean to class 1, on the scale of the target values.

    With two outputs it is half their difference from the midpoint on, so that the border between the classes
    is where it is for one.
    """
    if outputs.shape[2] == 1:
        return outputs[0, :, 0]
    return task.judge.middle + (outputs[0, :, 1] - outputs[0, :, 0]) / 2
