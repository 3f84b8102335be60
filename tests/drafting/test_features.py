"""Which columns a draft leaves out, and what it says of them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from minidl_cli.drafting.features import Features, choose_features
from minidl_cli.drafting.survey import survey
from minidl_cli.errors import InputError
from tests.drafting.tables import AMOUNTS, CLASSES, NUMBERS, ROWS, Table, write_table


def features(folder: Path, columns: Table, target: str = "target") -> Features:
    return choose_features(survey(write_table(folder / "t.csv", columns), [target]), 100)


def reason(folder: Path, column: Sequence[Any], target: Sequence[Any] = CLASSES, name: str = "column") -> str | None:
    """Returns why a column is left out; None if it is not."""
    chosen = features(folder, {name: column, "other": NUMBERS, "target": target})
    assert set(chosen.taken) | set(chosen.left_out) == {name, "other"}
    return chosen.left_out.get(name)


LEFT_OUT: dict[str, tuple[Sequence[Any], str]] = {
    "empty": ([None] * ROWS, "has no values"),
    "half empty": ([None, 1.5] * 30, "lacks 30 of 60 values"),
    "a constant": ([3] * ROWS, "is always 3, so it tells nothing"),
    "a constant with gaps": ([None, *["x"] * (ROWS - 1)], "is always x, so it tells nothing"),
    "infinite": ([float("inf"), *NUMBERS[1:]], "has numbers that are infinite, or larger than 3.4e+38"),
    "large": ([-1e39, *NUMBERS[1:]], "has numbers that are infinite, or larger than 3.4e+38"),
    "too small": ([row % 7 * 1e-40 for row in range(ROWS)], "has numbers too far apart or too close together"),
    "far too small": ([row % 7 * 1e-300 for row in range(ROWS)], "has numbers too far apart or too close together"),
    "the target": (CLASSES, "is the same as target"),
    "the target in numbers": ([row % 3 for row in range(ROWS)], "says the same as target, in other words"),
    "German dates": ([f"{row % 28 + 1}.3.2026" for row in range(ROWS)], "has dates such as '1.3.2026'"),
    "American dates": ([f"03/{row % 9 + 1:02}/26" for row in range(ROWS)], "has dates such as '03/01/26'"),
    "text of its own": ([f"name {row}" for row in range(ROWS)], "has another text in each row"),
    "mostly text of its own": ([f"name {row // 2 if row < 20 else row}" for row in range(ROWS)], "has 50 different"),
    "a count": (range(ROWS), "counts the rows: an identifier"),
    "a count backwards": (range(1000, 1000 - ROWS, -1), "counts the rows: an identifier"),
    "mixed": (["n.a.", *NUMBERS[1:]], "cannot be read: line 2, column 'column': 'n.a.' is not a number"),
}


@pytest.mark.parametrize(("column", "why"), LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_columns_that_are_left_out(tmp_path: Path, column: Sequence[Any], why: str):
    found = reason(tmp_path, column)

    assert found is not None
    assert found.startswith(why)


TAKEN: dict[str, Sequence[Any]] = {
    "numbers": NUMBERS,
    "numbers with gaps": [None, *NUMBERS[1:]],
    "fewer gaps than half": [None] * 29 + NUMBERS[29:],
    "two kinds of text": ["a", "b"] * 30,
    "half of the texts of their own": [f"name {row // 2}" for row in range(ROWS)],
    "booleans": [True, True, False] * 20,
    "dates": [date(2026, 1, 1) + timedelta(row * 3) for row in range(ROWS)],
    "times": [datetime(2026, 1, 1, row % 24) for row in range(ROWS)],
    "numbers that count with gaps between them": [2 * row for row in range(ROWS)],
    "almost the target": ["blue", *CLASSES[1:]],
    "versions": [f"1.{row % 4}.5" for row in range(ROWS)],
}


@pytest.mark.parametrize("column", TAKEN.values(), ids=TAKEN.keys())
def test_columns_that_are_taken(tmp_path: Path, column: Sequence[Any]):
    assert reason(tmp_path, column) is None


@pytest.mark.parametrize("name", ["id", "ID", "Nr", "customer_id", "row id", "customerId", "index", "passenger.no"])
def test_another_whole_number_in_each_row_is_an_identifier_by_its_name(tmp_path: Path, name: str):
    column = [row * row for row in range(ROWS)]

    assert reason(tmp_path, column, name=name) == "is another whole number in each row: an identifier"


@pytest.mark.parametrize("name", ["acid", "grid", "casino", "width", "monkey", "arrow"])
def test_names_that_only_end_like_one(tmp_path: Path, name: str):
    assert reason(tmp_path, [row * row for row in range(ROWS)], name=name) is None


@pytest.mark.parametrize(("categories", "is_taken"), [(100, True), (101, False)])
def test_as_many_categories_as_a_table_takes(tmp_path: Path, categories: int, is_taken: bool):
    rows = [f"category {row % categories}" for row in range(400)]
    chosen = features(
        tmp_path, {"column": rows, "target": [row % 7 + 0.5 * (row % 31) for row in range(400)], "x": range(0, 800, 2)}
    )

    assert ("column" in chosen.taken) == is_taken
    assert is_taken or chosen.left_out["column"] == "has 101 categories, more than max_categories (100)"


def test_copies_of_numbers(tmp_path: Path):
    assert reason(tmp_path, AMOUNTS, AMOUNTS) == "is the same as target"
    assert reason(tmp_path, [2 * amount for amount in AMOUNTS], AMOUNTS) is None


def test_few_rows_prove_nothing(tmp_path: Path):
    """A boolean that goes with the class in five rows may well do so by chance."""
    chosen = features(tmp_path, {"x": [1, 2, 3, 4, 5], "b": ["a", "a", "b", "b", "b"], "target": [1, 1, 2, 2, 2]})

    assert (chosen.taken, chosen.left_out) == (["x", "b"], {})


def test_count_is_taken_where_there_is_nothing_else(tmp_path: Path):
    columns = {"x": range(ROWS), "name": [f"row {row}" for row in range(ROWS)], "target": AMOUNTS}

    chosen = features(tmp_path, columns)

    assert chosen.taken == ["x"]
    assert list(chosen.left_out) == ["name"]


def test_nothing_to_learn_from(tmp_path: Path):
    with pytest.raises(InputError, match=r"t\.csv: has no columns to learn from: a is always 1.*; b has another text"):
        features(tmp_path, {"a": [1] * ROWS, "b": [f"row {row}" for row in range(ROWS)], "target": CLASSES})
    with pytest.raises(InputError, match=r"t\.csv: has no columns to learn from, apart from what to predict"):
        features(tmp_path, {"target": CLASSES})


@pytest.mark.parametrize("parts", [["train", "test"], ["train", "validation", "test"]])
def test_column_that_says_the_split(tmp_path: Path, parts: list[str]):
    chosen = features(
        tmp_path, {"x": NUMBERS, "part": [parts[row % len(parts)] for row in range(ROWS)], "target": AMOUNTS}
    )

    assert (chosen.taken, chosen.left_out, chosen.split) == (["x"], {}, "part")


@pytest.mark.parametrize("parts", [["train", "bus"], ["train"], ["test", "validation"], ["train", "test", None]])
def test_columns_that_only_look_like_a_split(tmp_path: Path, parts: list[str | None]):
    chosen = features(
        tmp_path, {"x": NUMBERS, "part": [parts[row % len(parts)] for row in range(ROWS)], "target": AMOUNTS}
    )

    assert chosen.split is None


def test_parquet_has_types_that_cannot_be_read(tmp_path: Path):
    frame = pl.DataFrame({"x": NUMBERS, "list": [[1]] * ROWS, "target": CLASSES})
    frame.with_columns(pl.duration(days="x").alias("took")).write_parquet(tmp_path / "t.parquet")

    chosen = choose_features(survey(tmp_path / "t.parquet", ["target"]), 100)

    assert chosen.taken == ["x"]
    assert list(chosen.left_out) == ["list", "took"]
    assert chosen.left_out["list"].startswith("cannot be read: column 'list': holds values of type List")
