"""What a list of runs says of each."""

import math
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypedDict

from ..errors import InputError
from .folder import VARIANTS, Run

# Of classes both, of numbers the second.
METRICS = ("test_accuracy", "test_mse")


class Listed(TypedDict):
    """One run of a list, or the sweep of so many variants.

    `final` holds mean and deviation of each of `METRICS`, as far as there are any.
    """

    run: str
    id: str
    config: str
    status: Literal["finished", "unfinished", "broken"]
    problem: str | None
    rounds: dict[str, int] | None
    variants: int | None
    final: dict[str, dict[str, float]]
    made: str


def list_runs(runs_dir: Path) -> list[Listed]:
    """Describe the runs in a folder, oldest first. One that cannot be read is listed as broken, with the reason."""
    return [_describe(run) for run in Run.all(runs_dir)]


def _describe(run: Run) -> Listed:
    listed = Listed(
        run=str(run.path),
        id=run.id,
        config=run.name,
        status="unfinished",
        problem=None,
        rounds=None,
        variants=len(list((run.path / VARIANTS).iterdir())) if run.has_variants else None,
        final={},
        made=datetime.fromtimestamp(run.made_at).isoformat(timespec="seconds"),
    )
    if run.is_finished:
        try:
            summary = run.summary()
            listed["rounds"] = {key: int(summary["rounds"][key]) for key in ("planned", "finished")}
            listed["final"] = {name: _mean_and_deviation(summary["final"].get(name, {})) for name in METRICS}
            listed["status"] = "finished"
        except InputError as error:
            listed["status"], listed["problem"] = "broken", str(error)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            listed["status"], listed["problem"] = "broken", f"{run.path / 'summary.json'}: is not a run's summary"
    return listed


def _mean_and_deviation(summary: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {key: float(summary[key]) for key in ("mean", "std") if key in summary}
    if not all(map(math.isfinite, found.values())):
        raise ValueError("a mean or deviation is no number")
    return found
