"""What a run folder holds once its rounds are trained: tables, weights, statistics."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..runs.folder import Run
from ..runs.metrics import MetricsLog
from ..training.build import Task
from ..training.evaluation import count_rounds, summarize_rounds
from ..training.measures import MEASURES
from ..training.trainer import Round

METRICS = [f"{part}_{measure}" for part in ("train", "test") for measure in MEASURES]


def write_results(run: Run, task: Task, rounds: Sequence[Round], log: MetricsLog, seconds: float) -> None:
    """Complete a run folder. A run that has a summary is finished; only the figures come after it.

    Args:
        run: the run folder.
        task: what was trained.
        rounds: all rounds, in the order of their seeds.
        log: the metrics of all epochs.
        seconds: how long the training took.
    """
    run.write_rounds([_row(each) for each in rounds])
    names = rounds[0].weights
    run.write_weights("last", {name: np.stack([each.weights[name] for each in rounds]) for name in names})
    run.write_json("summary.json", summary(task, rounds, seconds))
    from .drawing import draw_figures

    draw_figures(run, task, rounds, log)


def summary(task: Task, rounds: Sequence[Round], seconds: float) -> dict[str, Any]:
    """Return the content of `summary.json`."""
    finished = [each.metrics for each in rounds if each.status == "finished"]
    batches = task.config.training.batches(task.dataset.sizes["train"])
    return {
        "rounds": count_rounds([(each.seed, each.status) for each in rounds]),
        "final": summarize_rounds(finished, len(rounds) - len(finished)),
        "seconds": seconds,
        "steps": sum(each.epochs for each in rounds) * batches,
    }


def _row(of: Round) -> dict[str, Any]:
    metrics = {name: of.metrics.get(name) for name in METRICS}
    return {"seed": of.seed, "status": of.status, "epochs": of.epochs, **metrics}
