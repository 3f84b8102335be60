"""Runs that should be the same, whatever happened to one of them."""

import csv
import json
from pathlib import Path
from typing import Any

# The only values of results that tell how long something took, or where.
PASSING = {"seconds", "run"}


def assert_same_results(run: Path, undisturbed: Path) -> None:
    """Check that two run folders have the same results to the byte, and that nothing else is left in the first."""
    assert parts(run) == parts(undisturbed)
    for part in parts(undisturbed):
        for name, content in contents(undisturbed / part).items():
            assert contents(run / part)[name] == content, run / part / name
        assert contents(run / part).keys() == contents(undisturbed / part).keys()
        assert rows(run / part) == rows(undisturbed / part), run / part / "metrics.csv"
        assert summary(run / part) == summary(undisturbed / part), run / part / "summary.json"
    assert leftovers(run) == []


def parts(run: Path) -> list[Path]:
    """Return the folders of a run that have results, relative to it: itself, and its variants."""
    return sorted(path.parent.relative_to(run) for path in run.rglob("config.yaml"))


def contents(run: Path) -> dict[str, bytes]:
    """Return the contents of the files that should not differ in one byte."""
    files = [run / "config.yaml", run / "columns.json", run / "rounds.csv", *(run / "weights").glob("*")]
    return {str(file.relative_to(run)): file.read_bytes() for file in files if file.exists()}


def rows(run: Path) -> list[list[str]]:
    """Return the rows of `metrics.csv` without their last column, the seconds; none if there is no such file."""
    if not (run / "metrics.csv").exists():
        return []
    with (run / "metrics.csv").open(newline="") as file:
        header, *found = csv.reader(file)
    assert header[-1] == "seconds"
    return [header[:-1], *(row[:-1] for row in found)]


def summary(run: Path) -> Any:
    """Return `summary.json` without what differs each time."""
    return _lasting(json.loads((run / "summary.json").read_text()))


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(each) for key, each in value.items() if key not in PASSING}
    return [_lasting(each) for each in value] if isinstance(value, list) else value


def leftovers(folder: Path) -> list[Path]:
    """Return the temporary files and half-made folders below a folder."""
    return list(folder.rglob(".*"))


def figures(run: Path) -> set[str]:
    """Return the names of the figures of a run, and of the tables beside them."""
    pictures = {path.stem for path in run.glob("*.png")}
    return {path.name for path in run.iterdir() if path.stem in pictures}
