"""Columns: what features they become, and that they come through JSON."""

import datetime
import json
import math
from typing import Any

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidl_cli.data.columns import NO_CLASS, Column, Columns

NAMES = st.text(min_size=1, max_size=5)
NUMBER, FLAG, DAY = Column("n"), Column("b", "boolean"), Column("d", "date")
COLOUR = Column("c", "category", ("red", "blue"))


def encoded(*columns: Column, dtype: torch.dtype = torch.float64, **values: list[Any]) -> list[list[float]]:
    frame = pl.DataFrame(values)
    matrix = Columns(columns, ("y",), None).encode(frame, dtype)
    assert matrix.dtype == dtype
    assert all(frame[column.name].dtype == pl.Null for column in columns)  # used up
    return [[None if math.isnan(value) else value for value in row] for row in matrix.tolist()]


def test_numbers_stay_as_they_are() -> None:
    assert encoded(NUMBER, n=[1.5, None, -3.0]) == [[1.5, None, -3.0]]
    assert encoded(NUMBER, n=[2**40, None]) == [[2.0**40, None]]


def test_booleans_become_0_and_1() -> None:
    assert encoded(FLAG, b=[True, None, False]) == [[1, None, 0]]


def test_dates_become_days() -> None:
    days = [datetime.date(1970, 1, 2), None, datetime.date(1969, 12, 31), datetime.date(2026, 1, 31)]
    assert encoded(DAY, d=days) == [[1, None, -1, 20484]]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_become_fractions_of_days(unit: Any) -> None:
    times = pl.Series([datetime.datetime(1970, 1, 1, 18), None, datetime.datetime(1970, 1, 3, 6)])
    assert encoded(DAY, d=times.cast(pl.Datetime(unit))) == [[0.75, None, 2.25]]


def test_categories_become_a_feature_each() -> None:
    assert encoded(COLOUR, c=["blue", "red", None, "green"]) == [[0, 1, None, 0], [1, 0, None, 0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_columns_become_rows_in_order(dtype: torch.dtype) -> None:
    values = {"other": ["x"], "c": ["red"], "n": [7.0], "b": [True]}
    assert encoded(NUMBER, COLOUR, FLAG, dtype=dtype, **values) == [[7], [1], [0], [1]]


def test_features_are_named() -> None:
    columns = Columns((NUMBER, COLOUR, FLAG), ("y",), None)
    assert columns.features == ["n", "c=red", "c=blue", "b"]


@pytest.mark.parametrize(
    ("classes", "labels", "expected", "kind"),
    [
        (("x", "y"), ["y", "x", None, "z"], [1, 0, NO_CLASS, NO_CLASS], "category"),
        ((3, 7), [7.0, 3.0, None, 4.0], [1, 0, NO_CLASS, NO_CLASS], "number"),
        ((3, 7), [7, 3, None, 4], [1, 0, NO_CLASS, NO_CLASS], "number"),
        (
            (100000001, 100000002),
            pl.Series([1e8 + 1, 1e8, 1e9], dtype=pl.Float32),
            [NO_CLASS, NO_CLASS, NO_CLASS],
            "number",
        ),
        ((0.5, 1.5), [1.5, 0.5, None, 1.0], [1, 0, NO_CLASS, NO_CLASS], "number"),
        ((False, True), [True, False, None], [1, 0, NO_CLASS], "boolean"),
    ],
)
def test_labels_become_classes(classes: Any, labels: Any, expected: list[int], kind: str) -> None:
    columns = Columns((NUMBER,), ("y",), classes)
    assert columns.labels(pl.DataFrame({"y": labels}, strict=False)).tolist() == expected
    assert columns.kinds == {"n": "number", "y": kind}


def test_targets_become_numbers() -> None:
    columns = Columns((NUMBER,), ("u", "v"), None)
    numbers = columns.numbers(pl.DataFrame({"v": [3.0, None], "u": [1.0, 2.0]}, schema_overrides={"v": pl.Float32}))
    assert numbers.dtype == torch.float64
    assert numbers.nan_to_num(-1).tolist() == [[1, 2], [3, -1]]


@st.composite
def any_columns(draw: st.DrawFn) -> Columns:
    names = draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    inputs = []
    for name in names[1:]:
        kind = draw(st.sampled_from(["number", "boolean", "date", "category"]))
        categories = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)) if kind == "category" else ()
        inputs.append(Column(name, kind, tuple(categories)))
    of_a_type = [st.text(max_size=3), st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False)]
    labels = st.one_of([st.lists(each, min_size=2, max_size=4, unique=True) for each in of_a_type])
    classes = draw(st.none() | labels | st.just([False, True]))
    return Columns(tuple(inputs), (names[0],), classes if classes is None else tuple(classes))


@given(any_columns())
def test_columns_come_through_json(columns: Columns) -> None:
    again = Columns.from_dict(json.loads(json.dumps(columns.as_dict())))
    assert again == columns
    assert list(map(type, again.classes or ())) == list(map(type, columns.classes or ()))


def altered(**changes: Any) -> dict[str, Any]:
    return {**Columns((NUMBER, COLOUR), ("y",), ("a", "b")).as_dict(), **changes}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ([], "columns: Input should be a dictionary"),
        ({}, "inputs: Field required"),
        (altered(more=1), "more: Unexpected keyword argument"),
        (altered(inputs=[{"name": 3}]), "inputs.0.name: Input should be a valid string"),
        (altered(inputs=[{"name": "n", "kind": "colour"}]), "inputs.0.kind: Input should be 'number'"),
        (altered(inputs=[{"name": "n", "size": 1}]), "inputs.0.size: Unexpected"),
        (altered(inputs=[]), "at least one input and one target"),
        (altered(targets=[]), "at least one input and one target"),
        (altered(targets=["n"]), "two columns have the same name"),
        (altered(inputs=[{"name": "n", "kind": "category"}]), "a category must have categories"),
        (altered(inputs=[{"name": "n", "categories": ["x"]}]), "and nothing else may"),
        (altered(inputs=[{"name": "n", "kind": "category", "categories": ["x", "x"]}]), "a category occurs twice"),
        (altered(classes=[]), "at least two labels"),
        (altered(classes=["a", "a"]), "at least two labels"),
        (altered(targets=["y", "z"]), "and one target"),
        (altered(classes=["a", 1]), "must all be text"),
        (altered(classes=[0, True]), "must all be text"),
        (altered(classes=[0.0, math.nan]), "classes.1"),
        (altered(classes=[None, "a"]), "classes.0"),
        (altered(classes=[0, 2**53]), "must lie between ±2⁵³"),
        (altered(classes=[0, -(2**70)]), "must lie between ±2⁵³"),
        (altered(classes=["a", "\ud800"]), "no Unicode"),
        (altered(targets=["\udc00"]), "no Unicode"),
        (altered(inputs=[{"name": "\udfff"}]), "no Unicode"),
        (altered(inputs=[{"name": "n", "kind": "category", "categories": ["\ud800"]}]), "no Unicode"),
    ],
)
def test_what_a_stranger_wrote_is_checked(data: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Columns.from_dict(data)
