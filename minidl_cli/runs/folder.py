"""The run folder."""

import csv
import json
import math
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .atomic import sync_folder, write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from .metrics import Curves

DEFAULT_RUNS_DIR = Path("runs")

# Where a sweep of variants has their run folders.
VARIANTS = "variants"

# How a round can end.
STATUSES = ("finished", "diverged")


@dataclass(frozen=True)
class RoundRow:
    """A row of `rounds.csv`.

    Attributes:
        seed: the round's seed.
        status: how it ended.
        epochs: the number of epochs that it was trained for.
        metrics: its final metrics, such as `test_accuracy`; none if it diverged.
    """

    seed: int
    status: str
    epochs: int
    metrics: dict[str, float]

    @classmethod
    def read(cls, row: Mapping[str, str]) -> "RoundRow":
        """Return what a row of text says."""
        others = {"seed", "status", "epochs", "best_epoch"}
        metrics = {name: float(cell) for name, cell in row.items() if name not in others and cell}
        if not all(map(math.isfinite, metrics.values())):
            raise ValueError("a metric is no finite number")
        if row["status"] == "finished" and len(metrics) < len(row.keys() - others):
            raise ValueError("a finished round lacks a metric")
        return cls(int(row["seed"]), row["status"], int(row["epochs"]), metrics)


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
            while True:
                run_id = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
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
        except (KeyError, TypeError) as error:
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
            if (path / "config.yaml").is_file():
                return cls(path)
        if Path(reference).is_dir():
            raise InputError(f"{reference}: is not a run: it has no config.yaml")
        raise InputError(f"{reference}: no such run; `minidl runs` lists those in {runs_dir}")

    @classmethod
    def all(cls, runs_dir: Path) -> "list[Run]":
        """Return the runs in a folder, oldest first."""
        if not runs_dir.is_dir():
            return []
        paths = [path for path in runs_dir.glob("[!.]*") if (path / "config.yaml").is_file()]
        return sorted(map(cls, paths), key=lambda run: (run.made_at, run.id))

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
        """When the folder was made, in seconds since the epoch."""
        return self.config_path.stat().st_mtime

    @property
    def config_path(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def metrics_path(self) -> Path:
        """The table with a row for each seed and epoch."""
        return self.path / "metrics.csv"

    @property
    def has_variants(self) -> bool:
        """Whether this is the folder of a sweep of variants, which are run folders themselves."""
        return (self.path / VARIANTS).is_dir()

    @property
    def is_finished(self) -> bool:
        """Whether the training came to its end."""
        return (self.path / "summary.json").is_file()

    def summary(self) -> dict[str, Any]:
        """Return the content of `summary.json`.

        Raises:
            InputError: it is not there, as when the run was interrupted, or cannot be read.
        """
        content: dict[str, Any] = self._read_json("summary.json")
        return content

    def environment(self) -> dict[str, Any]:
        """Return the content of `environment.json`."""
        content: dict[str, Any] = self._read_json("environment.json")
        return content

    def data_files(self) -> dict[str, str]:
        """Return the SHA-256 of each data file that the run was trained on, by its path, as far as that is known.

        Raises:
            InputError: `environment.json` cannot be read, or is damaged.
        """
        try:
            return {str(path): str(file["sha256"]) for path, file in self.environment().get("data", {}).items()}
        except (AttributeError, KeyError, TypeError) as error:
            problem = "does not say which files the run was trained on"
            raise InputError(f"{self.path / 'environment.json'}: {problem}") from error

    def columns(self) -> dict[str, Any]:
        """Return the content of `columns.json`: what the network takes and gives."""
        content: dict[str, Any] = self._read_json("columns.json")
        return content

    def _read_json(self, name: str) -> Any:
        try:
            return json.loads(self._read(name), parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.path / name}: cannot be read: {error}") from error

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            if self.has_variants and self.is_finished:
                one = min((self.path / VARIANTS).iterdir(), default="none")
                raise InputError(f"{self.path}: is a sweep of variants; name one of them, such as {one}") from None
            raise InputError(f"{self.path}: has no {name}: the run has not finished, or was interrupted") from None
        except OSError as error:
            raise InputError(f"{self.path / name}: cannot be read: {error.strerror or error}") from error

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
        path = self.path / "rounds.csv"
        try:
            rows = [RoundRow.read(row) for row in csv.DictReader(self._read("rounds.csv").decode().splitlines())]
        except (ValueError, TypeError, KeyError, csv.Error) as error:
            raise InputError(f"{path}: cannot be read: {error!r}") from error
        if not rows:
            raise InputError(f"{path}: cannot be read: it has no rounds")
        if len({row.seed for row in rows}) < len(rows) or {row.status for row in rows} - set(STATUSES):
            raise InputError(f"{path}: a seed stands there twice, or a status is none of {', '.join(STATUSES)}")
        return rows

    def curves(self) -> "Curves":
        """Return the metrics of all logged epochs, as `metrics.csv` has them.

        Raises:
            InputError: it is not there or cannot be read.
        """
        from .metrics import read_metrics

        rows = self.round_rows()
        try:
            text = self._read("metrics.csv").decode()
            return read_metrics(text, {row.seed for row in rows}, max(row.epochs for row in rows))
        except (ValueError, IndexError, csv.Error) as error:
            raise InputError(f"{self.metrics_path}: cannot be read: {error!r}") from error

    def write_weights(self, name: str, weights: "Mapping[str, NDArray[Any]]") -> None:
        """Write named arrays to `weights/{name}.safetensors`."""
        from safetensors.numpy import save

        folder = self.path / "weights"
        folder.mkdir(exist_ok=True)
        write_atomically(folder / f"{name}.safetensors", save(dict(weights)))

    def weights(self, name: str = "last") -> "dict[str, Tensor]":
        """Return the named tensors of `weights/{name}.safetensors`.

        Raises:
            InputError: the file is not there, or is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        file = f"weights/{name}.safetensors"
        if name == "best" and self.is_finished and not (self.path / file).exists():
            raise InputError(f"{self.path}: has no best weights, as there was no validation part; use the last")
        try:
            return load(self._read(file))
        except SafetensorError as error:
            raise InputError(f"{self.path / file}: cannot be read: {error}") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _make(runs_dir: Path, run_id: str, files: Mapping[str, str]) -> Path | None:
    """Fill a hidden folder, then give it its name; None where another process was faster."""
    hidden, path = runs_dir / f".{run_id}.partial", runs_dir / run_id
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
