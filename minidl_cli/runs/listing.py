"""What a list of runs says of each."""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypedDict

from ..errors import InputError
from .folder import Run

METRICS = ("test_accuracy", "test_mse")


class Listed(TypedDict):
    """One run of a list; `final` holds the statistics of `METRICS`, as far as there are any."""

    run: str
    id: str
    config: str
    status: Literal["finished", "unfinished", "broken"]
    problem: str | None
    rounds: dict[str, Any] | None
    final: dict[str, dict[str, Any]]
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
        final={},
        made=datetime.fromtimestamp(run.made_at).isoformat(timespec="seconds"),
    )
    if run.is_finished:
        try:
            summary = run.summary()
            listed["rounds"] = summary["rounds"]
            listed["final"] = {name: summary["final"][name] for name in METRICS if name in summary["final"]}
            listed["status"] = "finished"
        except (InputError, KeyError, TypeError) as error:
            listed["status"], listed["problem"] = "broken", str(error)
    return listed
