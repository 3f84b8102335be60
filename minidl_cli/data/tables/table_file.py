"""What a file with a table is: a header, typed columns, and lines to point at."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl
import torch

from ...errors import InputError
from ..columns import Kind
from .messages import shown, suggestion


@dataclass(frozen=True)
class Wanted:
    """How to read a column.

    Attributes:
        kind: what its values must be; None: what most of them look like.
        otherwise: what the user can do about a value that is nothing of that kind.
        is_exact: whether its numbers are float64 whatever the others are.
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
        missing = [column for column in columns if column not in self.header]
        if missing:
            raise InputError(
                [f"{self.name}: no column {shown(each)}; {suggestion(each, self.header)}" for each in missing]
            )

    def _check_header(self) -> None:
        for number, column in enumerate(self.header, 1):
            if not column:
                raise InputError(f"{self.name}: column {number} of {len(self.header)} has no name; write one in line 1")
            if column in self.header[: number - 1]:
                raise InputError(f"{self.name}: two columns are called {shown(column)}; rename one in line 1")


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
