"""Drafting a config for a table: choices by what its columns hold, each with a comment that says why."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..config.commented import Entries, Entry, suggested, write
from ..config.schema import fitting_name
from ..errors import InputError
from .choices import config_groups, introduction
from .draft import Draft
from .survey import Seen, listed_names, said
from .table_plan import Plan, plan_for

# So many rows that one split is as good as another.
_MANY_ROWS = 10_000
# How many times as many rows the largest class has as the smallest, for weights to be suggested, and to be set.
_UNEQUAL, _VERY_UNEQUAL = 1.5, 10
# Whole numbers of so few different values may be names.
_FEW_NUMBERS = range(3, 11)
# How many columns a remark names, and how many have a line of their own.
_FEW_NAMES, _MOST_LISTED = 5, 300
_PURPOSES = {"train": "training", "validation": "validation", "test": "the test"}


def draft_table(data: Path, targets: Sequence[str], config: Path) -> Draft:
    """Return a config that trains on a table.

    Args:
        data: the CSV or Parquet file.
        targets: the columns to predict.
        config: where the config is going to be.

    Raises:
        InputError: the file is no table; or a column cannot be predicted; or there is nothing to predict it from.
    """
    file = _relative(data, config.parent)
    plan = plan_for(data, targets)
    dataset = Entry("table", Entries(_table(plan, file)))
    groups = config_groups(config_name(data), dataset, _data_seed(plan), plan.size)
    return Draft(write(introduction(_purpose(plan), config), groups), _found(plan, data))


def config_name(data: Path) -> str:
    """Return the name of a config for a table, by the name of its file."""
    name = "".join(sign if sign.isprintable() and sign != "\\" else "_" for sign in data.stem).lstrip(".")
    return fitting_name(name) or "table"


def _relative(data: Path, folder: Path) -> str:
    path = Path(os.path.relpath(data, folder)).as_posix()
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{data}: its name is not in UTF-8, so no config can name it; rename the file") from error
    return path


def _purpose(plan: Plan) -> str:
    targets = listed_names([each.name for each in plan.table.targets])
    columns = f"{len(plan.taken):,} column{'s' * (len(plan.taken) != 1)}"
    return f"Predicts {targets} from {columns} of {Path(plan.table.file).name}."


def _table(plan: Plan, file: str) -> Iterator[Entry]:
    names = [target.name for target in plan.table.targets]
    target = " and ".join(_said_of(target, plan) for target in plan.table.targets)
    rows = f"{plan.table.rows + plan.dropped:,} rows"
    yield Entry("file", file, f"{rows}; the path starts from this file's folder")
    yield Entry("target", names if len(names) > 1 else names[0], target)
    yield Entry("task", plan.table.task, _said_of_task(plan))
    yield _features(plan)
    yield from _categories(plan)
    yield from _missing(plan)
    yield _split(plan)
    if any(seen.kind in ("number", "date") for seen in plan.taken):
        yield Entry("numeric", "standardize", "numbers to mean 0 and deviation 1, as in the training rows")
    if plan.is_classification:
        yield from _class_weights(plan)
    else:
        yield Entry("scale_target", True, "learned with mean 0 and deviation 1; results are in its own units")


def _said_of(target: Seen, plan: Plan) -> str:
    if plan.is_classification:
        return f"{target.distinct} classes: {target.named_counts()}"
    return str(target)


def _said_of_task(plan: Plan) -> str:
    if not plan.is_classification:
        return "the target is numbers; classification takes each of them for a name"
    if plan.target.kind != "number":
        return "the target is " + ("text" if plan.target.kind == "category" else "true or false")
    return "the target is a few whole numbers; regression takes them for amounts"


def _features(plan: Plan) -> Entry:
    taken, left_out = plan.taken, plan.features.left_out
    if len(taken) + len(left_out) > _MOST_LISTED:
        remark = f"{len(left_out):,} columns are left out: {listed_names(list(left_out))}" if left_out else ""
        return Entry("features", list(plan.features.taken), remark)
    entries = [Entry(None, seen.name, str(seen)) for seen in taken]
    entries += [suggested(Entry(None, name, f"left out: {why}")) for name, why in left_out.items()]
    return Entry("features", Entries(entries), "the columns to predict from")


def _categories(plan: Plan) -> Iterator[Entry]:
    if any(seen.kind == "category" for seen in plan.taken):
        yield Entry("unseen", "zeros", "a category that the training rows lack counts as none of those known")
    few = [seen.name for seen in plan.taken if seen.is_whole and seen.distinct in _FEW_NUMBERS]
    if few and len(few) <= _FEW_NAMES:
        yield suggested(Entry("categorical", few, "whole numbers, but few: are they names? then take the # away"))


def _missing(plan: Plan) -> Iterator[Entry]:
    lacking = [seen for seen in plan.taken if seen.missing]
    if plan.dropped:
        names = listed_names([target.name for target in plan.table.targets])
        yield Entry("missing", "drop", f"{plan.dropped:,} rows without {names}, or with another gap, are left out")
    elif lacking:
        counts = ", ".join(f"{said(seen.name)} {seen.missing:,}" for seen in lacking[:_FEW_NAMES])
        more = f" and {len(lacking) - _FEW_NAMES:,} more columns" if len(lacking) > _FEW_NAMES else ""
        has_numbers = any(seen.kind in ("number", "date") for seen in lacking)
        strategy, filling = (
            ("mean", "mean, or most frequent category") if has_numbers else ("most_frequent", "most frequent value")
        )
        yield Entry("missing", strategy, f"missing in {counts}{more}: filled with the training rows' {filling}")


def _split(plan: Plan) -> Entry:
    sizes = ", ".join(f"{count:,} rows for {_PURPOSES[part]}" for part, count in plan.sizes.items())
    how = {
        "stratified": "by chance, every class with its share: ",
        "random": "by chance: ",
        "column": "as this column says: ",
    }[plan.split.name]
    return Entry("split", {plan.split.name: dict(plan.split.arguments)}, how + sizes)


def _class_weights(plan: Plan) -> Iterator[Entry]:
    rows = [count for _, count in plan.target.counts]
    ratio = max(rows) / min(rows)
    if ratio >= _VERY_UNEQUAL:
        unequal = f"the largest class has {ratio:.0f} times the rows of the smallest, which would hardly count"
        yield Entry("class_weights", "balanced", f"{unequal} without")
    elif ratio >= _UNEQUAL:
        remark = "all classes would count the same in training, whatever their rows"
        yield suggested(Entry("class_weights", "balanced", remark))


def _data_seed(plan: Plan) -> Entry:
    if plan.features.split:
        return Entry("data_seed", 0, "the column decides about the split, and no seed")
    if plan.table.rows >= _MANY_ROWS:
        return Entry("data_seed", 0, "one split for all networks of a sweep; round: each has its own")
    return Entry("data_seed", "round", "each network of a sweep has a split of its own; 0: all have the same")


def _found(plan: Plan, data: Path) -> dict[str, Any]:
    """Return what was seen and chosen, as plain data."""
    size = plan.size
    found: dict[str, Any] = {
        "data": str(data),
        "rows": plan.table.rows,
        "dropped_rows": plan.dropped,
        "task": plan.table.task,
        "targets": [target.name for target in plan.table.targets],
    }
    if plan.is_classification:
        found["classes"] = [{"label": label, "rows": rows} for label, rows in plan.target.counts]
    return found | {
        "features": list(plan.features.taken),
        "left_out": plan.features.left_out,
        "missing": {seen.name: seen.missing for seen in plan.taken if seen.missing},
        "split": plan.split.spelled_out(),
        "sizes": plan.sizes,
        "widths": size.widths,
        "parameters": size.parameters,
    }
