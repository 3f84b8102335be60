"""What a run folder holds once its rounds are trained: tables, weights, statistics, figures."""

from collections import Counter
from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import torch

from ..runs.folder import Run
from ..runs.metrics import MetricsLog
from ..statistics import median_index
from ..training.build import Task
from ..training.evaluation import predict, restore, summarize_rounds
from ..training.trainer import Round

METRICS = [f"{part}_{name}" for part in ("train", "test") for name in ("loss", "mse", "accuracy")]

# The plane of a decision figure: points along each side, and the share of the data's extent around the data.
GRID_POINTS, GRID_MARGIN = 160, 0.02


def write_results(run: Run, task: Task, rounds: Sequence[Round], log: MetricsLog, seconds: float) -> None:
    """Complete a run folder. The summary comes last: a run that has one is finished.

    Args:
        run: the run folder.
        task: what was trained.
        rounds: all rounds, in the order of their seeds.
        log: the metrics of all epochs.
        seconds: how long the training took.
    """
    run.write_rounds([_row(round) for round in rounds])
    names = rounds[0].weights
    run.write_weights("last", {name: np.stack([round.weights[name] for round in rounds]) for name in names})
    _draw_figures(run, task, rounds, log)
    run.write_json("summary.json", summary(task, rounds, seconds))


def summary(task: Task, rounds: Sequence[Round], seconds: float) -> dict[str, Any]:
    """Return the content of `summary.json`."""
    counts = Counter(round.status for round in rounds)
    finished = [round.metrics for round in rounds if round.status == "finished"]
    samples, options = task.dataset.sizes["train"], task.config.training
    batches = samples // options.batch_size if options.drop_last else ceil(samples / options.batch_size)
    return {
        "rounds": {
            "planned": len(rounds),
            "finished": counts["finished"],
            "diverged": counts["diverged"],
            "failed": 0,
            "diverged_seeds": [round.seed for round in rounds if round.status == "diverged"],
        },
        "final": summarize_rounds(finished, len(rounds) - len(finished)),
        "seconds": seconds,
        "steps": sum(round.epochs for round in rounds) * batches,
    }


def _row(of: Round) -> dict[str, Any]:
    metrics = {name: of.metrics.get(name) for name in METRICS}
    return {"seed": of.seed, "status": of.status, "epochs": of.epochs, **metrics}


def _draw_figures(run: Run, task: Task, rounds: Sequence[Round], log: MetricsLog) -> None:
    from ..display import figures

    parts = [part for part in ("train", "test") if f"{part}_loss" in log.values]
    title = task.config.name if len(rounds) > 1 else f"{task.config.name}, seed {rounds[0].seed}"
    figures.draw_curves(
        run.path / "curves.png",
        title,
        np.asarray(log.epochs),
        loss=[figures.Curve(part, log.values[f"{part}_loss"]) for part in parts],
        accuracy=[figures.Curve(part, log.values[f"{part}_accuracy"]) for part in parts],
        loss_label=f"loss ({task.config.loss.name})",
    )
    finished = [round for round in rounds if round.status == "finished"]
    if task.dataset.features == 2 and task.dataset.classes == 2 and finished:
        middle = finished[median_index([round.metrics["test_accuracy"] for round in finished])]
        which = f"seed {middle.seed}" if len(rounds) == 1 else f"seed {middle.seed}, the round of median test accuracy"
        _draw_decision(run, task, middle, f"{task.config.name}, {which}")


def _draw_decision(run: Run, task: Task, round: Round, title: str) -> None:
    from ..display import figures

    network = restore(task, {name: torch.from_numpy(values).unsqueeze(0) for name, values in round.weights.items()})
    test = task.samples([round.seed])["test"]
    points, targets = test.inputs[0].T, test.targets.mT
    low, high = points.min(dim=0).values, points.max(dim=0).values
    margin = GRID_MARGIN * (high - low)
    x, y = (
        torch.linspace(float(start), float(end), GRID_POINTS)
        for start, end in zip(low - margin, high + margin, strict=True)
    )
    grid = torch.cartesian_prod(y, x).flip(1)
    scores = _class_one_score(predict(network, grid), task)
    labels = _class_one_score(targets, task) > task.judge.middle
    predicted = _class_one_score(predict(network, points), task) > task.judge.middle
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
