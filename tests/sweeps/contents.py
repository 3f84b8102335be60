"""What a run folder holds, as tests compare it."""

import csv
from pathlib import Path
from typing import Any

from minidl_cli.runs.folder import Run


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def results(run: Run) -> Any:
    """Return all that may not depend on how the rounds were run."""
    metrics = [{key: row[key] for key in row if key != "seconds"} for row in read_table(run.metrics_path)]
    summary = {key: value for key, value in run.summary().items() if key != "seconds"}
    weights = {path.name: path.read_bytes() for path in (run.path / "weights").iterdir()}
    return metrics, summary, weights, (run.path / "rounds.csv").read_bytes(), run.config_path.read_bytes()
