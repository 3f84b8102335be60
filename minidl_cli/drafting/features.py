"""Which columns of a table to learn from, and why not from the others."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from ..data.split import PARTS
from ..errors import InputError
from .survey import LARGEST, Seen, Survey, Unreadable, said

# What holds for so many rows is taken for no coincidence.
_MANY_ROWS = 10
_ID = re.compile(r"(?i:(.*[ _.-])?(id|nr|no|number|index|idx|key|row|uuid))|.*[a-z]I[dD]")
_DATE = r"^\d{1,2}[./]\d{1,2}[./]\d{2,4}\b"


@dataclass(frozen=True)
class Features:
    """What to do with the columns of a table that are no targets.

    Attributes:
        taken: the names of those to learn from.
        left_out: the names of the others, and why.
        split: the name of the column that says which row belongs to which part, if one does.
    """

    taken: Sequence[str]
    left_out: dict[str, str]
    split: str | None


def choose_features(survey: Survey, max_categories: int) -> Features:
    """Return which columns to learn from.

    Args:
        survey: the table.
        max_categories: how many categories a column may have.

    Raises:
        InputError: there is none.
    """
    split = next((each.name for each in survey.others.values() if isinstance(each, Seen) and _is_split(each)), None)
    columns = [each for each in survey.others.values() if each.name != split]
    if not columns:
        raise InputError(f"{survey.file}: has no columns to learn from, apart from what to predict")
    for checks in (_CHECKS, [check for check in _CHECKS if check is not _counts_rows]):
        # A column that looks as if it counted the rows may be all that there is, such as x in y = f(x).
        left_out = {each.name: why for each in columns if (why := _reason(each, survey, max_categories, checks))}
        if len(left_out) < len(columns):
            return Features([each.name for each in columns if each.name not in left_out], left_out, split)
    reasons = "; ".join(f"{said(name)} {why}" for name, why in list(left_out.items())[:3])
    raise InputError(f"{survey.file}: has no columns to learn from: {reasons}")


def _is_split(seen: Seen) -> bool:
    if seen.kind != "category" or seen.missing or seen.distinct > len(PARTS):
        return False
    return {"train", "test"} <= set(seen.values.unique()) <= set(PARTS)


def _reason(column: Seen | Unreadable, survey: Survey, max_categories: int, checks: "Sequence[_Check]") -> str | None:
    """Return why not to learn from a column, or None."""
    if isinstance(column, Unreadable):
        return f"cannot be read: {column.problem}"
    if column.kind == "category" and column.distinct > max_categories:
        return f"has {column.distinct:,} categories, more than max_categories ({max_categories})"
    return next((why for check in checks if (why := check(column, survey))), None)


def _lacks_values(seen: Seen, survey: Survey) -> str | None:
    if seen.missing == survey.rows:
        return "has no values"
    if 2 * seen.missing >= survey.rows:
        return f"lacks {seen.missing:,} of {survey.rows:,} values"
    return None


def _is_constant(seen: Seen, survey: Survey) -> str | None:
    return f"is always {said(seen.present[0])}, so it tells nothing" if seen.distinct == 1 else None


def _is_too_large(seen: Seen, survey: Survey) -> str | None:
    if seen.kind == "number" and (seen.present.abs() > LARGEST).any():
        return f"has numbers that are infinite, or larger than {LARGEST:.1e}"
    return None


def _cannot_be_scaled(seen: Seen, survey: Survey) -> str | None:
    return seen.unscalable


def _is_copy(seen: Seen, survey: Survey) -> str | None:
    """Tell of a column that has the same values as a target, or where there are many rows, other names for them."""
    for target in survey.targets:
        if seen.values.dtype == target.values.dtype and seen.values.eq_missing(target.values).all():
            return f"is the same as {said(target.name)}"
        if survey.rows >= _MANY_ROWS and 2 * seen.distinct < survey.rows and _renames(seen, target):
            return f"says the same as {said(target.name)}, in other words"
    return None


def _renames(seen: Seen, target: Seen) -> bool:
    if seen.distinct != target.distinct or seen.missing != target.missing:
        return False
    pairs = pl.DataFrame([seen.values.rename("column"), target.values.rename("target")])
    return pairs.drop_nulls().n_unique() == seen.distinct


def _is_foreign_date(seen: Seen, survey: Survey) -> str | None:
    if seen.kind == "category" and seen.present.str.contains(_DATE).all():
        return f"has dates such as {said(seen.present[0])}; to learn from them, write them as 2026-01-31"
    return None


def _is_free_text(seen: Seen, survey: Survey) -> str | None:
    if seen.kind != "category":
        return None
    if seen.distinct == len(seen.present):
        return "has another text in each row: an identifier, or free text"
    if survey.rows >= _MANY_ROWS and 2 * seen.distinct > len(seen.present):
        return f"has {seen.distinct:,} different texts in {len(seen.present):,} rows, too few rows of each"
    return None


def _counts_rows(seen: Seen, survey: Survey) -> str | None:
    if seen.missing or seen.distinct < survey.rows or not seen.is_whole:
        return None
    if survey.rows >= _MANY_ROWS and seen.present.max() - seen.present.min() == survey.rows - 1:  # type: ignore[operator]
        return "counts the rows: an identifier"
    return "is another whole number in each row: an identifier" if _ID.fullmatch(seen.name) else None


_Check = Callable[[Seen, Survey], str | None]
_CHECKS: list[_Check] = [
    _lacks_values,
    _is_constant,
    _is_too_large,
    _cannot_be_scaled,
    _is_copy,
    _is_foreign_date,
    _is_free_text,
    _counts_rows,
]
