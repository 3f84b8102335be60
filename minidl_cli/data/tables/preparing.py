"""From the files of a table to one matrix that all parts of all rounds share."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ...display.text import readable
from ...errors import InputError, MinidlWarning
from ...runs.environment import physical_memory
from ..columns import Column, Columns, Label
from ..split import PARTS
from .messages import listed, path_shown, shown
from .options import Decimal, Gaps, Separator, Task
from .reading import open_table
from .rows import Rows
from .sharing import SharedMemory, receive
from .table_file import TableFile, Wanted, kind_of
from .text_values import as_labels

# Whole numbers are taken for classes where there are at most so many, each of them twice on average.
_MOST_TOLD_CLASSES = 20
# From how many rows on a column that counts them is worth a warning.
_FEW_ROWS = 10
# Dates as people write them, which begin with the day or the month: nobody can tell which.
_OTHER_DATES = r"^\d{1,2}[./]\d{1,2}[./](\d{2}|\d{4})\b"
# A column is precise enough if the numbers near its largest lie closer together than so many of its deviations.
_PRECISION = 0.01


@dataclass(frozen=True)
class Recipe:
    """What decides the matrix that files become.

    Attributes:
        file: the table.
        test_file: a table of test rows, or None.
        targets: the columns to predict.
        features: the columns to take; None: all others.
        task: what to predict; None: told from the target.
        categorical: columns to take as categories though they hold something else.
        gaps: what becomes of a row in which a feature is missing.
        max_categories: how many categories a column may have, and how many classes a target.
        split_column: the column that says which row belongs to which part, or None.
        separator: that of a CSV file; None: told.
        decimal: that of a CSV file; None: told.
        dtype: the type of the matrix.
    """

    file: Path
    test_file: Path | None
    targets: tuple[str, ...]
    features: tuple[str, ...] | None
    task: Task | None
    categorical: tuple[str, ...]
    gaps: Gaps
    max_categories: int
    split_column: str | None
    separator: Separator | None
    decimal: Decimal | None
    dtype: torch.dtype

    @property
    def files(self) -> list[Path]:
        """All files."""
        return [self.file, *([self.test_file] if self.test_file else [])]


@dataclass(eq=False)
class Prepared:
    """A table as a network takes it.

    Attributes:
        columns: what the features and targets are.
        inputs: `[features, rows]`, NaN where a value is missing.
        targets: classes `[rows]`, int64, or numbers `[targets, rows]`, float64.
        own_rows: how many rows come from the table itself; those of a test file come after them.
        parts: what the split's column says of each row, `[rows]`: a place in `PARTS`; None without such a column.
        memory: that of the inputs, once they are shared with other processes.
    """

    columns: Columns
    inputs: Tensor
    targets: Tensor
    own_rows: int
    parts: Tensor | None
    memory: SharedMemory | None = None

    def hand_over(self, connection: Connection, process: int) -> None:
        """Send the table to another process, which has to call `take_over`.

        Args:
            connection: the way to the process.
            process: the process's number.

        Raises:
            TrainingError: there is no memory to share.
        """
        if self.memory is None:
            self.memory = SharedMemory(self.inputs)
            self.inputs = self.memory.tensor  # the memory from before is given back
        # As arrays: PyTorch would hand tensors over by open files, in memory that may be short.
        parts = None if self.parts is None else self.parts.numpy()
        shape = tuple(self.inputs.shape)
        connection.send((self.columns, shape, self.inputs.dtype, self.targets.numpy(), self.own_rows, parts))
        self.memory.send(connection, process)

    def __getstate__(self) -> dict[str, Any]:
        """Return what another machine is sent: tensors as arrays, which are not copied on the way."""
        state = {name: each.numpy() if isinstance(each, Tensor) else each for name, each in vars(self).items()}
        return state | {"memory": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copied, as PyTorch warns of memory that nobody may write to.
        vars(self).update(
            {name: torch.tensor(each) if isinstance(each, np.ndarray) else each for name, each in state.items()}
        )

    @classmethod
    def take_over(cls, connection: Connection) -> "Prepared":
        """Return the table that another process hands over."""
        columns, shape, dtype, targets, own_rows, parts = connection.recv()
        inputs = receive(connection, shape, dtype)
        parts = None if parts is None else torch.from_numpy(parts)
        return cls(columns, inputs, torch.from_numpy(targets), own_rows, parts)


def prepare(recipe: Recipe) -> Prepared:
    """Return the matrix of files, which are read once in this process as long as they stay as they are.

    Raises:
        InputError: a file, or something in it, is wrong.
    """
    return _prepare(recipe, tuple(_stamp(path) for path in recipe.files))


def told_task(target: pl.Series) -> Task:
    """Return what to predict: classes, if the target is text, booleans, or whole numbers of which there are few."""
    if kind_of(target) != "number":
        return "classification"
    values = target.drop_nulls()
    is_whole = values.is_finite() & (values == values.floor())
    few = min(_MOST_TOLD_CLASSES, len(values) // 2)
    return "classification" if values.n_unique() <= few and is_whole.all() else "regression"


def check_size(source: Rows | TableFile, target: str, values: Tensor, dtype: torch.dtype) -> None:
    """Check that numbers to predict are so small that squared errors of their size can be held.

    Raises:
        InputError: one is not.
    """
    wrong = values.abs() > math.sqrt(torch.finfo(dtype).max)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        larger = "set training.dtype: float64, or " if dtype == torch.float32 else ""
        too_large = f"the number is so large that its square is beyond {torch.finfo(dtype).max:.1g}; {larger}divide"
        infinite = "the number is infinite; correct it"
        raise source.problem(row, target, infinite if values[row].isinf() else f"{too_large} all by a constant")


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path_shown(path)}: cannot be read: {error.strerror or error}") from error
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=2)
def _prepare(recipe: Recipe, stamps: Sequence[tuple[int, int]]) -> Prepared:
    rows, features = _read(recipe)
    _check_values(rows, features, recipe)
    classes = _classes(rows, recipe)
    columns = Columns(tuple(_column(rows, name, recipe) for name in features), recipe.targets, classes)
    targets = columns.labels(rows.frame) if classes else columns.numbers(rows.frame)
    if not classes:
        for name, values in zip(recipe.targets, targets, strict=True):
            check_size(rows, name, values, recipe.dtype)
            _check_precision(rows, name, values.to(recipe.dtype))
    parts = _parts(rows, recipe.split_column)
    _check_memory(rows, columns, recipe)
    inputs = columns.encode(rows.frame, recipe.dtype)
    _check_features(rows, columns, inputs)
    return Prepared(columns, inputs, targets, rows.own, parts)


def _check_memory(rows: Rows, columns: Columns, recipe: Recipe) -> None:
    """Raise InputError if the matrix would not fit into memory: categories may become many features."""
    features, height = len(columns.features), rows.frame.height
    needed = features * height * recipe.dtype.itemsize
    if needed > physical_memory():
        widest = max(columns.inputs, key=lambda column: len(column.features)).name
        problem = f"{features:,} features of {height:,} rows take {readable(needed)} of memory"
        has = f"this machine has {readable(physical_memory())}"
        raise InputError(f"{path_shown(recipe.file)}: {problem}, but {has}; leave out columns, such as {shown(widest)}")


def _read(recipe: Recipe) -> tuple[Rows, list[str]]:
    """Return the rows, and the columns that are features."""
    files = [open_table(path, None, recipe.separator, recipe.decimal) for path in recipe.files]
    others = [*recipe.targets, *([recipe.split_column] if recipe.split_column else [])]
    features = [name for name in recipe.features or files[0].header if name not in others]
    for file in files:
        file.require(dict.fromkeys([*others, *features, *recipe.categorical]))
    if not features:
        raise InputError(f"{files[0].name}: has no columns besides {listed(others)}, so there is nothing to learn from")
    wanted = {name: Wanted("category") for name in recipe.categorical if name in features}
    advice = "correct it, or add the column to categorical if its values are categories"
    wanted = {name: wanted.get(name, Wanted(None, advice)) for name in features}
    wanted |= dict.fromkeys(recipe.targets, _wanted_target(recipe))
    if recipe.split_column:
        wanted[recipe.split_column] = Wanted("category")
    return Rows(files, wanted, recipe.dtype), features


def _wanted_target(recipe: Recipe) -> Wanted:
    if recipe.task == "classification":
        return Wanted("category")
    if len(recipe.targets) > 1:
        return Wanted("number", "correct it", is_exact=True)
    advice = "correct it, or set task: classification if its values are classes"
    return Wanted("number" if recipe.task == "regression" else None, advice, is_exact=True)


def _check_values(rows: Rows, features: Sequence[str], recipe: Recipe) -> None:
    """Raise InputError if a value is missing that must not be, or infinite. Leave rows out, if the recipe says so."""
    used = [*features, *recipe.targets]
    for name in used:
        if rows.frame[name].null_count() == rows.frame.height:
            raise rows.column_problem(name, "has no values; leave it out")
    if recipe.split_column:
        _check_parts(rows, recipe.split_column)
    if recipe.gaps == "drop":
        rows.drop_gaps()
        if rows.frame.is_empty():
            raise InputError(
                f"{path_shown(recipe.file)}: missing: drop leaves out every row; fill gaps, or take fewer features"
            )
    rows.check_gaps(recipe.targets, "fill it in, or leave such rows out with missing: drop")
    if recipe.gaps == "error":
        rows.check_gaps(features, "fill it in, or set missing to mean, median, most_frequent, drop or {constant: 0}")


def _check_parts(rows: Rows, column: str) -> None:
    said = rows.frame[column]
    if (row := (~said.is_in(PARTS)).fill_null(True).index_of(True)) is not None:
        problem = "there is no value" if said[row] is None else f"{shown(said[row])} is no part of a split"
        raise rows.problem(row, column, f"{problem}; write train, validation or test")


def _parts(rows: Rows, column: str | None) -> Tensor | None:
    if column is None:
        return None
    places = rows.frame[column].replace_strict(PARTS, range(len(PARTS)), return_dtype=pl.Int64)
    return torch.from_numpy(places.to_numpy(writable=True))


def _classes(rows: Rows, recipe: Recipe) -> tuple[Label, ...] | None:
    """Return the labels of the classes, which the target is changed to; or None, where it is numbers."""
    for name in recipe.targets:
        if kind_of(rows.frame[name]) == "date":
            raise rows.column_problem(name, "holds dates, which cannot be predicted; make them numbers")
    (name, *more) = recipe.targets
    task = recipe.task or ("regression" if more else told_task(rows.frame[name]))
    if task == "regression":
        for each in recipe.targets:
            if rows.frame[each].n_unique() == 1:
                raise rows.column_problem(each, "is the same in every row, so there is nothing to predict")
        return None
    target = as_labels(rows.frame[name])
    rows.frame = rows.frame.with_columns(target)
    labels = target.unique().sort().to_list()
    if len(labels) == 1:
        raise rows.column_problem(name, f"has one class only, {shown(labels[0])}, so there is nothing to predict")
    if len(labels) > recipe.max_categories:
        advice = f"set max_categories: {len(labels)}, or task: regression if they are numbers"
        raise rows.column_problem(name, f"has {len(labels):,} classes, more than max_categories; {advice}")
    return tuple(labels)


def _column(rows: Rows, name: str, recipe: Recipe) -> Column:
    values = rows.frame[name]
    kind = kind_of(values)
    if kind != "category":
        return Column(name, kind)
    if name not in recipe.categorical and 2 * (values.str.contains(_OTHER_DATES).sum() or 0) > len(values):
        found = f"has dates such as {shown(values.drop_nulls()[0])}, which count as categories"
        advice = "write them as 2026-01-31, or add the column to categorical if they are"
        warnings.warn(str(rows.column_problem(name, f"{found}; {advice}")), MinidlWarning, stacklevel=2)
    categories = values.drop_nulls().unique().sort().to_list()
    if len(categories) > recipe.max_categories:
        found = f"has {len(categories):,} different texts, such as {shown(categories[0])}, more than max_categories"
        raise rows.column_problem(name, f"{found}; leave it out of features, or set max_categories: {len(categories)}")
    return Column(name, kind, tuple(categories))


def _check_features(rows: Rows, columns: Columns, inputs: Tensor) -> None:
    """Raise InputError if a number is infinite, and warn of columns from which nothing useful can be learned."""
    used, constant = 0, []
    for column in columns.inputs:
        values = inputs[used]
        if values.isnan().any():
            values = values[~values.isnan()]
        low, high = values.aminmax()
        _check_finite(rows, column.name, inputs[used], low, high)
        if problem := _problem(column, values, float(low), float(high)):
            warnings.warn(str(rows.column_problem(column.name, problem)), MinidlWarning, stacklevel=2)
        elif low == high and len(column.categories) < 2:
            constant.append(column.name)
        used += len(column.features)
    if constant:
        warnings.warn(str(_constant_problem(rows, constant)), MinidlWarning, stacklevel=2)


def _constant_problem(rows: Rows, columns: Sequence[str]) -> InputError:
    """Return what is wrong with all columns that are constant, of which a table may have hundreds."""
    if len(columns) == 1:
        problem = "is the same in every row, so nothing can be learned from it; leave it out of features"
        return rows.column_problem(columns[0], problem)
    problem = "are the same in every row, so nothing can be learned from them; leave them out of features"
    return rows.columns_problem(columns, problem)


def _check_finite(rows: Rows, name: str, values: Tensor, low: Tensor, high: Tensor) -> None:
    if low.isinf() or high.isinf():
        largest = f"{torch.finfo(values.dtype).max:.1g}"
        problem = f"the number is infinite, or beyond {largest}; correct it, or leave it empty"
        raise rows.problem(int(values.isinf().nonzero()[0]), name, problem)


def _check_precision(rows: Rows, name: str, values: Tensor) -> None:
    """Raise InputError if numbers to predict can hardly be told apart."""
    low, high = values.aminmax()
    largest = float(values.abs().max())
    if _is_imprecise(values, float(high - low), largest * torch.finfo(values.dtype).eps):
        larger = "set training.dtype: float64, or " if values.dtype == torch.float32 else ""
        problem = f"has numbers up to {largest:g} that differ by too little to be told apart"
        raise rows.column_problem(name, f"{problem}; {larger}subtract a constant from it")


def _problem(column: Column, values: Tensor, low: float, high: float) -> str | None:
    """Return what to warn of in a column whose (first) feature has these values, but for constants as such."""
    largest, precision = max(abs(low), abs(high)), torch.finfo(values.dtype).eps
    if low == high:
        if column.kind not in ("number", "date") or largest * precision < 1:
            return None
        problem = "is the same in every row, so nothing can be learned from it; leave it out of features"
        return f"{problem}, or set training.dtype: float64 if it differs"  # it may have been rounded to the same
    if column.kind == "number" and _counts(values, low, high):
        return "counts the rows, which tells nothing about others; leave it out of features"
    if column.kind in ("number", "date") and _is_imprecise(values, high - low, largest * precision):
        advice = "set training.dtype: float64" if values.dtype == torch.float32 else "subtract a constant from it"
        return f"has numbers up to {largest:g} that differ by too little to be told apart; {advice}"
    return None


def _is_imprecise(values: Tensor, spread: float, gap: float) -> bool:
    """Tell whether the gap between neighbouring numbers is too large for the deviation of the values.

    Two values that are `spread` apart make the deviation at least spread / √(2 n), which often settles it.
    """
    if gap <= _PRECISION * spread / math.sqrt(2 * len(values)):
        return False
    return gap > _PRECISION * float(values.double().std())


def _counts(values: Tensor, low: float, high: float) -> bool:
    """Tell whether numbers count something, in whatever order: whole, without gaps, each once."""
    if len(values) < _FEW_ROWS or high - low != len(values) - 1:
        return False
    return bool((values == values.floor()).all()) and len(torch.unique(values)) == len(values)
