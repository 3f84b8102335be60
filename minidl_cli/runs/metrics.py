"""The metrics of a run as they come: a CSV file on disk, and arrays for the figures."""

import math
import os
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import compress, repeat
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ..atomic import write_atomically
from ..errors import InputError
from .environment import physical_memory

Numbers = NDArray[np.float64]  # a metric of each round

# What is read at once: 1.6 GB. A file could ask for more with few rows, each of another seed and epoch.
MOST_NUMBERS = 200_000_000

_EMPTY_CELL = re.compile(r"(?<=,)(?=,|$)")


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
    header, *lines = text.splitlines()
    names = header.split(",")
    if names[:2] != ["seed", "epoch"]:
        raise ValueError("the first columns are not seed and epoch")
    rows = _parsed(lines, len(names))
    seeds, row_of = np.unique(rows["seed"], return_inverse=True)
    epochs, column_of = np.unique(rows["epoch"], return_inverse=True)
    if not set(seeds.tolist()) <= known_seeds or (epochs.size and not 1 <= epochs[0] <= epochs[-1] <= most_epochs):
        raise ValueError("a row is of no seed or epoch of the run")
    if len(seeds) * len(epochs) * len(names) > MOST_NUMBERS:
        raise ValueError("there are too many seeds and epochs")
    values = {}
    for cell, name in enumerate(names[2:]):
        values[name] = np.full((len(seeds), len(epochs)), np.nan)
        values[name][row_of, column_of] = rows[str(cell)]
    return Curves(seeds.tolist(), epochs.tolist(), values)


def _parsed(lines: Sequence[str], width: int) -> NDArray[np.void]:
    """Return the rows of a table: `seed` and `epoch`, then the other cells as `0`, `1`, ..., NaN where one is empty."""
    columns = [("seed", np.int64), ("epoch", np.int64), *((str(cell), np.float64) for cell in range(width - 2))]
    if not lines:
        return np.empty(0, columns)
    if not all(lines):
        raise ValueError("a line is empty")
    filled = [_EMPTY_CELL.sub("nan", line) if ",," in line or line.endswith(",") else line for line in lines]
    rows: NDArray[np.void] = np.loadtxt(filled, columns, delimiter=",", comments=None, ndmin=1)
    return rows


class MetricsLog:
    """Writes `metrics.csv`, flushed with every epoch, and keeps the numbers.

    A row that is there is not written again, as when a worker dies and its epochs come a second time. Rows stand in the
    order in which they came until the log is closed, then by seed and epoch.

    Args:
        path: the file to write.
        seeds: the rounds.
        epochs: the epochs that are logged, ascending.
        names: the metrics, in the order of their columns.
        reached: the last epoch of each round, by seed, of which rows that are in the file already are kept.

    Attributes:
        epochs: the logged epochs.
        values: for each metric `[rounds, epochs]`, NaN where nothing was logged.

    Raises:
        InputError: when it is opened: what is in the file already is damaged.
        OSError: the file cannot be read or written.
    """

    def __init__(
        self,
        path: Path,
        seeds: Sequence[int],
        epochs: Sequence[int],
        names: Sequence[str],
        reached: Mapping[int, int] | None = None,
    ):
        self.path, self.epochs, self.names, self._reached = path, list(epochs), list(names), reached or {}
        self._numbers = np.full((len(names), len(seeds), len(epochs)), np.nan)
        self.values = dict(zip(names, self._numbers, strict=True))
        self._is_logged = np.zeros((len(seeds), len(epochs)), dtype=np.bool_)
        self._row = {seed: row for row, seed in enumerate(seeds)}
        self._column = {epoch: column for column, epoch in enumerate(epochs)}
        self._places: list[NDArray[np.intp]] = []  # of the rows that were written, in the order by seed and epoch
        self._header = ",".join(["seed", "epoch", "lr", *self.names, "seconds"])

    def curves(self) -> Curves:
        """Return the metrics that were logged."""
        return Curves(list(self._row), self.epochs, self.values)

    def has(self, seed: int, epoch: int) -> bool:
        """Tell whether all rows of a round are there, up to an epoch."""
        return bool(self._is_logged[self._row[seed], : bisect_right(self.epochs, epoch)].all())

    @staticmethod
    def memory(rounds: int, epochs: int, names: int) -> int:
        """Return about how many bytes a log of so many rounds, epochs and metrics keeps."""
        return 9 * rounds * epochs * (names + 1) + 100 * (rounds + epochs)

    def __enter__(self) -> "MetricsLog":
        lines = self._resume() if self.path.exists() else []
        write_atomically(self.path, "".join(f"{line}\n" for line in [self._header, *lines]))
        self._file = self.path.open("a", encoding="utf-8", newline="")
        return self

    def _resume(self) -> list[str]:
        try:
            if self.path.stat().st_size > (most := physical_memory() // 8):
                raise ValueError(f"it has more than {most:,} bytes")
            # The last line has no end if a process was killed while it wrote it.
            whole = self.path.read_bytes().rpartition(b"\n")[0]
            return self._take_over(whole.decode())
        except (ValueError, IndexError) as error:
            advice = "without this file, all rounds are trained from the start"
            raise InputError(f"{self.path}: cannot be read: {error}; {advice}") from error

    def _take_over(self, text: str) -> list[str]:
        """Keep the numbers that a file has, as far as they are to be logged, and return their lines."""
        if not text:
            return []
        lines = text.split("\n")
        if lines[0] != self._header:
            raise ValueError("its columns are not those of the run")
        parsed = _parsed(lines[1:], lines[0].count(",") + 1)
        kept, rows, columns = [], [], []
        for place, (seed, epoch) in enumerate(zip(parsed["seed"].tolist(), parsed["epoch"].tolist(), strict=True)):
            row, column = self._row.get(seed), self._column.get(epoch)
            if row is not None and column is not None and epoch <= self._reached.get(seed, 0):
                kept.append(place)
                rows.append(row)
                columns.append(column)
        for cell, values in enumerate(self._numbers, start=1):  # before them the learning rate
            values[rows, columns] = parsed[str(cell)][kept]
        self._is_logged[rows, columns] = True
        if np.count_nonzero(self._is_logged) < len(kept):
            raise ValueError("a seed and epoch stand there twice")
        self._places.append(np.array(rows, dtype=np.intp) * len(self.epochs) + np.array(columns, dtype=np.intp))
        return [lines[1 + place] for place in kept]

    def write(
        self, epoch: int, seeds: Sequence[int], lr: float, metrics: Mapping[str, Numbers], seconds: float
    ) -> None:
        """Log one epoch of some rounds; `metrics` are `[len(seeds)]` each, in the order of `seeds`."""
        column, rows = self._column[epoch], np.array([self._row[seed] for seed in seeds], dtype=np.intp)
        new = ~self._is_logged[rows, column]
        columns, rows = [metrics[name][new] for name in self.names], rows[new]
        self._numbers[:, rows, column] = columns
        self._is_logged[rows, column] = True
        self._places.append(rows * len(self.epochs) + column)
        named = map(str, compress(seeds, new))
        cells = [named, repeat(str(epoch)), repeat(repr(lr)), *_cells(columns), repeat(f"{seconds:.4f}\n")]
        self._file.write("".join(map(",".join, zip(*cells, strict=False))))
        self._file.flush()

    def sync(self) -> None:
        """Make what was logged survive a power failure."""
        os.fsync(self._file.fileno())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError:
            # What could not be written has been raised already.
            if kind is None:
                raise
        if kind is None:
            self._sort()

    def _sort(self) -> None:
        places = np.concatenate([*self._places, np.empty(0, dtype=np.intp)])
        if (places[1:] > places[:-1]).all():
            return
        with self.path.open("rb") as file:
            header, *lines = file
        order = np.argsort(places)
        write_atomically(self.path, header + b"".join([lines[place] for place in order.tolist()]))


def _cells(columns: Sequence[Numbers]) -> list[list[str]]:
    """Return all digits of each number, column by column; nothing for NaN and infinity.

    Columns of the same bits, such as a loss that is the MSE, are written out once: this is what takes time.
    """
    distinct = {values.tobytes(): values for values in columns}
    cells = {
        bits: [repr(value) if math.isfinite(value) else "" for value in values.tolist()]
        for bits, values in distinct.items()
    }
    return [cells[values.tobytes()] for values in columns]
