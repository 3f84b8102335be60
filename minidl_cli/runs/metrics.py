"""The metrics of a run as they come: a CSV file on disk, and arrays for the figures."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from .atomic import write_atomically

Numbers = NDArray[np.float64]  # a metric of each round


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
