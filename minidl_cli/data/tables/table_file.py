"""What a file with a table is: a header, typed columns, and lines to point at."""

import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl
import torch

from ...errors import InputError
from ..columns import Kind
from .messages import path_shown, shown, suggestion

# Each takes some 20 kB to read, whatever its rows.
MOST_COLUMNS = 100_000


@dataclass(frozen=True)
class Wanted:
    """How to read a column.

    Attributes:
        kind: what its values must be; None: what most of them look like.
        otherwise: what the user can do about a value that is nothing of that kind.
        is_exact: whether its numbers are float64 or integers whatever the others are, and text such as 007 stays text.
    """

    kind: Kind | None = None
    otherwise: str = "correct it, or leave it empty if it is not known"
    is_exact: bool = False


class TableFile(ABC):
    """A file with a table.

    Attributes:
        name: what messages call it.
        header: the names of its columns, no two the same.
    """

    name: str
    header: list[str]

    @cached_property
    def column_places(self) -> dict[str, int]:
        """The place of each column in the header, by its name."""
        return {name: place for place, name in enumerate(self.header)}

    @abstractmethod
    def read(self, wanted: Mapping[str, Wanted], dtype: torch.dtype) -> pl.DataFrame:
        """Return some columns of the table.

        Numbers are of the type `dtype`, booleans Boolean, dates Date or Datetime (in UTC), categories String. What is
        missing is null. Rows in which every field is empty, such as blank lines, are left out.

        Args:
            wanted: which columns, all of them in the header, and how to read each.
            dtype: float32 or float64.

        Raises:
            InputError: the file cannot be read, has no rows, or a value is not of its column's kind.
        """

    @abstractmethod
    def place(self, row: int) -> str:
        """Return where a user finds a row of what `read` returned, such as `line 18`."""

    def problem(self, row: int, column: str, problem: str) -> InputError:
        """Return the error that names a value and says what is wrong with it."""
        return InputError(f"{self.name}: {self.place(row)}, column {shown(column)}: {problem}")

    def column_problem(self, column: str, problem: str) -> InputError:
        """Return the error that names a column and says what is wrong with it."""
        return InputError(f"{self.name}: column {shown(column)}: {problem}")

    def require(self, columns: Iterable[str]) -> None:
        """Check that columns are there.

        Raises:
            InputError: some are not; a line for each.
        """
        wanted = dict.fromkeys(columns)
        missing = [column for column in wanted if column not in self.column_places]
        if missing:
            others = [column for column in self.header if column not in wanted] or self.header
            raise InputError([f"{self.name}: no column {shown(each)}; {suggestion(each, others)}" for each in missing])

    def _check_number_of_columns(self, number: int) -> None:
        if number > MOST_COLUMNS:
            raise InputError(f"{self.name}: {number:,} columns are too many; a table has at most {MOST_COLUMNS:,}")

    def _check_header(self) -> None:
        for number, column in enumerate(self.header, 1):
            if not column:
                raise InputError(f"{self.name}: column {number} of {len(self.header)} has no name; write one in line 1")
            if self.column_places[column] != number - 1:
                raise InputError(f"{self.name}: two columns are called {shown(column)}; rename one in line 1")


def beginning(source: Path | bytes, size: int) -> bytes:
    """Return the first bytes of a file, or of its content.

    Raises:
        InputError: there is a pipe or a device: it can be read only once, keep one waiting, and have no end.
        OSError: the file cannot be read.
    """
    if isinstance(source, bytes):
        return source[:size]
    if not source.is_dir() and not stat.S_ISREG(source.stat().st_mode):
        raise InputError(f"{path_shown(source)}: is a pipe or a device, not a file; copy what it gives into one")
    with source.open("rb") as file:
        return file.read(size)


def number_type(dtype: torch.dtype) -> type[pl.DataType]:
    """Return the type of a table's numbers that are of this type in a tensor."""
    return {torch.float32: pl.Float32, torch.float64: pl.Float64}[dtype]


def kind_of(values: pl.Series) -> Kind:
    """Return the kind of a column that `TableFile.read` returned."""
    if values.dtype == pl.String:
        return "category"
    if values.dtype == pl.Boolean:
        return "boolean"
    return "date" if values.dtype.is_temporal() else "number"
