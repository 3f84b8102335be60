"""What a run folder holds once its rounds are trained: tables, weights, statistics."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..interrupts import Interrupted
from ..runs.folder import Run
from ..runs.metrics import MetricsLog
from ..training.build import Task
from ..training.evaluation import count_rounds, report_rounds, summarize_rounds
from ..training.report import Report
from ..training.round import Round
from ..training.trainer import final_weights
from .engine import Failure
from .targets import describe_targets


def write_results(
    run: Run, task: Task, rounds: Sequence[Round], log: MetricsLog, seconds: float, failures: Sequence[Failure] = ()
) -> None:
    """Complete a run folder. A run that has a summary is finished; only the figures come after it.

    Args:
        run: the run folder.
        task: what was trained.
        rounds: all rounds, in the order of their seeds.
        log: the metrics of all epochs.
        seconds: how long the training took.
        failures: which rounds failed, and why.
    """
    run.write_rounds([_row(each, task) for each in rounds])
    weights = {"last": run.write_weights("last", _stacked([each.weights for each in rounds]))}
    best = [each.best for each in rounds if each.best]
    if best:
        weights["best"] = run.write_weights("best", _stacked(best))
    described = summary(task, rounds, seconds) | {"weights": weights}
    if failures:
        described["rounds"]["failures"] = [{"seeds": list(each.seeds), "reason": each.reason} for each in failures]
    if targets := task.config.sweep.target:
        described["targets"] = describe_targets(targets, run.round_rows(), log.curves())
    run.write_json("summary.json", described)
    with Interrupted.deferred():
        from .drawing import draw_figures

    draw_figures(run, task, rounds, log, described["report"])


def import_drawing() -> None:
    """Import what draws figures, which takes half a second, while there is time."""
    from . import drawing  # noqa: F401


def summary(task: Task, rounds: Sequence[Round], seconds: float) -> dict[str, Any]:
    """Return the content of `summary.json`."""
    finished = [each for each in rounds if each.status == "finished"]
    steps = task.config.training.steps(task.sizes["train"])
    return {
        "rounds": count_rounds([(each.seed, each.status) for each in rounds]),
        "final": summarize_rounds([each.metrics for each in finished], len(rounds) - len(finished)),
        "report": _report(task, finished, len(rounds)),
        "seconds": seconds,
        "steps": sum(each.epochs for each in rounds) * steps,
    }


def _report(task: Task, finished: Sequence[Round], planned: int) -> dict[str, Report]:
    """Describe what finished rounds predict of their test samples."""
    if not finished:
        return {}
    weights = _stacked([final_weights(task.config, each) for each in finished])
    tensors = {name: torch.from_numpy(values) for name, values in weights.items()}
    return report_rounds(task, [each.seed for each in finished], tensors, "test", planned)


def _stacked(weights: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {name: np.stack([each[name] for each in weights]) for name in weights[0]}


def _row(of: Round, task: Task) -> dict[str, Any]:
    row = {"seed": of.seed, "status": of.status, "epochs": of.epochs}
    best = {"best_epoch": of.best_epoch} if "validation" in task.sizes else {}
    return row | best | {name: of.metrics.get(name) for name in task.metrics}
