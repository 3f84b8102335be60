"""What a list of runs says of each."""

import math
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypedDict

from ..errors import InputError
from .folder import MOST_ROUNDS, Run
from .lock import is_locked

# Of classes both, of numbers the second.
METRICS = ("test_accuracy", "test_mse")

# The last time that is shown, in the year 9999: a file may have any, and dates have no more.
LAST_SECOND = 253_370_000_000


class Listed(TypedDict):
    """One run of a list, or the sweep of so many variants.

    `status` is `running` while a process trains it, and `broken` where it cannot be read: `problem` says why. `rounds`
    has how many were planned, finished and failed, `final` mean and deviation of each of `METRICS`, as far as there
    are any.
    """

    run: str
    id: str
    config: str
    status: Literal["finished", "running", "unfinished", "broken"]
    problem: str | None
    rounds: dict[str, int] | None
    variants: int | None
    final: dict[str, dict[str, float]]
    made: str


def list_runs(runs_dir: Path) -> list[Listed]:
    """Describe the runs in a folder, oldest first. One that cannot be read is listed as broken, with the reason.

    Raises:
        InputError: the folder of runs cannot be read.
    """
    return [_describe(run) for run in Run.all(runs_dir)]


def _describe(run: Run) -> Listed:
    listed = Listed(
        run=str(run.path),
        id=run.id,
        config=run.name,
        status="unfinished",
        problem=None,
        rounds=None,
        variants=None,
        final={},
        made=datetime.fromtimestamp(min(max(run.made_at, 0), LAST_SECOND)).isoformat(timespec="seconds"),
    )
    try:
        _read(run, listed)
    except InputError as error:
        listed["status"], listed["problem"] = "broken", str(error)
    return listed


def _read(run: Run, listed: Listed) -> None:
    """Complete what is said of a run by what its folder holds.

    Raises:
        InputError: it cannot be read.
    """
    _ = run.config_path
    listed["variants"] = len(run.variant_folders()) or None
    if not run.is_finished:
        listed["status"] = "running" if is_locked(run.path) else "unfinished"
        return
    summary = run.summary()
    try:
        rounds = {key: int(summary["rounds"][key]) for key in ("planned", "finished", "failed")}
        if not 0 <= max(rounds.values()) <= rounds["planned"] <= MOST_ROUNDS:
            raise ValueError("more rounds than there can be")
        final = {name: _mean_and_deviation(summary["final"].get(name, {})) for name in METRICS}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{run.path / 'summary.json'}: is not a run's summary") from error
    listed["status"], listed["rounds"], listed["final"] = "finished", rounds, final


def _mean_and_deviation(summary: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {key: float(summary[key]) for key in ("mean", "std") if key in summary}
    if not all(map(math.isfinite, found.values())):
        raise ValueError("a mean or deviation is no number")
    return found
