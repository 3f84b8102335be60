"""How often, and how soon, rounds reach what `sweep.target` asks for."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..metrics import metric
from ..runs.folder import RoundRow
from ..runs.metrics import Curves
from ..statistics import epochs_to_target, success


def describe_targets(targets: Mapping[str, float], rows: Sequence[RoundRow], curves: Curves) -> dict[str, Any]:
    """Describe how rounds fare.

    Args:
        targets: the value to reach, for each metric.
        rows: the ends of all rounds; those that diverged or failed do not reach it, whatever they logged.
        curves: the metrics of all logged epochs.

    Returns:
        For each metric `success` (how many rounds end at the target or beyond it) and `epochs` (how many epochs it
        takes them to get there for the first time).
    """
    finished = [row for row in rows if row.status == "finished"]
    missing, seeds = len(rows) - len(finished), [row.seed for row in finished]
    described = {}
    for name, target in targets.items():
        upward = metric(name).higher_is_better
        ends = [row.metrics[name] for row in finished]
        described[name] = {
            "success": success(ends, missing, target, higher_is_better=upward),
            "epochs": epochs_to_target(curves.of(seeds, name), curves.epochs, target, missing, higher_is_better=upward),
        }
    return described
