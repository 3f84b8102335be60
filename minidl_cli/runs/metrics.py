"""The metrics of a run as they come: a CSV file on disk, and arrays for the figures."""

import csv
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from .atomic import write_atomically

Numbers = NDArray[np.float64]  # a metric of each round

# What is read at once: 1.6 GB. A file could ask for more with few rows, each of another seed and epoch.
MOST_NUMBERS = 200_000_000


@dataclass(frozen=True)
class Curves:
    """The metrics of some rounds at some epochs.

    Attributes:
        seeds: the rounds, ascending.
        epochs: the logged epochs, ascending.
        values: for each metric `[rounds, epochs]`, NaN where nothing was logged.
    """

    seeds: list[int]
    epochs: list[int]
    values: dict[str, Numbers]

    def of(self, seeds: Sequence[int], name: str) -> Numbers:
        """Return a metric of any rounds, `[seeds, epochs]`, NaN for those of which nothing was logged."""
        places = {seed: place for place, seed in enumerate(self.seeds)}
        values = np.full((len(seeds), len(self.epochs)), np.nan)
        for row, seed in enumerate(seeds):
            if seed in places:
                values[row] = self.values[name][places[seed]]
        return values


def read_metrics(text: str, known_seeds: AbstractSet[int], most_epochs: int) -> Curves:
    """Return the content of a `metrics.csv`.

    Args:
        text: the file's text.
        known_seeds: the seeds that it may hold.
        most_epochs: the last epoch that it may hold.

    Raises:
        ValueError, IndexError: it is damaged.
    """
    header, *rows = csv.reader(text.splitlines())
    if header[:2] != ["seed", "epoch"] or any(len(row) != len(header) for row in rows):
        raise ValueError("a row has too few cells or too many")
    seeds = sorted({int(row[0]) for row in rows})
    epochs = sorted({int(row[1]) for row in rows})
    if not set(seeds) <= known_seeds or (epochs and not 1 <= epochs[0] <= epochs[-1] <= most_epochs):
        raise ValueError("a row is of no seed or epoch of the run")
    if len(seeds) * len(epochs) * len(header) > MOST_NUMBERS:
        raise ValueError("there are too many seeds and epochs")
    row_of, column_of = ({each: place for place, each in enumerate(all_)} for all_ in (seeds, epochs))
    places = [row_of[int(row[0])] for row in rows], [column_of[int(row[1])] for row in rows]
    values = {}
    for cell, name in enumerate(header[2:], start=2):
        values[name] = np.full((len(seeds), len(epochs)), np.nan)
        values[name][places] = [float(row[cell] or "nan") for row in rows]
    return Curves(seeds, epochs, values)


class MetricsLog:
    """Writes `metrics.csv`, flushed with every epoch, and keeps the numbers.

    Rows stand in the order in which they came until the log is closed, then by seed and epoch.

    Args:
        path: the file to write.
        seeds: the rounds.
        epochs: the epochs that are logged, ascending.
        names: the metrics, in the order of their columns.

    Attributes:
        epochs: the logged epochs.
        values: for each metric `[rounds, epochs]`, NaN where nothing was logged.
    """

    def __init__(self, path: Path, seeds: Sequence[int], epochs: Sequence[int], names: Sequence[str]):
        self.path, self.epochs, self.names = path, list(epochs), list(names)
        self.values = {name: np.full((len(seeds), len(epochs)), np.nan) for name in names}
        self._row = {seed: row for row, seed in enumerate(seeds)}
        self._column = {epoch: column for column, epoch in enumerate(epochs)}
        self._header = ",".join(["seed", "epoch", "lr", *names, "seconds"]) + "\n"

    def curves(self) -> Curves:
        """Return the metrics that were logged."""
        return Curves(list(self._row), self.epochs, self.values)

    @staticmethod
    def memory(rounds: int, epochs: int, names: int) -> int:
        """Return about how many bytes a log of so many rounds, epochs and metrics keeps."""
        return 8 * rounds * epochs * names + 100 * (rounds + epochs)

    def __enter__(self) -> "MetricsLog":
        self._file = self.path.open("w", encoding="utf-8", newline="")
        self._file.write(self._header)
        return self

    def write(
        self, epoch: int, seeds: Sequence[int], lr: float, metrics: Mapping[str, Numbers], seconds: float
    ) -> None:
        """Log one epoch of some rounds; `metrics` are `[len(seeds)]` each, in the order of `seeds`."""
        rows = [self._row[seed] for seed in seeds]
        for name, values in metrics.items():
            self.values[name][rows, self._column[epoch]] = values
        columns = [metrics[name].tolist() for name in self.names]
        for seed, *cells in zip(seeds, *columns, strict=True):
            self._file.write(f"{seed},{epoch},{lr!r},{','.join(map(_cell, cells))},{seconds:.4f}\n")
        self._file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if len(self._row) > 1 and kind is None:
            self._sort()

    def _sort(self) -> None:
        header, *lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        write_atomically(self.path, header + "".join(sorted(lines, key=_seed_and_epoch)))


def _cell(value: float) -> str:
    """All digits of a number; nothing for NaN and infinity."""
    return repr(value) if math.isfinite(value) else ""


def _seed_and_epoch(line: str) -> tuple[int, int]:
    seed, epoch, _ = line.split(",", 2)
    return int(seed), int(epoch)
