"""A training that is killed or stopped, and goes on, until it has finished."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from tests.faults.cases import Case
from tests.faults.processes import Process, Processes

# Options: in which processes rounds train, and how many of them together.
IN_THIS_PROCESS, IN_WORKERS = ("--workers", "1"), ("--workers", "2", "--chunk", "1")


class Training:
    """What a user does to get a case trained: start it, and resume it as soon as there is a run folder.

    Args:
        processes: where its commands are given.
        case: what is trained.
        runs: the folder of runs, which nobody else uses.
        verb: what the user types.
    """

    def __init__(self, processes: Processes, case: Case, runs: str, verb: str = "sweep"):
        self._processes, self._case, self._runs, self._verb = processes, case, runs, verb

    @property
    def run(self) -> Path:
        """The run folder."""
        (found,) = self._found()
        return found

    @property
    def is_begun(self) -> bool:
        """Whether there is a run folder."""
        return bool(self._found())

    def _found(self) -> list[Path]:
        return [path for path in (self._processes.folder / self._runs).glob("[!.]*") if (path / "config.yaml").exists()]

    def go_on(self, *options: str, is_forked: bool = True, **prepared: Any) -> Process:
        """Start it or resume it, and return its process.

        Args:
            options: of the verb.
            is_forked: whether Python and what it imports are there already.
            prepared: what `Processes.fork` or `Processes.start` take besides.
        """
        what = (
            ["--resume", f"{self._runs}/{self.run.name}"]
            if self.is_begun
            else self._case.arguments(self._processes.folder)
        )
        begin = self._processes.fork if is_forked else self._processes.start
        return begin(self._verb, *what, "--runs-dir", self._runs, *options, **prepared)

    def finish(self, *options: str, **prepared: Any) -> Path:
        """Let it go on until it has finished, and return the run folder."""
        process = self.go_on(*options, **prepared)
        assert process.wait() == 0, process.err
        assert "Traceback" not in process.err
        return self.run

    def rows(self) -> int:
        """Return how many lines there are of epochs."""
        tables = self.run.rglob("metrics.csv") if self.is_begun else ()
        return sum(table.read_bytes().count(b"\n") for table in tables)

    def has_grown(self, rows: int) -> Callable[[], bool]:
        """Return what tells whether more than so many lines have been added since now."""
        enough = self.rows() + rows
        return lambda: self.rows() > enough

    def assert_whole(self) -> None:
        """Check that no half of a file is to be seen."""
        for path in self.run.rglob("[!.]*") if self.is_begun else ():
            read = {".json": _read_json, ".safetensors": load_file, ".checkpoint": _read_checkpoint}.get(path.suffix)
            if read:
                read(path)


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def _read_checkpoint(path: Path) -> None:
    content = path.read_bytes()
    assert hashlib.sha256(content[:-32]).digest() == content[-32:], path
