"""Reading Parquet files, whose columns have types already."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import torch

from ...errors import InputError
from ..columns import Kind
from .table_file import TableFile, Wanted, number_type
from .text_values import YEARS, clean

_PLURALS = {"number": "numbers", "boolean": "booleans", "date": "dates", "category": "text"}


class ParquetFile(TableFile):
    """A Parquet file.

    Args:
        source: the file, or its content.
        name: what messages call it.

    Raises:
        InputError: the file cannot be read, or a column has no name.
    """

    def __init__(self, source: Path | bytes, name: str):
        self.name = name
        try:
            self._rows = pl.scan_parquet(source, glob=False)
            self._types = self._rows.collect_schema()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error) from error
        self._check_number_of_columns(len(self._types))
        self.header = list(self._types)
        self._check_header()

    def read(self, wanted: Mapping[str, Wanted], dtype: torch.dtype) -> pl.DataFrame:
        values = [self._values(name, each, number_type(dtype)) for name, each in wanted.items()]
        try:
            frame = self._rows.select(values).collect(engine="streaming")
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error) from error
        if frame.is_empty():
            raise InputError(f"{self.name}: has no rows")
        for column in frame:
            if column.dtype.is_temporal() and not column.dt.year().is_between(*YEARS).all():
                raise self.column_problem(column.name, "holds dates beyond the years {} to {}".format(*YEARS))
        return frame

    def place(self, row: int) -> str:
        return f"row {row + 1}"

    def _values(self, name: str, wanted: Wanted, number: type[pl.DataType]) -> pl.Expr:
        found = self._kind(name)
        if wanted.kind not in (None, "category", found):
            raise self.column_problem(name, f"holds {_PLURALS[found]}, not {_PLURALS[wanted.kind]}; {wanted.otherwise}")
        values = pl.nth(self.column_places[name])  # pl.col would take a name such as * for a pattern
        match wanted.kind or found:
            case "number" if wanted.is_exact and self._types[name].is_integer():
                return values
            case "number":
                return values.cast(pl.Float64).fill_nan(None).cast(pl.Float64 if wanted.is_exact else number)
            case "category":
                return clean(values.cast(pl.String))
        return values

    def _kind(self, name: str) -> Kind:
        found = self._types[name]
        if found.is_numeric():
            return "number"
        if found == pl.Boolean:
            return "boolean"
        if found in (pl.Date, pl.Datetime):
            return "date"
        if found in (pl.String, pl.Categorical, pl.Enum):
            return "category"
        advice = "make it numbers, text, booleans or dates, or leave it out of features"
        raise self.column_problem(name, f"holds values of type {found}; {advice}")

    def _unreadable(self, error: Exception) -> InputError:
        return InputError(f"{self.name}: cannot be read as Parquet: {str(error).partition(chr(10))[0]}")
