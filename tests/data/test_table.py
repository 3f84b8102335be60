"""The table dataset: what becomes of a file, what is fitted to training rows, and what is refused."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from minidl_cli import load_config
from minidl_cli.data.dataset import Part
from minidl_cli.data.split import PARTS, Population
from minidl_cli.data.splits.column import ByColumn
from minidl_cli.data.splits.random import Random
from minidl_cli.data.splits.stratified import Stratified
from minidl_cli.data.table import Table
from minidl_cli.errors import InputError, MinidlWarning
from minidl_cli.training.build import build

SHIPPED = Path(__file__).parents[2] / "configs/data"
MakeTable = Callable[..., Table]


@pytest.fixture
def table(tmp_path: Path) -> MakeTable:
    """Returns the table of a file with this content: `table("x,y\\n...", target="y")`."""

    def make(content: str | pl.DataFrame, target: Any = "y", **arguments: Any) -> Table:
        if isinstance(content, str):
            path = tmp_path / "t.csv"
            path.write_text(content)
        else:
            path = tmp_path / "t.parquet"
            content.write_parquet(path)
        return Table(str(path), target, **arguments)

    return make


@pytest.fixture
def problem(table: MakeTable, tmp_path: Path) -> Callable[..., str]:
    """Returns the line that a table gets which is wrong, without the folder."""

    def find(*arguments: Any, **options: Any) -> str:
        made = table(*arguments, **options)
        with pytest.raises(InputError) as caught:
            made.fit(made.draw(0)["train"])
        (line,) = caught.value.problems
        return line.replace(f"{tmp_path}/", "")

    return find


def rows_of(part: Part) -> tuple[NDArray[np.float64], NDArray[np.generic]]:
    """The inputs `[samples, features]` and targets `[samples, ...]` of a part."""
    rows = part.rows_of_all()
    return part.inputs[:, rows].numpy().T, part.targets[..., rows].numpy().T


def seen(dataset: Table, part: Part, fitted: dict[str, Tensor]) -> NDArray[np.float64]:
    """What a network sees of a part, `[samples, features]`."""
    x, _ = rows_of(part)
    if "inputs.fill" in fitted:
        x = np.where(np.isnan(x), fitted["inputs.fill"].numpy(), x)
    if "inputs.scale" in fitted:
        x = (x - fitted["inputs.center"].numpy()) * fitted["inputs.scale"].numpy()
    return x


def csv(**columns: list[Any]) -> str:
    lines = [
        ",".join("" if value is None else str(value) for value in row) for row in zip(*columns.values(), strict=True)
    ]
    return "\n".join([",".join(columns), *lines]) + "\n"


CLASSES = ["p", "q"] * 10
NUMBERS = [round(0.37 * place**2 - place, 2) for place in range(20)]


# What is predicted


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["b", "a"] * 5, ("a", "b")),
        ([3, 1, 2, 3, 1] * 2, (1, 2, 3)),
        ([0.0, 1.0] * 5, (0, 1)),
        (["true", "false"] * 5, (False, True)),
        (list(range(10)), None),
        ([0.5, 1.5] * 5, None),
        (list(range(30)) * 3, None),
        (["007", "011"] * 5, ("007", "011")),
    ],
)
def test_the_task_is_told_from_the_target(table: MakeTable, values: list[Any], classes: Any) -> None:
    columns = table(csv(x=[place**2 for place in range(len(values))], y=values)).columns
    assert columns.classes == classes
    assert list(map(type, columns.classes or ())) == list(map(type, classes or ()))


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([0.5, 1.5] * 5, (0.5, 1.5)),
        ([1, 0] * 5, (0, 1)),
        (["007", "011"] * 5, ("007", "011")),
        (["1.0", "2", "inf"] * 5, ("1.0", "2", "inf")),
        ([10**17 + 1, 10**17 + 2] * 5, ("100000000000000001", "100000000000000002")),
        ([*range(5), "5+"] * 2, ("0", "1", "2", "3", "4", "5+")),
        (["True", "False"] * 5, (False, True)),
    ],
)
def test_classes_may_be_asked_for(table: MakeTable, values: list[Any], classes: Any) -> None:
    dataset = table(csv(x=NUMBERS[: len(values)], y=values), task="classification")
    assert dataset.columns.classes == classes
    written = ["true" if label is True else "false" if label is False else str(label) for label in classes]
    wanted = [written.index(str(value).lower() if classes[0] is False else str(value)) for value in values]
    assert dataset.draw(0)["train"].targets.tolist() == wanted


def test_large_labels_are_told_apart_in_single_precision(table: MakeTable) -> None:
    dataset = table(csv(x=NUMBERS, y=[20260101, 20260102] * 10))
    dataset.dtype = torch.float32
    assert dataset.columns.classes == (20260101, 20260102)


LARGE = [2**60, 2**60 + 1] * 10


@pytest.mark.parametrize("task", [None, "classification"])
def test_whole_labels_that_double_precision_cannot_tell_apart_are_text(table: MakeTable, task: Any) -> None:
    for content in (csv(x=NUMBERS, y=LARGE), pl.DataFrame({"x": NUMBERS, "y": LARGE})):
        dataset = table(content, task=task)
        assert dataset.columns.classes == (str(2**60), str(2**60 + 1))
        assert dataset.draw(0)["train"].targets.tolist() == [0, 1] * 10


def test_large_whole_numbers_may_be_predicted(table: MakeTable) -> None:
    numbers = [10**16 * (place**2 + 1) for place in range(20)]
    for content in (csv(x=NUMBERS, y=numbers), pl.DataFrame({"x": NUMBERS, "y": numbers})):
        assert table(content).draw(0)["train"].targets.tolist() == [numbers]


def test_numbers_may_be_asked_for(table: MakeTable) -> None:
    dataset = table(csv(x=NUMBERS, y=[0, 1] * 10), task="regression")
    assert dataset.columns.classes is None
    assert dataset.draw(0)["train"].targets.tolist() == [[0, 1] * 10]


def test_there_may_be_several_targets(table: MakeTable) -> None:
    dataset = table(csv(v=[0, 1] * 10, x=NUMBERS, u=NUMBERS), target=["u", "v"])
    assert dataset.columns.targets == ("u", "v")
    assert dataset.columns.features == ["x"]
    assert dataset.draw(0)["train"].targets.tolist() == [NUMBERS, [0, 1] * 10]


def test_features_may_be_chosen(table: MakeTable) -> None:
    content = csv(a=NUMBERS, b=NUMBERS, c=["2026-01-01", "2026-01-02"] * 10, y=CLASSES)
    assert table(content).columns.features == ["a", "b", "c"]
    assert table(content, features=["c", "a"]).columns.features == ["c", "a"]
    assert table(content, features=["c", "a"]).draw(0)["train"].inputs.tolist() == [[20454, 20455] * 10, NUMBERS]


def test_numbers_may_be_categories(table: MakeTable) -> None:
    dataset = table(csv(zip=["01", "7", "30", "7"] * 5, y=CLASSES), categorical=["zip"])
    assert dataset.columns.features == ["zip=01", "zip=30", "zip=7"]


# Parts


def test_parts_share_one_matrix_over_all_seeds(table: MakeTable) -> None:
    dataset = table(csv(x=NUMBERS, y=CLASSES))
    parts = [part for seed in range(3) for part in dataset.draw(seed).values()]
    parts += Table(str(dataset.file), "y").draw(0).values()
    assert len({part.inputs.data_ptr() for part in parts}) == len({part.targets.data_ptr() for part in parts}) == 1


@given(seed=st.integers(0, 10**6))
def test_sizes_do_not_depend_on_the_seed(seed: int) -> None:
    for target, split in [("species", None), ("species", Random(0.3, 0.1)), ("petal_width", Random(0.11))]:
        dataset = Table(str(SHIPPED / "iris.csv"), target, split=split)
        assert {name: len(part) for name, part in dataset.draw(seed).items()} == dataset.sizes


def test_the_default_split_is_stratified_for_classes_and_by_chance_for_numbers(table: MakeTable) -> None:
    of_classes = Table(str(SHIPPED / "iris.csv"), "species").draw(1)
    assert rows_of(of_classes["test"])[1].tolist() == [0] * 10 + [1] * 10 + [2] * 10
    of_numbers = table(csv(x=NUMBERS, y=NUMBERS)).draw(1)
    assert torch.equal(of_numbers["test"].rows_of_all(), Random().parts(Population(20), 1)["test"])


def test_a_column_may_tell_the_parts(table: MakeTable) -> None:
    said = ["train", "test", "validation", "train", "train"] * 4
    dataset = table(csv(x=NUMBERS, part=said, y=CLASSES), split=ByColumn("part"))
    assert dataset.columns.features == ["x"]
    assert dataset.sizes == {"train": 12, "validation": 4, "test": 4}
    for seed in (0, 1):
        rows = {name: part.rows_of_all().tolist() for name, part in dataset.draw(seed).items()}
        assert rows == {name: [row for row in range(20) if said[row] == name] for name in PARTS}


def test_a_file_may_be_the_test_part(table: MakeTable, tmp_path: Path) -> None:
    test_file = tmp_path / "test.csv"
    test_file.write_text("y,extra,c\nr,1,new\np,2,old\n")
    content = csv(c=["old", "older"] * 10, y=CLASSES)
    dataset = table(content, test_file=str(test_file))
    assert dataset.columns.features == ["c=new", "c=old", "c=older"]
    assert dataset.columns.classes == ("p", "q", "r")
    assert dataset.sizes == {"train": 20, "test": 2}
    assert dataset.files() == [tmp_path / "t.csv", test_file]
    x, y = rows_of(dataset.draw(3)["test"])
    assert x.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert y.tolist() == [2, 0]
    validated = table(content, test_file=str(test_file), split=Stratified(test=0.0, validation=0.2))
    assert validated.sizes == {"train": 16, "validation": 4, "test": 2}


def test_a_file_is_read_once_while_it_stays_as_it_is(table: MakeTable, monkeypatch: pytest.MonkeyPatch) -> None:
    from minidl_cli.data.tables import preparing

    opened: list[Path] = []
    open_table = preparing.open_table
    monkeypatch.setattr(preparing, "open_table", lambda path, *more: opened.append(path) or open_table(path, *more))
    for _ in range(3):
        first = table(csv(x=NUMBERS, y=CLASSES)) if not opened else Table(str(opened[0]), "y")
        assert first.sizes == {"train": 16, "test": 4}
        first.fit(first.draw(0)["train"])
    assert len(opened) == 1
    changed = table(csv(x=[*NUMBERS, 1, 2], y=[*CLASSES, "p", "q"]))
    assert sum(changed.sizes.values()) == 22


# What is fitted


MIXED = {
    "a": [None if place % 7 == 3 else value for place, value in enumerate(NUMBERS)],
    "c": [None if place % 6 == 4 else "uvvw"[place % 4] for place in range(20)],
    "b": [None if place % 9 == 5 else 100.0 + place % 5 for place in range(20)],
    "y": CLASSES,
}


@pytest.mark.parametrize("numeric", ["standardize", "min_max", "none"])
@pytest.mark.parametrize("missing", ["mean", "median", "most_frequent", {"constant": -2.5}])
@pytest.mark.parametrize("seed", [0, 1])
def test_preprocessing_is_that_of_scikit_learn(table: MakeTable, numeric: Any, missing: Any, seed: int) -> None:
    dataset = table(csv(**MIXED), numeric=numeric, missing=missing, features=["a", "b"])
    parts = dataset.draw(seed)
    fitted = dataset.fit(parts["train"])
    constant = missing["constant"] if isinstance(missing, dict) else None
    imputer = SimpleImputer(strategy="constant" if constant else missing, fill_value=constant)
    scaler = {"standardize": StandardScaler(), "min_max": MinMaxScaler(), "none": "passthrough"}[numeric]
    reference = make_pipeline(imputer, scaler).fit(rows_of(parts["train"])[0])
    for part in parts.values():
        np.testing.assert_allclose(seen(dataset, part, fitted), reference.transform(rows_of(part)[0]), atol=1e-12)


@pytest.mark.parametrize("missing", ["mean", "median", "most_frequent"])
def test_categories_are_encoded_as_by_scikit_learn(table: MakeTable, missing: str) -> None:
    dataset = table(csv(**MIXED), missing=missing, features=["c"])
    parts = dataset.draw(0)
    fitted = dataset.fit(parts["train"])
    reference = make_pipeline(
        SimpleImputer(strategy="most_frequent", missing_values=None),
        OneHotEncoder(categories=[["u", "v", "w"]], sparse_output=False),
    )
    text = np.array(MIXED["c"], dtype=object)[:, None]
    reference.fit(text[parts["train"].rows_of_all()])
    for part in parts.values():
        assert seen(dataset, part, fitted).tolist() == reference.transform(text[part.rows_of_all()]).tolist()


def test_the_median_of_an_even_number_lies_in_the_middle(table: MakeTable) -> None:
    said = ["train"] * 5 + ["test"]
    dataset = table(csv(x=[4, 1, None, 10, 2, 99], y=NUMBERS[:6], part=said), missing="median", split=ByColumn("part"))
    assert dataset.fit(dataset.draw(0)["train"])["inputs.fill"].tolist() == [3]


def test_a_constant_leaves_the_gaps_of_categories_empty(table: MakeTable) -> None:
    dataset = table(csv(**MIXED), missing={"constant": 7.0}, features=["c", "a"])
    assert dataset.fit(dataset.draw(0)["train"])["inputs.fill"].tolist() == [0, 0, 0, 7]


def test_booleans_are_not_scaled_and_filled_with_the_more_frequent(table: MakeTable) -> None:
    dataset = table(csv(b=["true", "true", "", "false", "true"] * 4, y=CLASSES), missing="mean")
    assert dataset.columns.inputs[0].kind == "boolean"
    fitted = dataset.fit(dataset.draw(0)["train"])
    assert dataset.fitted == {"inputs.fill": 1}
    assert fitted["inputs.fill"].tolist() == [1.0]


def test_targets_are_scaled_on_the_training_rows(table: MakeTable) -> None:
    dataset = table(csv(x=NUMBERS, u=NUMBERS[::-1], v=list(range(20))), target=["u", "v"], scale_target=True)
    train = dataset.draw(0)["train"]
    fitted = dataset.fit(train)
    reference = StandardScaler().fit(rows_of(train)[1])
    np.testing.assert_allclose(fitted["targets.center"], reference.mean_, rtol=1e-12)
    np.testing.assert_allclose(fitted["targets.scale"], 1 / reference.scale_, rtol=1e-12)


def test_a_target_that_is_the_same_in_all_training_rows_is_not_scaled(table: MakeTable) -> None:
    said = ["train"] * 10 + ["test"] * 10
    content = csv(x=NUMBERS, part=said, y=[3.5] * 10 + NUMBERS[10:])
    dataset = table(content, split=ByColumn("part"), scale_target=True)
    fitted = dataset.fit(dataset.draw(0)["train"])
    assert (fitted["targets.center"].item(), fitted["targets.scale"].item()) == (3.5, 1.0)


def test_balanced_weights_are_those_of_scikit_learn(table: MakeTable) -> None:
    labels = ["p"] * 12 + ["q"] * 5 + ["r"] * 3
    dataset = table(csv(x=NUMBERS, y=labels), class_weights="balanced", split=Random(0.3))
    train = dataset.draw(0)["train"]
    _, y = rows_of(train)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=y)
    np.testing.assert_allclose(dataset.fit(train)["classes.weight"], expected, rtol=1e-15)


def test_weights_may_be_given_by_label(table: MakeTable) -> None:
    numbers = table(csv(x=NUMBERS, y=[1, 2, 2, 3, 3] * 4), class_weights={2: 0.5, "3": 4.0})
    assert numbers.fit(numbers.draw(0)["train"])["classes.weight"].tolist() == [1, 0.5, 4]
    flags = table(csv(x=NUMBERS, y=["true", "false"] * 10), class_weights={"true": 3.0})
    assert flags.fit(flags.draw(0)["train"])["classes.weight"].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, {"inputs.center": 4, "inputs.scale": 4}),
        ({"features": ["a"], "numeric": "none"}, {}),
        ({"features": ["c"], "numeric": "none"}, {"inputs.center": 3, "inputs.scale": 3}),
        ({"features": ["a"], "missing": "mean"}, {"inputs.center": 1, "inputs.scale": 1, "inputs.fill": 1}),
        ({"features": ["a"], "numeric": "none", "missing": "mean"}, {"inputs.fill": 1}),
        ({"features": ["a"], "numeric": "none", "class_weights": "balanced"}, {"classes.weight": 2}),
    ],
)
def test_what_is_fitted_is_known_beforehand(
    table: MakeTable, arguments: dict[str, Any], expected: dict[str, int]
) -> None:
    dataset = table(csv(a=NUMBERS, c=["u", "v", "w", "u"] * 5, y=CLASSES), **arguments)
    fitted = dataset.fit(dataset.draw(0)["train"])
    assert dataset.fitted == expected == {name: len(values) for name, values in fitted.items()}
    assert all(values.dtype == torch.float64 for values in fitted.values())


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), value=st.floats(-1e6, 1e6), data=st.data())
def test_nothing_leaks_from_test_rows(
    tmp_path_factory: pytest.TempPathFactory, seed: int, value: float, data: Any
) -> None:
    folder = tmp_path_factory.mktemp("leak")

    def fitted(columns: dict[str, list[Any]]) -> tuple[dict[str, Part], dict[str, Tensor]]:
        path = folder / "t.csv"
        path.write_text(csv(**columns))
        dataset = Table(str(path), ["u"], missing="median", scale_target=True, split=Random(0.2, 0.2))
        parts = dataset.draw(seed)
        return parts, dataset.fit(parts["train"])

    columns = {"a": MIXED["a"], "b": MIXED["b"], "c": MIXED["c"], "u": NUMBERS}
    parts, before = fitted(columns)
    row = data.draw(st.sampled_from(parts["test"].rows_of_all().tolist() + parts["validation"].rows_of_all().tolist()))
    changed = {name: [*values[:row], value, *values[row + 1 :]] for name, values in columns.items() if name != "c"}
    _, after = fitted({**columns, **changed, "c": [*columns["c"][:row], "u", *columns["c"][row + 1 :]]})
    assert all(torch.equal(before[name], after[name]) for name in before)
    row = parts["train"].rows_of_all().tolist()[0]
    _, other = fitted({**columns, "u": [*NUMBERS[:row], 1e6, *NUMBERS[row + 1 :]]})
    assert not torch.equal(before["targets.center"], other["targets.center"])


def test_a_column_that_is_constant_in_training_is_left_out(table: MakeTable) -> None:
    said = ["train"] * 10 + ["test"] * 10
    content = csv(x=[0.1] * 10 + NUMBERS[10:], z=NUMBERS, c=["u"] * 10 + ["v"] * 10, part=said, y=CLASSES)
    for numeric in ("standardize", "min_max"):
        dataset = table(content, split=ByColumn("part"), numeric=numeric)
        parts = dataset.draw(0)
        fitted = dataset.fit(parts["train"])
        assert fitted["inputs.scale"][[0, 2, 3]].tolist() == [0, 1, 0]
        assert (seen(dataset, parts["test"], fitted)[:, [0, 2, 3]] == 0).all()


def test_fitted_numbers_do_not_depend_on_threads() -> None:
    numbers = torch.randn(1, 100_003, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    dataset = Table(str(SHIPPED / "iris.csv"), "petal_width", features=["petal_length"])
    threads, found = torch.get_num_threads(), []
    for number in (1, 2):
        torch.set_num_threads(number)
        found.append(dataset.fit(Part(numbers, numbers)))
    torch.set_num_threads(threads)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


# What is told of odd columns


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([5] * 20, "is the same in every row, so nothing can be learned from it; leave it out of features"),
        (["u"] * 20, "is the same in every row, so nothing can be learned from it; leave it out of features"),
        (["true"] * 20, "is the same in every row, so nothing can be learned from it; leave it out of features"),
        (
            [1763737200 + place for place in range(20)],
            "is the same in every row, so nothing can be learned from it; leave it out of features, or set "
            "training.dtype: float64 if it differs",
        ),
        (
            [20000000 + 10 * (place % 7) for place in range(20)],
            "has numbers up to 2.00001e+07 that differ by too little to be told apart; set training.dtype: float64",
        ),
        (list(range(20, 0, -1)), "counts the rows, which tells nothing about others; leave it out of features"),
    ],
)
def test_odd_columns_get_a_warning(table: MakeTable, tmp_path: Path, values: list[Any], line: str) -> None:
    dataset = table(csv(x=values, z=NUMBERS, y=CLASSES))
    dataset.dtype = torch.float32
    with pytest.warns(MinidlWarning) as caught:
        _ = dataset.columns
    assert [str(each.message) for each in caught] == [f"{tmp_path}/t.csv: column 'x': {line}"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dataset.sizes  # it is told once


def test_all_constant_columns_share_a_warning(table: MakeTable, tmp_path: Path) -> None:
    dataset = table(csv(a=[5] * 20, x=NUMBERS, b=["u"] * 20, c=["true"] * 20, y=CLASSES))
    problem = "are the same in every row, so nothing can be learned from them; leave them out of features"
    with pytest.warns(MinidlWarning) as caught:
        _ = dataset.columns
    assert [str(each.message) for each in caught] == [f"{tmp_path}/t.csv: columns 'a', 'b', 'c': {problem}"]


@pytest.mark.parametrize("dates", [["31.01.2026", "1.2.26"] * 10, ["1/31/2026 10:15", "02/01/2026 11:00"] * 10])
def test_dates_in_another_form_get_a_warning(table: MakeTable, tmp_path: Path, dates: list[str]) -> None:
    problem = f"has dates such as '{dates[0]}', which count as categories; write them as 2026-01-31, or add the column"
    with pytest.warns(MinidlWarning, match=f"^{tmp_path}/t.csv: column 'd': {problem} to categorical if they are$"):
        _ = table(csv(d=dates, y=CLASSES)).columns
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert table(csv(d=dates, y=CLASSES), categorical=["d"]).columns.inputs[0].kind == "category"


@pytest.mark.parametrize(
    "values",
    [
        [0, 1, 1, *range(3, 20)],  # one twice
        ["1.2.3", "1.2.4"] * 10,
        [*range(19), 30],  # one missing
        [place + 0.5 for place in range(20)],  # no whole numbers
        [f"2026-01-{place + 1:02}" for place in range(20)],
        [16000000 + 100 * place % 700 for place in range(20)],
    ],
)
def test_other_columns_get_none(table: MakeTable, values: list[Any]) -> None:
    dataset = table(csv(x=values, y=CLASSES))
    dataset.dtype = torch.float32
    assert dataset.sizes == {"train": 16, "test": 4}


# What is refused


@pytest.mark.parametrize(
    ("content", "options", "line"),
    [
        (csv(x=NUMBERS, y=CLASSES), {"target": "z"}, "t.csv: no column 'z'; there are 'x', 'y'"),
        (csv(x=NUMBERS, kind=CLASSES), {"target": "kinds"}, "t.csv: no column 'kinds'; did you mean 'kind'?"),
        (csv(width=NUMBERS, y=CLASSES), {"features": ["Widht"]}, "t.csv: no column 'Widht'; did you mean 'width'?"),
        (csv(x=NUMBERS, y=CLASSES), {"split": ByColumn("part")}, "t.csv: no column 'part'; there are 'x', 'y'"),
        (
            csv(x=NUMBERS, y=["inf", 1, 2, 2, 1] * 4),
            {},
            "t.csv: line 2, column 'y': the number is infinite; correct it",
        ),
        (csv(y=CLASSES), {}, "t.csv: has no columns besides 'y', so there is nothing to learn from"),
        (
            csv(x=[1, None, 3], y=[1, 2, 5]),
            {},
            "t.csv: line 3, column 'x': there is no value; fill it in, or set missing to mean, median, most_frequent, "
            "drop or {constant: 0}",
        ),
        (
            csv(x=[1, 2, 3], y=["p", None, "q"]),
            {"missing": "mean"},
            "t.csv: line 3, column 'y': there is no value; fill it in, or leave such rows out with missing: drop",
        ),
        (
            csv(x=[1, None], y=[None, 2]),
            {"missing": "drop"},
            "t.csv: missing: drop leaves out every row; fill gaps, or take fewer features",
        ),
        (csv(x=[None] * 3, z=[1, 2, 4], y=[1, 2, 5]), {}, "t.csv: column 'x': has no values; leave it out"),
        (
            csv(x=NUMBERS, y=["p"] * 20),
            {},
            "t.csv: column 'y': has one class only, 'p', so there is nothing to predict",
        ),
        (
            csv(x=NUMBERS, y=[0.5] * 20),
            {},
            "t.csv: column 'y': is the same in every row, so there is nothing to predict",
        ),
        (
            csv(x=NUMBERS, y=[f"id{place}" for place in range(20)]),
            {"max_categories": 10},
            "t.csv: column 'y': has 20 classes, more than max_categories; set max_categories: 20, or task: regression "
            "if they are numbers",
        ),
        (
            csv(name=[f"n{place}" for place in range(20)], y=CLASSES),
            {"max_categories": 19},
            "t.csv: column 'name': has 20 different texts, such as 'n0', more than max_categories; leave it out of "
            "features, or set max_categories: 20",
        ),
        (
            csv(x=[1, 2, "3+", 4], y=CLASSES[:4]),
            {},
            "t.csv: line 4, column 'x': '3+' is not a number; correct it, or add the column to categorical if its "
            "values are categories",
        ),
        (
            csv(x=[1, 2, 3, 4], y=[1, 2, "3+", 4]),
            {},
            "t.csv: line 4, column 'y': '3+' is not a number; correct it, or set task: classification if its values "
            "are classes",
        ),
        (
            csv(x=[1, 2, 3], y=[1, 2, "x"], z=[1, 2, 3]),
            {"target": ["y", "z"]},
            "t.csv: line 4, column 'y': 'x' is not a number; correct it",
        ),
        (
            csv(x=NUMBERS, y=["2026-01-31"] * 20),
            {},
            "t.csv: column 'y': holds dates, which cannot be predicted; make them numbers",
        ),
        (
            csv(x=[1, "inf", 3], y=[1, 2, 5]),
            {},
            "t.csv: line 3, column 'x': the number is infinite, or beyond 2e+308; correct it, or leave it empty",
        ),
        (
            csv(x=[1, 2, 3], y=[1, 2, "-inf"]),
            {},
            "t.csv: line 4, column 'y': the number is infinite; correct it",
        ),
        (
            csv(x=NUMBERS, part=["train", "tset"] * 10, y=CLASSES),
            {"split": ByColumn("part")},
            "t.csv: line 3, column 'part': 'tset' is no part of a split; write train, validation or test",
        ),
        (
            csv(x=NUMBERS, part=["train", ""] * 10, y=CLASSES),
            {"split": ByColumn("part")},
            "t.csv: line 3, column 'part': there is no value; write train, validation or test",
        ),
        (
            csv(x=NUMBERS, part=["train"] * 20, y=CLASSES),
            {"split": ByColumn("part")},
            "t.csv: the split's column has no row for test; write test into some rows",
        ),
        (
            csv(x=[1, 2, 4], y=[1.5, 2, 5]),
            {"split": Random(0.1)},
            "t.csv: 0.1 of 3 rows are none for test; take a larger share",
        ),
        (
            csv(x=NUMBERS, y=CLASSES),
            {"scale_target": True},
            "t.csv: the target 'y' is taken for classes, so leave scale_target out, or set task: regression",
        ),
        (
            csv(x=NUMBERS, y=NUMBERS),
            {"class_weights": "balanced"},
            "t.csv: the target 'y' is taken for numbers, so leave class_weights out, or set task: classification",
        ),
        (
            csv(x=NUMBERS, y=NUMBERS),
            {"split": Stratified()},
            "t.csv: the target 'y' is taken for numbers, so take split: random, or set task: classification",
        ),
        (
            csv(x=NUMBERS, y=["benign", "malign"] * 10),
            {"class_weights": {"benin": 2.0}},
            "t.csv: class_weights: there is no class 'benin'; did you mean 'benign'?",
        ),
        (
            csv(c=["u"] * 19 + ["v"], y=CLASSES, part=["train"] * 19 + ["test"]),
            {"unseen": "error", "split": ByColumn("part")},
            "t.csv: column 'c': no training row has 'v'; set unseen: zeros, or leave the column out of features",
        ),
        (
            csv(x=[None] * 19 + [3], z=NUMBERS, y=CLASSES, part=["train"] * 19 + ["test"]),
            {"missing": "mean", "split": ByColumn("part"), "features": ["x", "z"]},
            "t.csv: column 'x' has no values in the training rows, so there is nothing to fill its gaps with; leave it "
            "out of features",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::minidl_cli.errors.MinidlWarning")
def test_what_is_wrong_gets_one_line(
    problem: Callable[..., str], content: str, options: dict[str, Any], line: str
) -> None:
    assert problem(content, **options) == line


def test_numbers_beyond_single_precision_are_an_error(table: MakeTable) -> None:
    dataset = table(csv(x=[1, 1e39, 3], y=[1, 2, 5]))
    dataset.dtype = torch.float32
    with pytest.raises(InputError, match=r"line 3, column 'x': the number is infinite, or beyond 3e\+38; correct it"):
        _ = dataset.columns


@pytest.mark.parametrize(
    ("dtype", "number", "advice"),
    [
        (torch.float32, 1e39, r"3e\+38; set training\.dtype: float64, or divide all by a constant"),
        (torch.float32, 2e19, r"3e\+38; set training\.dtype: float64, or divide all by a constant"),
        (torch.float64, 1e155, r"2e\+308; divide all by a constant"),
    ],
)
def test_targets_whose_squares_cannot_be_held_are_an_error(
    table: MakeTable, dtype: torch.dtype, number: float, advice: str
) -> None:
    dataset = table(csv(x=[1, 2, 3], y=[1, -number, 5.5]), task="regression")
    dataset.dtype = dtype
    problem = f"line 3, column 'y': the number is so large that its square is beyond {advice}$"
    with pytest.raises(InputError, match=problem):
        _ = dataset.columns


@pytest.mark.parametrize(
    ("dtype", "offset", "advice"),
    [
        (torch.float32, 1.7e9, r"up to 1\.7e\+09 .* told apart; set training\.dtype: float64, or subtract a constant"),
        (torch.float64, 1e18, r"up to 1e\+18 .* told apart; subtract a constant"),
    ],
)
def test_targets_that_cannot_be_told_apart_are_an_error(
    table: MakeTable, dtype: torch.dtype, offset: float, advice: str
) -> None:
    dataset = table(csv(x=NUMBERS, v=NUMBERS, y=[offset + 60 * (place % 3) + 0.5 for place in range(20)]), ["v", "y"])
    dataset.dtype = dtype
    with pytest.raises(InputError, match=rf"t\.csv: column 'y': has numbers {advice} from it$"):
        _ = dataset.columns


@pytest.mark.parametrize("numeric", ["standardize", "min_max"])
@pytest.mark.parametrize(("unit", "dtype"), [(1e-40, torch.float32), (1e-310, torch.float64), (1e308, torch.float64)])
def test_numbers_that_cannot_be_scaled_are_an_error(
    table: MakeTable, numeric: Any, unit: float, dtype: torch.dtype
) -> None:
    """The scale of small ones is infinite; and the range of large ones."""
    dataset = table(csv(x=[place * unit for place in (-1, 1, 1.5)] * 5, y=CLASSES[:15]), numeric=numeric)
    dataset.dtype = dtype
    with pytest.raises(InputError, match=r"t\.csv: column 'x' has numbers too far apart or too close together"):
        dataset.fit(dataset.draw(0)["train"])


def test_targets_that_cannot_be_scaled_are_an_error(table: MakeTable) -> None:
    dataset = table(csv(x=NUMBERS, y=[place * 1e-60 for place in NUMBERS]), scale_target=True)
    dataset.dtype = torch.float32
    with pytest.raises(InputError, match=r"t\.csv: column 'y' has numbers too far apart or too close together"):
        dataset.fit(dataset.draw(0)["train"])


def test_errors_in_a_test_file_name_it(table: MakeTable, tmp_path: Path) -> None:
    test_file = tmp_path / "more.csv"
    for text, line in [
        ("x,y\n1,p\n,q\n", "line 3, column 'x': there is no value"),
        ("x,y\n1,p\nlots,q\n", "line 3, column 'x': 'lots' is not a number"),
        ("z,y\n1,p\n", "no column 'x'; there are 'z'"),
    ]:
        test_file.write_text(text)
        with pytest.raises(InputError, match=f"^{test_file}: {line}"):
            _ = table(csv(x=NUMBERS, y=CLASSES), test_file=str(test_file)).columns


def test_rows_are_named_as_in_the_file_after_others_were_left_out(problem: Callable[..., str]) -> None:
    content = csv(x=[None, 1, 2, "inf", 4, 7], y=[1, 2, 3, 4, 5.5, 6])
    assert problem(content, missing="drop").startswith("t.csv: line 5, column 'x': the number is infinite")


def test_rows_with_gaps_may_be_left_out(table: MakeTable) -> None:
    dataset = table(csv(**MIXED), missing="drop")
    complete = [row for row in range(20) if all(MIXED[name][row] is not None for name in ("a", "b", "c"))]
    assert sum(dataset.sizes.values()) == len(complete)
    assert dataset.draw(0)["train"].inputs[0].tolist() == [NUMBERS[row] for row in complete]
    assert "inputs.fill" not in dataset.fitted


def test_rows_with_gaps_are_left_out_of_a_test_file_too(table: MakeTable, tmp_path: Path) -> None:
    test_file = tmp_path / "more.csv"
    test_file.write_text("x,y\n1,p\n,q\n2,q\n")
    dataset = table(csv(x=[None, *NUMBERS[1:]], y=CLASSES), test_file=str(test_file), missing="drop")
    assert dataset.sizes == {"train": 19, "test": 2}
    assert rows_of(dataset.draw(0)["test"])[0].tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"target": ["y", "y"]}, "target names a column twice"),
        ({"features": ["a", "b", "a"]}, "features names a column twice"),
        ({"features": ["a", "y"]}, "'y' cannot be in features, as it is the target"),
        ({"categorical": ["y"]}, "'y' cannot be in categorical, as it is the target"),
        ({"features": ["a"], "categorical": ["b"]}, "'b' is in categorical, but not in features"),
        ({"split": ByColumn("y")}, "'y' tells the split, so it cannot be anything else"),
        ({"split": ByColumn("a"), "features": ["a"]}, "'a' tells the split, so it cannot be anything else"),
        ({"target": ["y", "z"], "task": "classification"}, "classification takes one target only"),
        ({"task": "classification", "scale_target": True}, "scale_target is for regression: classes have no scale"),
        ({"task": "regression", "class_weights": "balanced"}, "class_weights is for classification: numbers have no"),
        ({"target": ["y", "z"], "class_weights": "balanced"}, "class_weights is for classification: numbers have no"),
        ({"task": "regression", "split": Stratified()}, "split: stratified is for classification; take split: random"),
        ({"test_file": "u.csv", "split": Random()}, "test_file is the test part already; set split to random or strat"),
        ({"test_file": "u.csv", "split": ByColumn("p")}, "test_file is the test part already; set split to random or"),
        (
            {"split": Stratified(test=0.0)},
            "the split leaves no rows to test on; give test a share, or name a test_file",
        ),
        ({"target_values": (1.0, 0.0)}, r"target_values must ascend, not \[1.0, 0.0\]"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}"):
        Table("t.csv", **{"target": "y", **arguments})


# In a config


CONFIG = """
data:
  table: {file: FILE, target: y}
model: [linear: 2]
loss: cross_entropy
optimizer: adam
training: {epochs: 1, batch_size: 5}
"""


def test_files_are_found_beside_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs/data").mkdir(parents=True)
    (tmp_path / "configs/data/t.csv").write_text(csv(x=NUMBERS, y=CLASSES))
    config_file = tmp_path / "configs/c.yaml"
    config_file.write_text(CONFIG.replace("FILE", "data/t.csv"))
    monkeypatch.chdir(tmp_path)
    config = load_config("configs/c.yaml")
    assert config.data.arguments["file"] == str(tmp_path / "configs/data/t.csv")
    assert build(config).sizes == {"train": 16, "test": 4}
    for name in ("u.csv", "../u.csv", "/u.csv"):
        overridden = load_config("configs/c.yaml", [f"data.table.file={name}"])
        assert overridden.data.arguments["file"] == str((tmp_path / "configs" / name).resolve())


def test_varied_files_are_found_beside_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minidl_cli.training.build import variants

    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/c.yaml").write_text(CONFIG.replace("FILE", "t.csv"))
    monkeypatch.chdir(tmp_path)
    config = load_config("configs/c.yaml", [], ["data.table.file=a.csv,b.csv"])
    found = [variant.config.data.arguments["file"] for variant in variants(config)]
    assert found == [f"{tmp_path}/configs/a.csv", f"{tmp_path}/configs/b.csv"]


def test_a_config_is_checked_without_its_file(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.replace("FILE", "no.csv"))
    config = load_config(path)
    with pytest.raises(InputError) as caught:
        build(config)
    assert caught.value.problems == [f"{tmp_path}/no.csv: cannot be read: No such file or directory"]


def test_data_that_are_drawn_need_no_polars() -> None:
    code = "import sys; from minidl_cli import load_config; from minidl_cli.training.build import build; "
    code += f"build(load_config({str(SHIPPED.parent / 'disc.yaml')!r})); print('polars' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_matrix_that_cannot_fit_in_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is made."""
    rows = "".join(f"{place / 3},n{place},{'pq'[place % 2]}\n" for place in range(100))
    (tmp_path / "t.csv").write_text(f"a,name,kind\n{rows}")
    monkeypatch.setattr("minidl_cli.data.tables.preparing.physical_memory", lambda: 50_000)
    with pytest.raises(InputError) as caught:
        Table(str(tmp_path / "t.csv"), "kind").draw(0)
    said = "101 features of 100 rows take 80.8 kB of memory, but this machine has 50.0 kB"
    assert caught.value.problems == [f"{tmp_path / 't.csv'}: {said}; leave out columns, such as 'name'"]
