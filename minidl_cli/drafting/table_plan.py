"""What a table is taken for: which rows and columns are used, and how the rows are split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

import polars as pl

from ..data.columns import Columns
from ..data.split import Population
from ..registry import Component
from ..training.build import registry
from .choices import Size
from .features import Features, choose_features
from .survey import LARGEST, Seen, Survey, listed_names, said, survey

# What holds for so many rows is taken for no coincidence.
_MANY_ROWS = 10
# How many rows are enough to spare some for validation.
_ENOUGH_ROWS = 1_000


@dataclass(frozen=True)
class Plan:
    """What a table is taken for.

    Attributes:
        table: the table, with the rows that can be used.
        features: its columns that are no targets.
        dropped: how many rows cannot be used.
        split: how rows are divided, as a config writes it.
        sizes: the number of rows of each part.
    """

    table: Survey
    features: Features
    dropped: int
    split: Component
    sizes: dict[str, int]

    @property
    def is_classification(self) -> bool:
        """Whether classes are predicted, and not numbers."""
        return self.table.task == "classification"

    @property
    def target(self) -> Seen:
        """The first target: the only one, where it is a class."""
        return self.table.targets[0]

    @property
    def taken(self) -> list[Seen]:
        """The columns to learn from."""
        return [self.table.column(name) for name in self.features.taken]

    @property
    def size(self) -> Size:
        """How much there is to learn, and from how much."""
        numbers = [] if self.is_classification else self.table.targets
        return Size(
            samples=self.sizes["train"],
            features=sum(seen.distinct if seen.kind == "category" else 1 for seen in self.taken),
            outputs=self.target.distinct if self.is_classification else len(self.table.targets),
            is_classification=self.is_classification,
            has_validation="validation" in self.sizes,
            fine=listed_names([seen.name for seen in [*self.taken, *numbers] if seen.needs_float64]),
        )


def plan_for(data: Path, targets: Sequence[str]) -> Plan:
    """Return what a table is taken for. Where rows lack a target, these and all others with gaps are left out.

    Args:
        data: the CSV or Parquet file.
        targets: the columns to predict.

    Raises:
        InputError: the file is no table; or a column cannot be predicted; or there is nothing to predict it from.
    """
    found = survey(data, targets)
    unlabelled = _gaps(found.targets)
    labelled = found.only(~unlabelled) if unlabelled.any() else found
    _check_targets(labelled)
    table, features = labelled, choose_features(labelled, _max_categories())
    if unlabelled.any():
        table, features = _without_gaps(labelled, features)
        if 2 * table.rows < labelled.rows:
            name = next(each.name for each in found.targets if each.missing)
            problem = f"lacks {unlabelled.sum():,} of {found.rows:,} values, and most of the other rows have gaps, too"
            raise found.problem(name, f"{problem}; remove the rows without a target from the file")
        _check_targets(table)
    return _with_split(table, features, found.rows - table.rows)


def _without_gaps(table: Survey, features: Features) -> tuple[Survey, Features]:
    """Return the rows without gaps, and the columns from which there is still something to learn in these."""
    complete = table.only(~_gaps([table.column(name) for name in features.taken]))
    if not complete.rows:
        return complete, features
    left_out = choose_features(complete, _max_categories()).left_out
    taken = [name for name in features.taken if name not in left_out]
    if len(taken) == len(features.taken):
        return complete, features
    more = {name: left_out[name] for name in features.taken if name in left_out}
    return _without_gaps(table, Features(taken, features.left_out | more, features.split))


def _gaps(columns: Sequence[Seen]) -> pl.Series:
    """Return for each row whether one of the columns lacks a value."""
    return reduce(or_, (seen.values.is_null() for seen in columns))


def _max_categories() -> int:
    default = registry().types["dataset"]["table"].arguments.model_fields["max_categories"].default
    assert isinstance(default, int)
    return default


def _check_targets(table: Survey) -> None:
    for target in table.targets:
        if not table.rows:
            raise table.problem(target.name, "has no values to learn from")
        if table.task == "regression" and not (target.present.abs() <= LARGEST).all():
            raise table.problem(target.name, f"has numbers that are infinite, or larger than {LARGEST:.1e}")
        if target.distinct == 1:
            problem = f"is {said(target.present[0])} in every row, so there is nothing to learn"
            raise table.problem(target.name, f"{problem}; name another column with --target")
        if table.task == "regression" and target.unscalable:
            raise table.problem(target.name, target.unscalable)
    if table.task == "classification" and target.distinct > _max_categories():
        problem = f"has {target.distinct:,} different labels, too many to be classes ({_max_categories()} at most)"
        raise table.problem(target.name, f"{problem}; name another column with --target")
    if table.task == "classification" and target.distinct == table.rows >= _MANY_ROWS:
        problem = "has another label in each row, so there is nothing to learn"
        raise table.problem(target.name, f"{problem}; name another column with --target")


def _with_split(table: Survey, features: Features, dropped: int) -> Plan:
    if features.split:
        counts = dict(table.column(features.split).counts)
        return Plan(table, features, dropped, Component("column", {"name": features.split}), counts)
    split, sizes = next(_possible_splits(table))
    return Plan(table, features, dropped, split, sizes)


def _possible_splits(table: Survey) -> Iterator[tuple[Component, dict[str, int]]]:
    """Yield splits that leave rows for every part, with the number of rows of each, the best first."""
    shares = [{"test": 0.2, "validation": 0.1}] if table.rows >= _ENOUGH_ROWS else []
    population = _population(table)
    for name in ["stratified", "random"] if table.task == "classification" else ["random"]:
        for each in [*shares, {"test": 0.2}, {"test": 0.5}]:
            split = registry().component("split", {name: each})
            try:
                parts = registry().make("split", split).parts(population, seed=0)
            except ValueError:
                continue
            yield Component(name, each), {part: len(rows) for part, rows in parts.items()}


def _population(table: Survey) -> Population:
    if table.task == "regression":
        return Population(table.rows)
    (target,) = table.targets
    labels = target.present.unique().sort().to_list()
    classes = Columns((), (target.name,), tuple(labels)).labels(pl.DataFrame([target.values]))
    return Population(table.rows, classes, labels)
