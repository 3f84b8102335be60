"""A table of one's own: a CSV or Parquet file."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from pydantic import Field, Strict
from torch import Tensor

from ..errors import InputError
from ..registry import DataFile, NonNegative, Pair, PositiveInt
from .columns import Column, Columns, Label, written
from .dataset import Dataset, Parcel, Part
from .split import Population, Split
from .splits.random import Random
from .splits.stratified import Stratified
from .tables.fitting import Filling, Numeric, balanced_weights, fit_column, scaling
from .tables.messages import path_shown, shown, suggestion
from .tables.options import Decimal, Gaps, Separator, Task

if TYPE_CHECKING:
    from .tables.preparing import Prepared, Recipe

Names = Annotated[tuple[str, ...], Strict(False)]  # YAML knows lists only
Missing = (
    Literal["error", "drop", "mean", "median", "most_frequent"]
    | Annotated[dict[Literal["constant"], float], Field(min_length=1)]
)
ClassWeights = Literal["balanced"] | Annotated[dict[str | int | float, NonNegative], Field(min_length=1)]

_TREATMENTS = frozenset({"numeric", "unseen", "scale_target", "class_weights", "max_categories", "target_values"})


class Table(Dataset):
    """The rows of a CSV or Parquet file: one column to predict, classes or numbers, from the others.

    Text becomes categories, each a feature that is 0 or 1 (one-hot); booleans 0 or 1; dates (2026-01-31, perhaps with
    a time) the days since 1970-01-01. Fields that are empty, `NA`, `N/A`, `NaN`, `null` or `?` are missing values.
    Whatever is fitted, such as means, is fitted to the training rows of each round alone.

    Args:
        file: the CSV or Parquet file. Its first line holds the names of the columns.
        target: the column to predict, or a list of them for several numbers at once.
        features: the columns to predict it from; all others by default.
        task: classification or regression; by default classification if the target is text, booleans, or at most 20
            different whole numbers, each of them twice on average.
        test_file: a file with the same columns whose rows are the test part.
        split: how rows are divided into parts; by default a fifth of them, drawn by chance, is for testing, for
            classification with the same share of each class. Drawn from `data_seed`.
        numeric: how numbers and dates are scaled: to mean 0 and deviation 1, to the range from 0 to 1, or not at all.
        categorical: columns to take as categories though they hold numbers, such as postcodes.
        missing: what becomes of missing values: an error; the row is left out; or they are filled with the mean, the
            median (either: categories with the most frequent), the most frequent value, or a constant.
        unseen: what becomes of categories that a round's training rows lack: all their features are 0, or an error.
        scale_target: whether targets that are numbers are learned with mean 0 and deviation 1. Metrics and predictions
            are in their own units all the same.
        class_weights: how much a sample of each class counts in training: `balanced` has all classes count the same
            in sum; or a number for each label, 1 where there is none; labels such as `true` stand in quotes.
        max_categories: how many categories a column may have, and how many classes the target.
        target_values: the targets of a class that is absent and of one that is present, in this order.
        separator: what stands between the fields of a CSV file; told from the file by default.
        decimal: the decimal mark of a CSV file; told from the file by default.

    Raises:
        ValueError: arguments contradict each other.
    """

    is_shared = True

    def __init__(
        self,
        file: DataFile,
        target: str | Annotated[Names, Field(min_length=1)],
        features: Annotated[Names, Field(min_length=1)] | None = None,
        task: Task | None = None,
        test_file: DataFile | None = None,
        split: Split | None = None,
        numeric: Numeric = "standardize",
        categorical: Names = (),
        missing: Missing = "error",
        unseen: Literal["zeros", "error"] = "zeros",
        scale_target: bool = False,
        class_weights: ClassWeights | None = None,
        max_categories: PositiveInt = 100,
        target_values: Pair = (0.0, 1.0),
        separator: Separator | None = None,
        decimal: Decimal | None = None,
    ):
        self.file, self.test_file = Path(file), Path(test_file) if test_file else None
        self.targets = (target,) if isinstance(target, str) else tuple(target)
        self.chosen = tuple(features) if features else None
        self.task, self.split, self.numeric, self.categorical = task, split, numeric, tuple(categorical)
        self.missing, self.unseen, self.scale_target, self.class_weights = missing, unseen, scale_target, class_weights
        self.ignores_unknown = unseen == "zeros"
        self.treatments = _TREATMENTS | ({"missing"} if missing != "drop" else set())
        self.max_categories, self.target_values = max_categories, target_values
        self.marks = separator, decimal
        self._check_columns()
        self._check_task()
        self._check_split()

    @property
    def columns(self) -> Columns:  # type: ignore[override]
        """What the network takes and predicts, as found in the file."""
        return self._prepared.columns

    @cached_property
    def sizes(self) -> dict[str, int]:  # type: ignore[override]
        """The number of rows of each part."""
        return {name: len(rows) for name, rows in self._rows(seed=0).items()}

    @property
    def fitted(self) -> dict[str, int]:  # type: ignore[override]
        """What `fit` returns, by name, and how many numbers of each."""
        kinds = {column.kind for column in self.columns.inputs}
        is_scaled = "category" in kinds or (self.numeric != "none" and bool(kinds & {"number", "date"}))
        features, targets = len(self.columns.features), len(self.targets)
        lengths = {"inputs.center": features, "inputs.scale": features} if is_scaled else {}
        if self.filling is not None:
            lengths["inputs.fill"] = features
        if self.scale_target:
            lengths |= {"targets.center": targets, "targets.scale": targets}
        if self.class_weights:
            lengths["classes.weight"] = len(self.columns.classes or ())
        return lengths

    @property
    def filling(self) -> Filling | None:
        """How gaps are filled; None if they are not."""
        if isinstance(self.missing, dict):
            return self.missing["constant"]
        return None if self.missing == "error" or self.missing == "drop" else self.missing

    def draw(self, seed: int) -> dict[str, Part]:
        table = self._prepared
        return {name: Part(table.inputs, table.targets, rows) for name, rows in self._rows(seed).items()}

    def fit(self, train: Part) -> dict[str, Tensor]:
        rows = train.rows_of_all()
        fitted = self._fit_inputs(train.inputs, rows)
        if self.scale_target:
            fitted |= self._fit_targets(train.targets, rows)
        if self.class_weights:
            fitted["classes.weight"] = self._weights(train.targets[rows])
        return {name: fitted[name] for name in self.fitted}

    def files(self) -> Sequence[Path]:
        from .tables.reading import open_table

        files = self._recipe().files
        for path in files:  # what is no table may have no end, and be no file to identify
            open_table(path, None, *self.marks)
        return files

    def hand_over(self, connection: Connection, process: int) -> None:
        connection.send(_Handover(self))
        self._prepared.hand_over(connection, process)

    def parcel(self) -> "_TableParcel":
        return _TableParcel(self, self._prepared)

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process is sent of the object itself: not the table that was read."""
        return {name: value for name, value in vars(self).items() if name != "_prepared"}

    @cached_property
    def _prepared(self) -> "Prepared":
        from .tables.preparing import prepare

        return prepare(self._recipe())

    def _recipe(self) -> "Recipe":
        from .tables.preparing import Recipe

        gaps: Gaps = "keep" if self.filling is not None else "drop" if self.missing == "drop" else "error"
        return Recipe(
            file=self.file,
            test_file=self.test_file,
            targets=self.targets,
            features=self.chosen,
            task=self.task,
            categorical=self.categorical,
            gaps=gaps,
            max_categories=self.max_categories,
            split_column=self.split.column if self.split else None,
            separator=self.marks[0],
            decimal=self.marks[1],
            dtype=self.dtype,
        )

    def _rows(self, seed: int) -> dict[str, Tensor]:
        """Return the rows of each part by its name."""
        table = self._prepared
        classes = None if table.columns.classes is None else table.targets[: table.own_rows]
        labels = table.columns.classes or ()
        self._check_told_task(labels)
        split = self.split or self._default_split(bool(labels))
        try:
            rows = split.parts(Population(table.own_rows, classes, labels, table.parts), seed)
        except ValueError as error:
            raise self._error(str(error)) from error
        if self.test_file:
            rows["test"] = torch.arange(table.own_rows, table.inputs.shape[1])
        return rows

    def _default_split(self, has_classes: bool) -> Split:
        if self.test_file:
            return Random(test=0.0)
        return Stratified() if has_classes else Random()

    def _fit_inputs(self, inputs: Tensor, rows: Tensor) -> dict[str, Tensor]:
        fits, used = [], 0
        for column in self.columns.inputs:
            features = inputs[used : used + len(column.features)]
            used += len(features)
            try:
                fits.append(fit_column(column, features, rows, self.numeric, self.filling, self.dtype))
            except ValueError as error:
                raise self._error(f"column {shown(column.name)} {error}") from error
            if self.unseen == "error" and column.kind == "category":
                self._check_seen(column, fits[-1]["inputs.scale"])
        return {name: torch.cat([fit[name] for fit in fits]) for name in fits[0]}

    def _fit_targets(self, targets: Tensor, rows: Tensor) -> dict[str, Tensor]:
        centers, scales = [], []
        for name, target in zip(self.targets, targets, strict=True):
            try:
                center, scale = scaling(target[rows], dtype=self.dtype)
            except ValueError as error:
                raise self._error(f"column {shown(name)} {error}") from error
            centers.append(center)
            scales.append(torch.where(scale > 0, scale, torch.ones_like(scale)))
        return {"targets.center": torch.cat(centers), "targets.scale": torch.cat(scales)}

    def _check_seen(self, column: Column, scale: Tensor) -> None:
        if not scale.all():
            unseen = shown(column.categories[int(scale.argmin())])
            problem = f"no training row has {unseen}; set unseen: zeros, or leave the column out of features"
            raise self._error(f"column {shown(column.name)}: {problem}")

    def _weights(self, classes: Tensor) -> Tensor:
        labels = self.columns.classes
        assert labels is not None
        if self.class_weights == "balanced":
            return balanced_weights(classes, len(labels))
        given = self._weight_by_label
        return torch.tensor([given.get(written(label), 1.0) for label in labels], dtype=torch.float64)

    @property
    def _weight_by_label(self) -> dict[str, float]:
        given = self.class_weights if isinstance(self.class_weights, dict) else {}
        return {written(label): weight for label, weight in given.items()}

    def _check_columns(self) -> None:
        named = {"target": self.targets, "features": self.chosen or (), "categorical": self.categorical}
        for key, names in named.items():
            if len(set(names)) < len(names):
                raise ValueError(f"{key} names a column twice")
        for key in ("features", "categorical"):
            if both := sorted(set(named[key]) & set(self.targets)):
                raise ValueError(f"{shown(both[0])} cannot be in {key}, as it is the target")
        if self.chosen and (others := sorted(set(self.categorical) - set(self.chosen))):
            raise ValueError(f"{shown(others[0])} is in categorical, but not in features")
        said = self.split.column if self.split else None
        if said in {*self.targets, *named["features"], *named["categorical"]}:
            raise ValueError(f"{shown(said)} tells the split, so it cannot be anything else")

    def _check_task(self) -> None:
        if self.target_values[0] >= self.target_values[1]:
            raise ValueError(f"target_values must ascend, not {list(self.target_values)}")
        is_regression = self.task == "regression" or len(self.targets) > 1
        if self.task == "classification" and len(self.targets) > 1:
            raise ValueError("classification takes one target only")
        if self.task == "classification" and self.scale_target:
            raise ValueError("scale_target is for regression: classes have no scale")
        if is_regression and self.class_weights:
            raise ValueError("class_weights is for classification: numbers have no classes")
        if isinstance(self.class_weights, dict) and not any(self.class_weights.values()):
            raise ValueError("class_weights are all 0, so that nothing would be learned")
        if is_regression and self.split and self.split.needs_classes:
            raise ValueError("split: stratified is for classification; take split: random")

    def _check_split(self) -> None:
        if self.test_file and self.split and self.split.takes_test:
            raise ValueError("test_file is the test part already; set split to random or stratified with test: 0.0")
        if not self.test_file and self.split and not self.split.takes_test:
            raise ValueError("the split leaves no rows to test on; give test a share, or name a test_file")

    def _check_told_task(self, labels: Sequence[Label]) -> None:
        """Raise InputError where the task that was told from the file does not go with the other arguments."""
        told = f"the target {shown(self.targets[0])} is taken for"
        if labels and self.scale_target:
            raise self._error(f"{told} classes, so leave scale_target out, or set task: regression")
        if not labels and self.class_weights:
            raise self._error(f"{told} numbers, so leave class_weights out, or set task: classification")
        if not labels and self.split and self.split.needs_classes:
            raise self._error(f"{told} numbers, so take split: random, or set task: classification")
        known = [written(label) for label in labels]
        for label in self._weight_by_label:
            if label not in known:
                raise self._error(f"class_weights: there is no class {shown(label)}; {suggestion(label, known)}")

    def _error(self, problem: str) -> InputError:
        return InputError(f"{path_shown(self.file)}: {problem}")


@dataclass(frozen=True)
class _TableParcel(Parcel):
    dataset: Table
    prepared: "Prepared"

    def __call__(self) -> Table:
        self.dataset._prepared = self.prepared
        return self.dataset


@dataclass(frozen=True)
class _Handover:
    """Returns, in another process, a dataset with its table."""

    dataset: Table

    def __call__(self, connection: Connection) -> Table:
        from .tables.preparing import Prepared

        self.dataset._prepared = Prepared.take_over(connection)
        return self.dataset
