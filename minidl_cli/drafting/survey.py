"""Looking at a table: what each of its columns holds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import Any

import polars as pl
import torch

from ..data.columns import Kind
from ..data.tables.fitting import scaling
from ..data.tables.messages import listed, shown
from ..data.tables.options import Task
from ..data.tables.preparing import told_task
from ..data.tables.reading import open_table
from ..data.tables.table_file import TableFile, Wanted, kind_of
from ..data.tables.text_values import as_labels
from ..display.text import printable
from ..errors import InputError

# Names that targets often have, the likeliest first.
_TARGETS = ("target", "class", "label", "y", "species", "outcome")

# What a network's numbers can hold.
LARGEST = torch.finfo(torch.float32).max

# A share of a column's deviation by which neighbouring numbers may lie apart: half of what the table dataset warns of.
_FINE = 0.005

# As many values as a remark names, and signs of each.
_NAMED, _SIGNS = 5, 24


class Seen:
    """A column and what it holds.

    Attributes:
        name: as the table's header has it.
        values: its values, as `TableFile.read` returns them.
        kind: what they are.
        missing: how many are missing.
    """

    def __init__(self, values: pl.Series):
        self.name, self.values = values.name, values
        self.kind: Kind = kind_of(values)
        self.missing = values.null_count()

    def only(self, kept: pl.Series) -> "Seen":
        """Return what some of the rows hold."""
        return Seen(self.values.filter(kept))

    @cached_property
    def present(self) -> pl.Series:
        """The values that are not missing."""
        return self.values.drop_nulls() if self.missing else self.values

    @cached_property
    def distinct(self) -> int:
        """How many different values there are."""
        return self.present.n_unique()

    @cached_property
    def is_whole(self) -> bool:
        """Whether all are whole numbers."""
        return self.kind == "number" and bool((self.present == self.present.floor()).all())

    @cached_property
    def needs_float64(self) -> bool:
        """Whether float32 can hardly tell numbers or dates apart, or cannot hold their squares."""
        if self.kind not in ("number", "date"):
            return False
        values = self.present if self.kind == "number" else _days(self.present)
        deviation = values.std()
        assert isinstance(deviation, float)
        largest = float(values.abs().max())  # type: ignore[arg-type]
        return largest * torch.finfo(torch.float32).eps > _FINE * deviation or largest > math.sqrt(LARGEST)

    @cached_property
    def unscalable(self) -> str | None:
        """Why numbers or dates cannot be brought to mean 0 and deviation 1, or None."""
        if self.kind not in ("number", "date") or self.distinct < 2:
            return None
        values = self.present if self.kind == "number" else _days(self.present)
        dtype = torch.float64 if self.needs_float64 else torch.float32
        try:
            scaling(torch.from_numpy(values.to_numpy(writable=True)), dtype=dtype)
        except ValueError as error:
            return str(error)
        return None

    @cached_property
    def counts(self) -> list[tuple[Any, int]]:
        """The different values with the number of their rows: numbers ascending, others by how many rows they have."""
        counts = self.present.rename("value").value_counts(name="rows")
        counts = (
            counts.sort("value") if self.kind == "number" else counts.sort("rows", "value", descending=[True, False])
        )
        return counts.rows()

    def __str__(self) -> str:
        if self.kind == "category":
            return f"{self.distinct:,} categories: {self.named_counts()}"
        if self.kind == "boolean":
            return self.named_counts()
        low, high = (said(value) for value in (self.present.min(), self.present.max()))
        return f"{low} to {high}, {self.distinct:,} different {'dates' if self.kind == 'date' else 'values'}"

    def named_counts(self) -> str:
        """Return how many rows each of the first values has, such as `setosa 50, versicolor 50`."""
        named = ", ".join(f"{said(value)} {rows:,}" for value, rows in self.counts[:_NAMED])
        return named + (f" and {len(self.counts) - _NAMED:,} more" if len(self.counts) > _NAMED else "")


@dataclass(frozen=True)
class Unreadable:
    """A column that cannot be read, and why not."""

    name: str
    problem: str


@dataclass(frozen=True)
class Survey:
    """A table and what its columns hold.

    Attributes:
        file: what messages call the table.
        task: what to predict.
        targets: the columns to predict; those of classes hold labels, as the table dataset has them.
        others: all other columns by name, in the table's order.
    """

    file: str
    task: Task
    targets: Sequence[Seen]
    others: Mapping[str, Seen | Unreadable]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.targets[0].values)

    def column(self, name: str) -> Seen:
        """Return a column that is no target, and can be read."""
        column = self.others[name]
        assert isinstance(column, Seen)
        return column

    def only(self, kept: pl.Series) -> "Survey":
        """Return what some of the rows hold."""
        targets = [each.only(kept) for each in self.targets]
        others = {name: each.only(kept) if isinstance(each, Seen) else each for name, each in self.others.items()}
        return Survey(self.file, self.task, targets, others)

    def problem(self, column: str, problem: str) -> InputError:
        """Return the error that names a column and says what is wrong with it."""
        return InputError(f"{self.file}: column {shown(column)}: {problem}")


def survey(path: Path, targets: Sequence[str]) -> Survey:
    """Look at a CSV or Parquet file.

    Args:
        path: the file.
        targets: the names of the columns to predict.

    Raises:
        InputError: the file is no table, or has no such columns; or none were named; or they cannot be predicted.
    """
    file = open_table(path)
    if not targets:
        example = f"such as {_example(file.header)}; there are {listed(file.header)}"
        raise InputError(f"{file.name}: say which column to predict with --target, {example}")
    file.require(targets)
    names = list(dict.fromkeys(targets))
    task, seen = _target(file, names[0]) if len(names) == 1 else ("regression", _numbers(file, names))
    others = [name for name in file.header if name not in names]
    return Survey(file.name, task, seen, {each.name: each for each in _read(file, others)})


def said(value: Any) -> str:
    """Return a value as a remark says it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date):
        return str(value).removesuffix(" 00:00:00")
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    is_plain = isinstance(value, int) or str(value).isidentifier()
    return shown(value, _SIGNS).strip("'") if is_plain else shown(value, _SIGNS)


def _days(dates: pl.Series) -> pl.Series:
    return dates.cast(pl.Datetime("us")).to_physical() / 86_400_000_000


def _target(file: TableFile, name: str) -> tuple[Task, list[Seen]]:
    """Return what to predict of a single target, and the target."""
    try:
        values = file.read({name: Wanted(is_exact=True)}, torch.float64).to_series()
    except InputError:
        pass  # where text stands among numbers, they are labels
    else:
        if kind_of(values) == "date":
            raise file.column_problem(name, "holds dates, which cannot be predicted; make them numbers")
        if values.null_count() == len(values):
            raise file.column_problem(name, "has no values to learn from")
        if told_task(values) == "regression":
            return "regression", [Seen(values)]
    return "classification", [Seen(as_labels(file.read({name: Wanted("category")}, torch.float64).to_series()))]


def _numbers(file: TableFile, names: Sequence[str]) -> list[Seen]:
    advice = Wanted("number", "several targets must be numbers: name one, or correct it")
    return [Seen(values) for values in file.read(dict.fromkeys(names, advice), torch.float64)]


def _read(file: TableFile, names: Sequence[str]) -> list[Seen | Unreadable]:
    """Read columns together, or where one of them cannot be read, in halves."""
    if not names:
        return []
    advice = Wanted(None, "correct it, or take the column for a categorical one")
    try:
        return [Seen(values) for values in file.read(dict.fromkeys(names, advice), torch.float64)]
    except InputError as error:
        if len(names) == 1:
            return [Unreadable(names[0], str(error).removeprefix(f"{file.name}: "))]
    middle = len(names) // 2
    return [*_read(file, names[:middle]), *_read(file, names[middle:])]


def listed_names(names: Sequence[str]) -> str:
    """Return names as a remark lists them: the first ones, if they are many."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(map(said, names[:_NAMED])) + more


def _example(header: Sequence[str]) -> str:
    """Return the option that names a likely target: by its name, or the last column."""
    by_lower_case = {name.lower(): name for name in reversed(header)}
    likely = next((by_lower_case[name] for name in _TARGETS if name in by_lower_case), header[-1])
    return f"--target {quote(printable(likely))}"
