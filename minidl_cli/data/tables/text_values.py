"""From the text of a CSV file's fields to values: numbers, booleans, dates, categories."""

import polars as pl

from ..columns import Kind
from .options import Decimal

# Texts that stand for a value that is not there. White space around a text does not count.
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?")

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
            return pl.coalesce(text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")), *plain, zoned)
    return text


def parsed(text: pl.Series, kind: Kind, decimal: Decimal = ".") -> pl.Series:
    """Return clean text as values, null where it is nothing of that kind."""
    values = text.to_frame("text").select(parse(pl.col("text"), kind, decimal)).fill_nan(None)
    return values.to_series().alias(text.name)


def told_kind(text: pl.Series) -> Kind | None:
    """Return the kind that all of a column's values, or most of them, are of; None if it has none.

    Numbers may have either decimal mark: where it is the wrong one, they are wrong numbers and no categories.
    """
    values = text.to_frame("text").select(clean(pl.col("text"))).to_series().drop_nulls()
    if values.is_empty():
        return None
    if parsed(values, "boolean").is_not_null().all():
        return "boolean"
    if 2 * max(parsed(values, "number", mark).count() for mark in (".", ",")) > len(values):
        return "number"
    return "date" if 2 * parsed(values, "date").count() > len(values) else "category"


def told_decimal(rows: pl.DataFrame, separator: str) -> Decimal:
    """Return the decimal mark that more numbers have.

    Where commas separate fields, a comma before three digits divides thousands.
    """
    decimals = r"\d{1,2}|\d{4,}" if separator == "," else r"\d+"
    commas = sum(column.str.contains(rf"^\s*[+-]?\d+,({decimals})\s*$").sum() for column in rows)
    points = sum(column.str.contains(r"^\s*[+-]?\d*\.\d+\s*$").sum() for column in rows)
    return "," if commas > points else "."


def as_labels(target: pl.Series) -> pl.Series:
    """Return the labels of classes as what all of them are: whole numbers, numbers, booleans or text.

    Text with leading zeros, such as 007, stays text.
    """
    if target.dtype == pl.String and not target.str.contains(r"^[+-]?0\d").any():
        for kind in ("number", "boolean"):
            values = parsed(target, kind)
            if values.null_count() == target.null_count():
                return _whole(values)
    return _whole(target)


def _whole(values: pl.Series) -> pl.Series:
    """Return numbers as integers, if they all are, and other values as they are."""
    if values.dtype.is_float() and (values == values.floor()).all() and (values.abs() < 2**53).all():
        return values.cast(pl.Int64)
    return values
