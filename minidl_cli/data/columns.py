"""What a network takes and gives, in terms of the columns of a table."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor

if TYPE_CHECKING:
    import polars as pl

# A boolean becomes 0 or 1, a date the days since 1970-01-01, a category one feature for each of its values.
Kind = Literal["number", "boolean", "date", "category"]
Label = str | int | float | bool

# Below this, float64 tells all whole numbers apart, so that they can be labels.
WHOLE_LIMIT = 2**53

# The class of a sample whose label is missing, or is none of the classes.
NO_CLASS = -1


def written(label: Label) -> str:
    """Return a label as tables and configs write it: `true`, not `True`."""
    return str(label).lower() if isinstance(label, bool) else str(label)


@dataclass(frozen=True)
class Column:
    """A column that a network takes.

    Attributes:
        name: as the table's header has it.
        kind: what its values are.
        categories: the values of a category, in the order of their features; else none.
    """

    name: str
    kind: Kind = "number"
    categories: tuple[str, ...] = ()

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    @property
    def features(self) -> list[str]:
        """The names of the features that the column becomes."""
        return [f"{self.name}={each}" for each in self.categories] if self.kind == "category" else [self.name]


@dataclass(frozen=True)
class Columns:
    """The columns that a network takes, and what it predicts.

    Attributes:
        inputs: the columns that it takes, in the order of their features.
        targets: the names of the columns that it predicts: one for classes, one or several for numbers.
        classes: the labels in the order of the classes; None where numbers are predicted.
    """

    inputs: tuple[Column, ...]
    targets: tuple[str, ...]
    classes: tuple[Label, ...] | None

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    @property
    def features(self) -> list[str]:
        """The names of all features, in the order of a network's inputs."""
        return [feature for column in self.inputs for feature in column.features]

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of every column by its name, those of the targets after those of the inputs."""
        kinds = {column.name: column.kind for column in self.inputs}
        return kinds | dict.fromkeys(self.targets, self._target_kind)

    @property
    def _target_kind(self) -> Kind:
        match self.classes:
            case [bool(), *_]:
                return "boolean"
            case [str(), *_]:
                return "category"
        return "number"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> "Columns":
        """Return the columns that plain data from JSON describes.

        Raises:
            ValueError: the data are not what `as_dict` returns.
        """
        try:
            columns = TypeAdapter(cls).validate_python(data)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'columns'}: {first['msg']}") from error
        columns._check()
        return columns

    def _check(self) -> None:
        names = [*(column.name for column in self.inputs), *self.targets]
        if not self.inputs or not self.targets:
            raise ValueError("there must be at least one input and one target")
        if len(set(names)) < len(names):
            raise ValueError("two columns have the same name")
        if any((column.kind == "category") != bool(column.categories) for column in self.inputs):
            raise ValueError("a category must have categories, and nothing else may")
        if any(len(set(column.categories)) < len(column.categories) for column in self.inputs):
            raise ValueError("a category occurs twice")
        if self.classes is not None and (len(set(self.classes)) < max(len(self.classes), 2) or len(self.targets) > 1):
            raise ValueError("classes need at least two labels, each another, and one target")
        if self.classes and len({type(label) for label in self.classes}) > 1:
            raise ValueError("the classes must all be text, or all whole numbers, or all numbers, or all booleans")
        if any(isinstance(label, int) and abs(label) >= WHOLE_LIMIT for label in self.classes or ()):
            raise ValueError("classes that are whole numbers must lie between ±2⁵³")
        categories = [category for column in self.inputs for category in column.categories]
        if not all(_is_unicode(each) for each in [*names, *categories, *(self.classes or ())]):
            raise ValueError("there is text that is no Unicode")

    def encode(self, frame: "pl.DataFrame", dtype: torch.dtype = torch.float64) -> Tensor:
        """Return the features `[features, rows]` of a table: not scaled, NaN where a value is missing.

        Of a value that is none of a category's, all features are 0.

        Args:
            frame: the table, with columns of the kinds declared here, as `reading.read` returns it. Nulls take the
                place of columns that are used up, so that the table and the matrix need not both fit in memory.
            dtype: the type of the features.
        """
        import polars as pl

        matrix = torch.empty(len(self.features), frame.height, dtype=dtype)
        nulls = pl.repeat(None, frame.height, dtype=pl.Null, eager=True)
        places = {name: place for place, name in enumerate(frame.columns)}
        used = 0
        for column in self.inputs:
            rows, place = matrix[used : used + len(column.features)], places[column.name]
            values = frame.to_series(place)
            frame.replace_column(place, nulls.alias(column.name))
            if column.kind == "category":
                _write_categories(rows, values, column.categories)
            else:
                rows[0].numpy()[:] = _numbers(values)
            used += len(rows)
        return matrix

    def labels(self, frame: "pl.DataFrame") -> Tensor:
        """Return the class of each row, `[rows]`, int64: `NO_CLASS` where the label is missing, or is no class."""
        assert self.classes is not None
        return _codes(frame[self.targets[0]], self.classes)

    def numbers(self, frame: "pl.DataFrame") -> Tensor:
        """Return the target columns of each row, `[targets, rows]`, float64: NaN where a value is missing."""
        return torch.from_numpy(np.stack([_numbers(frame[name]).astype(np.float64) for name in self.targets]))


def _is_unicode(value: Label) -> bool:
    """Tell whether text can be written in UTF-8: a lone surrogate, which JSON can hold, cannot."""
    return not isinstance(value, str) or not any("\ud800" <= sign <= "\udfff" for sign in value)


def _write_categories(rows: Tensor, values: "pl.Series", categories: tuple[str, ...]) -> None:
    codes = _codes(values, categories)
    for code, row in enumerate(rows):
        row.copy_(codes == code)
    if values.null_count():
        rows[:, torch.from_numpy(values.is_null().to_numpy())] = torch.nan


def _codes(values: "pl.Series", known: tuple[Label, ...]) -> Tensor:
    """Return the place of each value among those known, or -1."""
    import polars as pl

    if values.dtype.is_numeric():  # Float32 would take several labels for the same
        values = values.cast(pl.Float64)
    places = values.replace_strict(list(known), range(len(known)), default=NO_CLASS, return_dtype=pl.Int64)
    return torch.from_numpy(places.fill_null(NO_CLASS).to_numpy(writable=True))


def _numbers(values: "pl.Series") -> NDArray[np.floating]:
    """Return the values as float64 or float32, missing ones as NaN."""
    import polars as pl

    if isinstance(values.dtype, pl.Datetime):
        per_day = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}[values.dtype.time_unit]
        values = values.to_physical().cast(pl.Float64) / per_day
    elif not values.dtype.is_float():
        values = values.to_physical().cast(pl.Float64)
    return values.to_numpy()  # nulls become NaN
