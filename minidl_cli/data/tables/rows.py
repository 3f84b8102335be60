"""The rows of a table as they were read, and errors that name them."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl
import torch

from ...errors import InputError
from .messages import listed
from .table_file import TableFile, Wanted, kind_of


class Rows:
    """The rows of a table, or of several with the same columns, one after the other.

    Args:
        files: the tables.
        wanted: which columns to read, and how; those of the others are read as those of the first were.
        dtype: the type of numbers.

    Attributes:
        frame: the values, as `TableFile.read` returns them.
        own: how many of the rows come from the first table.

    Raises:
        InputError: a table, or a value in it, is wrong.
    """

    def __init__(self, files: Sequence[TableFile], wanted: Mapping[str, Wanted], dtype: torch.dtype):
        frames = [files[0].read(wanted, dtype)]
        found = {each.name: kind_of(each) for each in frames[0]}
        same = {name: Wanted(found[name], each.otherwise, each.is_exact) for name, each in wanted.items()}
        frames += [file.read(same, dtype) for file in files[1:]]
        self.frame = pl.concat(frames, how="vertical_relaxed")
        self.own = frames[0].height
        self._files = [(file, frame.height) for file, frame in zip(files, frames, strict=True)]
        self._kept: pl.Series | None = None  # the places that rows had before others were left out

    def problem(self, row: int, column: str, problem: str) -> InputError:
        """Return the error that names a value and says what is wrong with it."""
        if self._kept is not None:
            row = self._kept[row]
        for file, rows in self._files:
            if row < rows:
                return file.problem(row, column, problem)
            row -= rows
        raise IndexError(row)

    def column_problem(self, column: str, problem: str) -> InputError:
        """Return the error that names a column and says what is wrong with it."""
        return self._files[0][0].column_problem(column, problem)

    def columns_problem(self, columns: Sequence[str], problem: str) -> InputError:
        """Return the error that names several columns and says what is wrong with them."""
        return InputError(f"{self._files[0][0].name}: columns {listed(columns)}: {problem}")

    def drop_gaps(self) -> None:
        """Leave out the rows in which a value is missing."""
        complete = self.frame.select(~pl.any_horizontal(pl.all().is_null())).to_series()
        if not complete.all():
            self._kept = complete.arg_true()
            self.own = int(complete[: self.own].sum())
            self.frame = self.frame.filter(complete)

    def check_gaps(self, columns: Iterable[str], advice: str) -> None:
        """Raise InputError if one of the columns lacks a value."""
        for column in columns:
            if self.frame[column].null_count():
                row = self.frame[column].is_null().arg_true()[0]
                raise self.problem(row, column, f"there is no value; {advice}")
