"""The tables in `configs/data/` are scikit-learn's, to the last bit."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets

FOLDER = Path(__file__).parents[2] / "configs/data"


def named(bunch: Any) -> list[str]:
    """Return the label of each sample in the place of its number."""
    return [str(bunch.target_names[number]) for number in bunch.target]


def numbers(bunch: Any) -> list[str]:
    """Return the target of each sample as it is written: all of them are whole."""
    return [f"{number:.0f}" for number in bunch.target]


TABLES: dict[str, tuple[Callable[[], Any], str, Callable[[Any], list[str]]]] = {
    "iris": (datasets.load_iris, "species", named),
    "breast_cancer": (datasets.load_breast_cancer, "diagnosis", named),
    "digits": (datasets.load_digits, "digit", numbers),
    "diabetes": (lambda: datasets.load_diabetes(scaled=False), "progression", numbers),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_that_of_scikit_learn(name: str) -> None:
    load, target, written = TABLES[name]
    bunch = load()
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == [*(str(each).removesuffix(" (cm)").replace(" ", "_") for each in bunch.feature_names), target]
    assert np.array_equal(np.array([row[:-1] for row in rows], dtype=np.float64), bunch.data)
    assert [row[-1] for row in rows] == written(bunch)


def test_targets_written_as_whole_numbers_are_whole() -> None:
    for name in ("digits", "diabetes"):
        target = TABLES[name][0]().target
        assert np.array_equal(target, target.round())


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_described(name: str) -> None:
    """Its source and its licence are named under a heading of its own."""
    _, _, after = (FOLDER / "README.md").read_text(encoding="utf-8").partition(f"\n## {name}.csv\n")
    section = after.partition("\n## ")[0]
    assert "**Source.**" in section
    assert "**Licence.**" in section
