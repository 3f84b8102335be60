"""The run folder."""

import csv
import hashlib
import io
import json
import math
import os
import re
import secrets
import shlex
import shutil
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic import is_temporary, sync_folder, write_atomically
from ..errors import InputError
from ..escaping import shown
from ..metrics import metric
from .environment import physical_memory
from .lock import is_locked
from .reading import check_inside, is_folder, read_inside, reason, walk

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from .metrics import Curves

DEFAULT_RUNS_DIR = Path("runs")

# What makes a folder that of a run.
CONFIG = "config.yaml"

# Where a sweep of variants has their run folders.
VARIANTS = "variants"

# What a run has from its beginning, though a sweep of variants has no columns of its own.
FIRST_FILES = ("environment.json", "columns.json")

# What is read of a run folder has at most so many bytes: of a table, for each row.
MOST_JSON_BYTES = 32 << 20
MOST_ROW_BYTES = 1 << 10
# As many rounds as `sweep.rounds` may ask for, and more than any seed or number of epochs.
MOST_ROUNDS = 1_000_000
MOST_COUNTED = 10**18

# What the id of a run ends with, and how a folder is called while the run is made or removed.
ID_END = re.compile(r"-\d{8}-\d{6}-[0-9a-f]{4}$", re.ASCII)
_HIDDEN = re.compile(r"\..*-\d{8}-\d{6}-[0-9a-f]{4}\.partial", re.ASCII | re.DOTALL)

# After so many seconds nobody works on such a folder any more.
PATIENCE = 3600

# How a round can end: `failed` where it could not be trained, as its worker died again and again.
STATUSES = ("finished", "diverged", "failed")


@dataclass(frozen=True)
class RoundRow:
    """A row of `rounds.csv`.

    Attributes:
        seed: the round's seed.
        status: how it ended.
        epochs: the number of epochs that it was trained for; 0 if it failed.
        metrics: its final metrics, such as `test_accuracy`; none if it diverged or failed.
    """

    seed: int
    status: str
    epochs: int
    metrics: dict[str, float]

    @classmethod
    def read(cls, row: Mapping[str, str]) -> "RoundRow":
        """Return what a row of text says.

        Raises:
            ValueError, TypeError, KeyError: it is none of a `rounds.csv`.
        """
        others = {"seed", "status", "epochs", "best_epoch"}
        metrics = {name: float(cell) for name, cell in row.items() if name not in others and cell}
        if not all(map(math.isfinite, metrics.values())):
            raise ValueError("a metric is no finite number")
        for name in metrics:
            metric(name)
        if row["status"] == "finished" and len(metrics) < len(row.keys() - others):
            raise ValueError("a finished round lacks a metric")
        seed, epochs = int(row["seed"]), int(row["epochs"])
        if not (0 <= seed < MOST_COUNTED and 0 <= epochs < MOST_COUNTED):
            raise ValueError("a seed or a number of epochs is too small or too large")
        return cls(seed, row["status"], epochs, metrics)


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        path: where it is.
    """

    path: Path

    @classmethod
    def create(cls, runs_dir: Path, name: str, files: Mapping[str, str]) -> "Run":
        """Make a new run folder, with its first files, in one step.

        Args:
            runs_dir: the folder of runs; made if it is not there.
            name: what the run's id starts with.
            files: the contents of the first files, by their paths inside the folder.

        Raises:
            InputError: the folder cannot be written.
        """
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
            _sweep_hidden(runs_dir)
            while True:
                run_id = new_id(name)
                if not (runs_dir / run_id).exists() and (made := _make(runs_dir, run_id, files)):
                    return cls(made)
        except OSError as error:
            raise InputError(f"{runs_dir}: a run cannot be written there: {error.strerror or error}") from error

    def variants(self) -> "list[tuple[str, Run]]":
        """Return the label and the run folder of each variant, as `summary.json` has them.

        Raises:
            InputError: the sweep has not finished, or the file is damaged.
        """
        try:
            named = [(str(each["label"]), Path(each["folder"]).name) for each in self.summary()["variants"]]
        except (KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{self.path / 'summary.json'}: is not the summary of a sweep of variants") from error
        return [(label, self.variant(folder)) for label, folder in named]

    def variant(self, folder: str) -> "Run":
        """Return the run folder of a variant."""
        return Run(self.path / VARIANTS / folder)

    @classmethod
    def find(cls, reference: str, runs_dir: Path = DEFAULT_RUNS_DIR) -> "Run":
        """Return the run that a path, an id or the word `latest` refers to.

        Raises:
            InputError: there is no such run.
        """
        if reference == "latest":
            runs = cls.all(runs_dir)
            if not runs:
                raise InputError(f"there are no runs in {runs_dir}")
            return runs[-1]
        for path in (Path(reference), runs_dir / reference):
            if os.path.lexists(path / CONFIG):
                return cls(path)
        if os.path.isdir(reference):  # noqa: PTH112 (which takes a name that is too long for what is not there)
            raise InputError(f"{reference}: is not a run: it has no {CONFIG}")
        raise InputError(f"{reference}: no such run; `minidl runs` lists those in {runs_dir}")

    @classmethod
    def all(cls, runs_dir: Path) -> "list[Run]":
        """Return the runs in a folder, oldest first.

        Raises:
            InputError: the folder cannot be read.
        """
        if not os.path.isdir(runs_dir):  # noqa: PTH112 (as above)
            return []
        try:
            paths = [path for path in runs_dir.iterdir() if not path.name.startswith(".")]
        except OSError as error:
            raise InputError(f"{runs_dir}: cannot be read: {reason(error)}") from error
        runs = [cls(path) for path in paths if os.path.lexists(path / CONFIG)]
        return sorted(runs, key=lambda run: (run.made_at, run.id))

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def name(self) -> str:
        """The name of the config: the id without the time and the four digits that `create` appends."""
        return self.id.rsplit("-", 3)[0]

    @property
    def made_at(self) -> float:
        """When the folder was made, in seconds since the epoch; 0 if it is gone."""
        try:
            return (self.path / CONFIG).lstat().st_mtime
        except OSError:
            return 0.0

    @property
    def config_path(self) -> Path:
        """The resolved config. Errors are those of `check_config`."""
        self.check_config()
        return self.path / CONFIG

    def check_config(self) -> None:
        """Make sure that there is a config that may be opened.

        Raises:
            InputError: it is not there, or is a link, a pipe or the like.
        """
        try:
            check_inside(*self._inside(CONFIG))
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path / CONFIG}: cannot be read: {reason(error)}") from error

    def variant_folders(self) -> list[Path]:
        """Return the folders of the variants, in the order of their names; none if there is no sweep of any.

        Raises:
            InputError: they cannot be read.
        """
        try:
            return sorted((self.path / VARIANTS).iterdir()) if self.has_variants else []
        except OSError as error:
            raise InputError(f"{self.path / VARIANTS}: cannot be read: {reason(error)}") from error

    @property
    def metrics_path(self) -> Path:
        """The table with a row for each seed and epoch."""
        return self.path / "metrics.csv"

    @property
    def has_variants(self) -> bool:
        """Whether this is the folder of a sweep of variants, which are run folders themselves."""
        return is_folder(self.path / VARIANTS)

    @property
    def is_finished(self) -> bool:
        """Whether the training came to its end."""
        return os.path.lexists(self.path / "summary.json")

    def read(self, name: str, most: int) -> bytes:
        """Return the content of a file of the run folder, as `reading.read_inside` does, which has the errors, too."""
        folder, inside = self._inside(name)
        return read_inside(folder, inside, most)

    def _inside(self, name: str) -> tuple[Path, str]:
        """Return the folder that no link may lead out of, and the way from there to a file of the run folder.

        That of a variant is its sweep's: a stranger may have made both.
        """
        whole = self._whole
        return whole, name if whole == self.path else f"{VARIANTS}/{self.id}/{name}"

    @property
    def sweep_folder(self) -> Path | None:
        """The folder of the sweep that the run is a variant of; None if it is none."""
        resolved = Run(self.path.resolve())
        return None if resolved._whole == resolved.path else resolved._whole

    @property
    def _whole(self) -> Path:
        """The run's folder; that of the sweep if the run is one of its variants."""
        above = self.path.parent
        is_variant = above.name == VARIANTS and os.path.lexists(above.parent / CONFIG)
        return above.parent if is_variant else self.path

    def refuse_links(self) -> None:
        """Make sure that nothing in the run folder leads out of it; to be called before anything is written there.

        Raises:
            InputError: there is a link or a special file, such as a pipe; or a folder cannot be read.
        """
        self.check_config()
        try:
            for entry in walk(self.path):
                if not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
                    kind = "a link" if entry.is_symlink() else "a special file"
                    raise InputError(f"{entry.path}: is {kind}; nothing is written into a run folder that has any")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {reason(error)}") from error

    def sweep_temporaries(self) -> None:
        """Remove what writes that were killed have left in the run folder.

        Raises:
            InputError: it cannot be removed.
        """
        try:
            for entry in walk(self.path):
                if is_temporary(entry.name) and entry.is_file(follow_symlinks=False):
                    Path(entry).unlink()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {reason(error)}") from error

    def make_folder(self, name: str) -> Path:
        """Return a folder in the run folder; it is made if it is not there.

        Raises:
            OSError: it cannot be made.
            InputError: it is a link.
        """
        folder = self.path / name
        if folder.is_symlink():
            raise InputError(f"{folder}: is a link; nothing is written through the links of a run folder")
        folder.mkdir(exist_ok=True)
        return folder

    def summary(self) -> dict[str, Any]:
        """Return the content of `summary.json`.

        Raises:
            InputError: it is not there, as when the run was interrupted, or cannot be read.
        """
        return self._read_json("summary.json")

    def environment(self) -> dict[str, Any]:
        """Return the content of `environment.json`."""
        return self._read_json("environment.json")

    def data_files(self) -> dict[str, str]:
        """Return the SHA-256 of each data file that the run was trained on, by its path, as far as that is known.

        Raises:
            InputError: `environment.json` cannot be read, or is damaged.
        """
        try:
            return {str(path): str(file["sha256"]) for path, file in self.environment().get("data", {}).items()}
        except (AttributeError, KeyError, TypeError, RecursionError) as error:
            problem = "does not say which files the run was trained on"
            raise InputError(f"{self.path / 'environment.json'}: {problem}") from error

    def columns(self) -> dict[str, Any]:
        """Return the content of `columns.json`: what the network takes and gives."""
        return self._read_json("columns.json")

    def _read_json(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads(self._read(name, MOST_JSON_BYTES), parse_float=_finite, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.path / name}: cannot be read: {shown(str(error), 200)}") from error
        if not isinstance(content, dict):
            raise InputError(f"{self.path / name}: cannot be read: it is no JSON object")
        return content

    def _read(self, name: str, most: int) -> bytes:
        try:
            return self.read(name, most)
        except FileNotFoundError:
            raise self._lacks(name) from None

    def _lacks(self, name: str) -> InputError:
        """Return the error that says why a file is not there, and what to do."""
        if self.has_variants and self.is_finished:
            return self._misses_a_variant()
        if not is_folder(self.path):
            return InputError(f"{self.path}: is not there")
        problem = f"{self.path}: has no {name}"
        if self.is_finished or (name in FIRST_FILES and not self.has_variants):
            return InputError(f"{problem}: the folder is damaged")
        if is_locked(self._whole):
            return InputError(f"{problem} yet: the run is being trained")
        advice = f"to go on: minidl train --resume {shlex.quote(str(self._whole))}"
        return InputError(f"{problem}: the run has not finished, or was interrupted; {advice}")

    def _misses_a_variant(self) -> InputError:
        one = next(iter(self.variant_folders()), "none")
        return InputError(f"{self.path}: is a sweep of variants; name one of them, such as {one}")

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file (which may not hold NaN)."""
        write_atomically(self.path / name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def write_rounds(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write `rounds.csv`, a row for each mapping from column to value."""
        lines = [",".join(rows[0])]
        lines += [",".join("" if value is None else str(value) for value in row.values()) for row in rows]
        write_atomically(self.path / "rounds.csv", "\n".join(lines) + "\n")

    def rounds(self) -> list[tuple[int, str]]:
        """Return the seed and status of each round, as `rounds.csv` has them.

        Raises:
            InputError: it is not there or cannot be read.
        """
        return [(each.seed, each.status) for each in self.round_rows()]

    def round_rows(self) -> list[RoundRow]:
        """Return the rows of `rounds.csv`.

        Raises:
            InputError: it is not there or cannot be read.
        """
        path, content = self.path / "rounds.csv", self._read("rounds.csv", MOST_ROUNDS * MOST_ROW_BYTES)
        try:
            lines = csv.DictReader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""))
            rows = [RoundRow.read(row) for row in islice(lines, MOST_ROUNDS + 1)]
        except (ValueError, TypeError, KeyError, csv.Error) as error:
            raise InputError(f"{path}: cannot be read: {shown(repr(error), 200)}") from error
        if not 0 < len(rows) <= MOST_ROUNDS:
            raise InputError(f"{path}: cannot be read: it has {'no' if not rows else 'too many'} rounds")
        if len({row.seed for row in rows}) < len(rows) or {row.status for row in rows} - set(STATUSES):
            raise InputError(f"{path}: a seed stands there twice, or a status is none of {', '.join(STATUSES)}")
        return rows

    def curves(self, most_epochs: int) -> "Curves":
        """Return the metrics of all logged epochs, as `metrics.csv` has them.

        Args:
            most_epochs: the last epoch that it may hold. (`rounds.csv` does not say how far a failed round came.)

        Raises:
            InputError: it is not there or cannot be read.
        """
        from .metrics import read_metrics

        rows = self.round_rows()
        most = min(MOST_ROW_BYTES * (1 + len(rows) * most_epochs), physical_memory() // 8)
        try:
            text = self._read("metrics.csv", most).decode()
            return read_metrics(text, {row.seed for row in rows}, most_epochs)
        except (ValueError, IndexError, csv.Error) as error:
            raise InputError(f"{self.metrics_path}: cannot be read: {shown(repr(error), 200)}") from error

    def write_weights(self, name: str, weights: "Mapping[str, NDArray[Any]]") -> dict[str, Any]:
        """Write named arrays to `weights/{name}.safetensors`.

        Returns:
            The file's `bytes` and `sha256`. They belong into `summary.json`, as `weights` there: without them the file
            is not read again, as safetensors takes one with a flipped bit.
        """
        from safetensors.numpy import save

        content = save(dict(weights))
        write_atomically(self.make_folder("weights") / f"{name}.safetensors", content)
        return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def weights(self, name: str = "last", most: int | None = None) -> "dict[str, Tensor]":
        """Return the named tensors of `weights/{name}.safetensors`.

        Args:
            name: which of the weights.
            most: how many bytes the file may have; never more than what can be in memory.

        Raises:
            InputError: the file is not there, or is not the one that the training wrote.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        file = f"weights/{name}.safetensors"
        size, digest = self._manifest(name)
        in_memory = physical_memory() // 3  # the file, and its tensors beside it
        content = self._read(file, in_memory if most is None else min(most, in_memory))
        if len(content) != size:
            raise InputError(f"{self.path / file}: is damaged: it has {len(content):,} bytes instead of {size:,}")
        if hashlib.sha256(content).hexdigest() != digest:
            raise InputError(f"{self.path / file}: is damaged: its SHA-256 is not the one in summary.json")
        try:
            return load(content)
        except SafetensorError as error:
            raise InputError(f"{self.path / file}: cannot be read: {shown(str(error), 200)}") from error

    def _manifest(self, name: str) -> tuple[int, str]:
        """Return the size and the SHA-256 that a file of weights has to have."""
        weights: Any = self.summary().get("weights")
        if weights is None and self.has_variants:
            raise self._misses_a_variant()
        if name == "best" and isinstance(weights, dict) and name not in weights:
            raise InputError(f"{self.path}: has no best weights, as there was no validation part; use the last")
        try:
            return int(weights[name]["bytes"]), str(weights[name]["sha256"])
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            problem = f"does not say which size and SHA-256 weights/{name}.safetensors has to have"
            raise InputError(f"{self.path / 'summary.json'}: {problem}") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


def new_id(name: str) -> str:
    """Return an id for a run made now."""
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def hidden_folder(runs_dir: Path, run_id: str) -> Path:
    """Return where a run is while it is made, or removed: nobody lists it there."""
    return runs_dir / f".{run_id}.partial"


def _sweep_hidden(runs_dir: Path) -> None:
    """Remove what processes have left that were killed while they made or removed a run, an hour ago or longer."""
    for path in runs_dir.glob(".*.partial"):
        if _HIDDEN.fullmatch(path.name) and _is_old_folder(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_old_folder(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False  # another process was faster
    return stat.S_ISDIR(status.st_mode) and status.st_mtime < time.time() - PATIENCE


def _make(runs_dir: Path, run_id: str, files: Mapping[str, str]) -> Path | None:
    """Fill a hidden folder, then give it its name; None where another process was faster."""
    hidden, path = hidden_folder(runs_dir, run_id), runs_dir / run_id
    try:
        hidden.mkdir()
    except FileExistsError:
        return None
    try:
        for name, content in files.items():
            (hidden / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(hidden / name, content)
        hidden.rename(path)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    sync_folder(runs_dir)
    return path
