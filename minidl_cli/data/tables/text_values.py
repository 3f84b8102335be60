"""From the text of a CSV file's fields to values: numbers, booleans, dates, categories."""

from collections.abc import Container

import polars as pl

from ..columns import WHOLE_LIMIT, Kind
from .options import Decimal

# Texts that stand for a value that is not there. White space around a text does not count.
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?")

# So many fields are looked at together to tell the kinds of their columns, of which there may be thousands.
_FIELDS = 1_000_000

# What Python's dates can be: whatever shows one makes it one of those.
YEARS = (1, 9999)

_DATES = ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f")
_TIME_ZONE = "%Y-%m-%d %H:%M:%S%.f%#z"


def clean(text: pl.Expr) -> pl.Expr:
    """Return text without the white space around it, null where it stands for a missing value."""
    stripped = text.str.strip_chars()
    return pl.when(stripped.is_in(MISSING)).then(None).otherwise(stripped).name.keep()


def parse(text: pl.Expr, kind: Kind, decimal: Decimal = ".") -> pl.Expr:
    """Return clean text as values, null where it is nothing of that kind.

    Numbers become Float64 (that may be NaN, as `parsed` excludes), booleans Boolean, dates Datetime (in UTC, where they
    have a time zone), categories String.
    """
    match kind:
        case "number":
            if decimal == ",":  # a point may divide thousands: then 1.500 is not one and a half
                text = text.str.replace_all(".", "_", literal=True).str.replace(",", ".", literal=True)
            return text.cast(pl.Float64, strict=False)
        case "boolean":
            return text.str.to_lowercase().replace_strict({"true": True, "false": False}, default=None)
        case "date":
            spaced = text.str.replace("T", " ", literal=True)
            zoned = spaced.str.to_datetime(_TIME_ZONE, time_unit="us", strict=False).dt.replace_time_zone(None)
            plain = [spaced.str.to_datetime(form, time_unit="us", strict=False) for form in _DATES]
            dates = pl.coalesce(text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")), *plain, zoned)
            return pl.when(dates.dt.year().is_between(*YEARS)).then(dates).name.keep()
    return text


def parsed(text: pl.Series, kind: Kind, decimal: Decimal = ".") -> pl.Series:
    """Return clean text as values, null where it is nothing of that kind."""
    values = text.to_frame("text").select(parse(pl.col("text"), kind, decimal)).fill_nan(None)
    return values.to_series().alias(text.name)


def told_kinds(text: pl.DataFrame, exact: Container[str] = ()) -> dict[str, Kind | None]:
    """Return the kind that all values of each column, or most of them, are of; None if it has none.

    Numbers may have either decimal mark: where it is the wrong one, they are wrong numbers and no categories. In the
    exact columns, whole numbers with leading zeros, such as 007, are categories, and so are those that float64 does
    not tell apart.
    """
    kinds: dict[str, Kind | None] = {}
    width = max(1, _FIELDS // text.height)
    for first in range(0, text.width, width):
        kinds |= _told_kinds(text[:, first : first + width], exact)
    return kinds


def _told_kinds(text: pl.DataFrame, exact: Container[str]) -> dict[str, Kind | None]:
    fields = text.unpivot(variable_name="column", value_name="text").with_columns(clean(pl.col("text"))).drop_nulls()
    counts, flags = _counts(fields, "category"), _counts(fields, "boolean")
    points, commas = _counts(fields, "number", "."), _counts(fields, "number", ",")
    kinds: dict[str, Kind | None] = dict.fromkeys(text.columns)
    for name, count in counts.items():
        if flags[name] == count:
            kinds[name] = "boolean"
        elif name in exact and _are_labels(fields.filter(pl.col("column") == name)["text"]):
            kinds[name] = "category"
        elif 2 * max(points[name], commas[name]) > count:
            kinds[name] = "number"
    others = [name for name in counts if kinds[name] is None]
    dates = _counts(fields.filter(pl.col("column").is_in(others)), "date")
    return kinds | {name: "date" if 2 * dates[name] > counts[name] else "category" for name in others}


def _counts(fields: pl.DataFrame, kind: Kind, decimal: Decimal = ".") -> dict[str, int]:
    """Return how many fields of each column are of a kind."""
    values = fields.select("column", parse(pl.col("text"), kind, decimal)).fill_nan(None)
    return dict(values.group_by("column").agg(pl.col("text").count()).rows())


def _are_labels(text: pl.Series) -> bool:
    """Tell whether some have leading zeros, or are different whole numbers that are the same in float64."""
    whole = text.filter(text.str.contains(r"^[+-]?\d{16,}$"))
    return text.str.contains(r"^0\d+$").any() or whole.n_unique() > whole.cast(pl.Float64).n_unique()


def told_decimal(rows: pl.DataFrame, separator: str) -> Decimal:
    """Return the decimal mark that more numbers have.

    Where commas separate fields, a comma before three digits divides thousands.
    """
    decimals = r"\d{1,2}|\d{4,}" if separator == "," else r"\d+"
    fields = rows.unpivot()["value"]  # at once: there may be thousands of columns
    commas = fields.str.contains(rf"^\s*[+-]?\d+,({decimals})\s*$").sum()
    points = fields.str.contains(r"^\s*[+-]?\d*\.\d+\s*$").sum()
    return "," if commas > points else "."


def as_labels(target: pl.Series) -> pl.Series:
    """Return the labels of classes as what all of them are: whole numbers, numbers, booleans or text.

    Text with leading zeros, such as 007, stays text, and so do numbers that are infinite, or so large that float64 does
    not tell all whole ones apart.
    """
    if target.dtype == pl.String and not target.str.contains(r"^[+-]?0\d").any():
        for kind in ("number", "boolean"):
            values = parsed(target, kind)
            if values.null_count() == target.null_count() and (kind == "boolean" or _is_exact(values)):
                return _whole(values)
    if target.dtype.is_integer() and not _is_exact(target):
        return target.cast(pl.String)
    return _whole(target)


def _whole(values: pl.Series) -> pl.Series:
    """Return numbers as integers, if they all are, and other values as they are."""
    if values.dtype.is_float() and (values == values.floor()).all() and _is_exact(values):
        return values.cast(pl.Int64)
    return values


def _is_exact(numbers: pl.Series) -> bool:
    """Tell whether whole numbers as large as these are all different in float64."""
    return bool(numbers.is_between(-WHOLE_LIMIT, WHOLE_LIMIT, closed="none").all())
