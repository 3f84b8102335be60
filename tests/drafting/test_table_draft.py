"""Drafts for tables: what is chosen, and that it trains."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from minidl_cli import load_config
from minidl_cli.config.schema import Config
from minidl_cli.drafting.table_draft import config_name, draft_table
from minidl_cli.errors import InputError
from minidl_cli.training.build import build
from tests.drafting.tables import AMOUNTS, CLASSES, NUMBERS, ROWS, Table, drafted, train, write_table

SHIPPED = Path(__file__).parents[2] / "configs" / "data"


def refused(data: Path, *targets: str) -> str:
    """Returns the one line that says why there is no draft."""
    with pytest.raises(InputError) as caught:
        draft_table(data, targets, data.with_suffix(".yaml"))
    (line,) = caught.value.problems
    return line.removeprefix(f"{data}: ")


def table_of(data: Path, *targets: str) -> dict[str, Any]:
    """Returns what the draft says of the table."""
    return dict(drafted(data, *targets)[1].data.arguments)


def outputs_of_linear_layers(config: Config) -> list[int]:
    return [layer.arguments["out_features"] for layer in config.model if layer.name == "linear"]


@pytest.fixture
def small(tmp_path: Path) -> Any:
    """Returns the file of a table with these columns beside x: `small(target=[...])`."""

    def make(**columns: Any) -> Path:
        return write_table(tmp_path / "table.csv", {"x": NUMBERS} | columns)

    return make


class TestTask:
    @pytest.mark.parametrize(
        ("target", "task", "outputs"),
        [
            (CLASSES, "classification", 3),
            ([row % 3 == 1 for row in range(ROWS)], "classification", 2),
            ([row % 4 + 5 for row in range(ROWS)], "classification", 4),
            ([f"{row % 3}{'a' * (row == 7)}" for row in range(ROWS)], "classification", 4),
            ([f"00{row % 3}" for row in range(ROWS)], "classification", 3),
            (AMOUNTS, "regression", 1),
            (range(ROWS), "regression", 1),
        ],
        ids=["text", "booleans", "few whole numbers", "mixed", "leading zeros", "numbers", "many whole numbers"],
    )
    def test_told_from_the_target(self, small: Any, target: Any, task: str, outputs: int):
        draft, config = drafted(small(target=target), "target")

        assert config.data.arguments["task"] == draft.found["task"] == task
        assert config.loss.name == ("cross_entropy" if task == "classification" else "mse")
        assert config.data.arguments["scale_target"] == (task == "regression")
        assert build(config).network.widths[-1] == draft.found["widths"][-1] == outputs

    def test_several_targets_are_numbers(self, small: Any):
        data = small(u=AMOUNTS, v=[row % 3 for row in range(ROWS)])

        draft, config = drafted(data, "u", "v", "u")

        assert config.data.arguments["target"] == ("u", "v")
        assert draft.found["targets"] == ["u", "v"]
        assert outputs_of_linear_layers(config) == draft.found["widths"][1:] == [16, 2]
        assert train(data.with_suffix(".yaml")) == ["finished", "finished"]

    def test_labels_are_those_of_the_dataset(self, small: Any):
        draft, config = drafted(small(target=["1.0", "2", "x3", *["2"] * 17] * 3), "target")

        assert [each["label"] for each in draft.found["classes"]] == ["2", "1.0", "x3"]
        assert build(config).dataset.columns.classes == ("1.0", "2", "x3")


class TestRefusals:
    @pytest.mark.parametrize(
        ("target", "problem"),
        [
            (["a"] * ROWS, "is a in every row, so there is nothing to learn; name another column with --target"),
            ([2.5] * ROWS, "is 2.5 in every row"),
            (["a", None] * 30, "is a in every row"),
            ([None] * ROWS, "has no values to learn from"),
            (
                pl.date_range(pl.date(2026, 1, 1), pl.date(2026, 3, 1), eager=True),
                "holds dates, which cannot be predicted",
            ),
            ([float("inf"), *AMOUNTS[1:]], "has numbers that are infinite, or larger than 3.4e+38"),
            ([f"name {row}" for row in range(10)], "has another label in each row, so there is nothing to learn"),
            ([row % 7 * 1e-200 for row in range(ROWS)], "has numbers too far apart or too close together"),
            ([row % 7 * 1e-40 for row in range(ROWS)], "has numbers too far apart or too close together"),
            ([f"name {row}" for row in range(101)], "has 101 different labels, too many to be classes (100 at most)"),
        ],
    )
    def test_targets_that_cannot_be_learned(self, tmp_path: Path, target: Any, problem: str):
        data = write_table(tmp_path / "table.csv", {"x": range(len(target)), "target": target})

        assert refused(data, "target").startswith(f"column 'target': {problem}")

    def test_few_rows_may_have_a_label_each(self, tmp_path: Path):
        data = write_table(tmp_path / "table.csv", {"x": range(9), "target": [f"name {row}" for row in range(9)]})
        assert len(drafted(data, "target")[0].found["classes"]) == 9

    def test_several_targets_must_be_numbers(self, small: Any):
        problem = "line 2, column 'v': 'red' is not a number; several targets must be numbers: name one, or correct it"
        assert refused(small(u=AMOUNTS, v=CLASSES), "u", "v") == problem

    @pytest.mark.parametrize(
        ("column", "problem"),
        [("speices", "no column 'speices'; did you mean 'species'?"), ("q", "no column 'q'; there are 'x', 'species'")],
    )
    def test_unknown_target(self, small: Any, column: str, problem: str):
        assert refused(small(species=CLASSES), column) == problem

    @pytest.mark.parametrize(
        ("columns", "example"),
        [
            (["a", "species", "Class"], "--target Class"),
            (["a", "y", "b"], "--target y"),
            (["a", "b", "the last"], "--target 'the last'"),
            (["it's", "no"], "--target no"),
            (["a", "on the\nline"], r"--target 'on the"),
        ],
    )
    def test_no_target_names_a_likely_one(self, tmp_path: Path, columns: list[str], example: str):
        line = refused(write_table(tmp_path / "t.csv", dict.fromkeys(columns, NUMBERS)))

        assert line.startswith(f"say which column to predict with --target, such as {example}")
        assert "; there are 'a', " in line or "; there are 'it\\'s', " in line or "; there are 'it's', " in line

    def test_rows_without_target_and_gaps_in_most_others(self, small: Any):
        data = small(
            z=[None if row % 5 in (1, 2, 3) and row > 20 else 1.5 * row for row in range(ROWS)],
            target=[None, *CLASSES[1:]],
        )
        assert drafted(data, "target")[0].found["rows"] == 35

        data = small(
            z=[None if row % 5 in (1, 2) else 1.5 * row * row for row in range(ROWS)],
            w=[None if row % 5 in (3, 4) else 2.5 * row * row for row in range(ROWS)],
            target=[None, *CLASSES[1:]],
        )
        assert refused(data, "target") == (
            "column 'target': lacks 1 of 60 values, and most of the other rows have gaps, too; "
            "remove the rows without a target from the file"
        )


class TestChoices:
    def test_paths_are_relative_to_the_config(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        (tmp_path / "data").mkdir()
        (tmp_path / "configs" / "mine").mkdir(parents=True)
        write_table(tmp_path / "data" / "my table.csv", {"x": NUMBERS, "y": AMOUNTS})
        monkeypatch.chdir(tmp_path / "data")

        draft = draft_table(Path("my table.csv"), ["y"], Path("../configs/mine/a.yaml"))

        assert 'file: "../../data/my table.csv"' in draft.text
        (tmp_path / "configs" / "mine" / "a.yaml").write_text(draft.text)
        assert train(tmp_path / "configs" / "mine" / "a.yaml") == ["finished", "finished"]

    @pytest.mark.parametrize(
        ("stem", "name"),
        [
            ("iris", "iris"),
            ("a.b", "a.b"),
            (".hidden", "hidden"),
            ("a\\b", "a_b"),
            ("a\nb", "a_b"),
            ("ä ß", "ä ß"),
            ("n" * 99, "n" * 80),
            ("...", "table"),
        ],
    )
    def test_name(self, stem: str, name: str):
        assert config_name(Path("folder") / f"{stem}.csv") == name

    def test_missing_numbers(self, small: Any):
        data = small(z=[None, *NUMBERS[1:]], c=[None, None, *CLASSES[2:]], target=AMOUNTS)
        draft, config = drafted(data, "target")

        assert config.data.arguments["missing"] == "mean"
        assert draft.found["missing"] == {"z": 1, "c": 2}
        assert "# missing in z 1, c 2: filled with" in draft.text

    def test_missing_categories(self, small: Any):
        assert table_of(small(c=[None, *CLASSES[1:]], target=AMOUNTS), "target")["missing"] == "most_frequent"

    def test_nothing_is_missing(self, small: Any):
        draft, config = drafted(small(c=[None] * ROWS, target=AMOUNTS), "target")

        assert config.data.arguments["missing"] == "error"
        assert "missing" not in draft.text

    def test_rows_without_target(self, small: Any):
        data = small(
            z=[None, None, *NUMBERS[2:]], target=[None if row in (1, 9) else CLASSES[row] for row in range(ROWS)]
        )
        draft, config = drafted(data, "target")

        assert config.data.arguments["missing"] == "drop"
        assert (draft.found["rows"], draft.found["dropped_rows"]) == (57, 3)
        assert build(config).sizes == draft.found["sizes"] == {"train": 46, "test": 11}

    @pytest.mark.parametrize(
        ("largest", "weights", "is_suggested"),
        [(40, None, False), (50, None, True), (272, None, True), (273, "balanced", False), (290, "balanced", False)],
    )
    def test_unequal_classes(self, tmp_path: Path, largest: int, weights: str | None, is_suggested: bool):
        rows = 300 if largest > 60 else 80
        columns = {
            "x": [(7 * row) % 11 + 0.1 * row for row in range(rows)],
            "y": ["a"] * largest + ["b"] * (rows - largest),
        }
        draft, config = drafted(write_table(tmp_path / "t.csv", columns), "y")

        assert config.data.arguments["class_weights"] == weights
        assert ("# class_weights: balanced" in draft.text) == is_suggested

    def test_whole_numbers_of_few_values_may_be_categories(self, small: Any):
        data = small(grade=[row % 3 for row in range(ROWS)], two=[row % 2 for row in range(ROWS)], target=AMOUNTS)
        draft, config = drafted(data, "target")
        assert config.data.arguments["categorical"] == ()

        data.with_suffix(".yaml").write_text(draft.text.replace("# categorical:", "categorical:"))
        config = load_config(data.with_suffix(".yaml"))
        assert config.data.arguments["categorical"] == ("grade",)
        assert build(config).dataset.columns.features == ["x", "grade=0", "grade=1", "grade=2", "two"]

    def test_split_of_small_tables(self, tmp_path: Path):
        for rows in range(2, 12):
            data = write_table(
                tmp_path / f"{rows}.csv",
                {"x": [0.5 * row for row in range(rows)], "y": [1.5 * row * row for row in range(rows)]},
            )
            sizes = build(drafted(data, "y")[1]).sizes
            assert sizes["test"] == max(1, round(0.2 * rows))
            assert train(data.with_suffix(".yaml"), range(3)) == ["finished"] * 3
        assert refused(write_table(tmp_path / "1.csv", {"x": [1], "y": [2.5]}), "y").startswith(
            "column 'y': is 2.5 in every row"
        )

    def test_rare_classes_are_split_by_chance(self, tmp_path: Path):
        data = write_table(tmp_path / "t.csv", {"x": NUMBERS[:5], "y": list("abcde")})
        assert table_of(data, "y")["split"].name == "random"
        assert train(data.with_suffix(".yaml"), range(5)) == ["finished"] * 5

    def test_enough_rows_stop_early(self, tmp_path: Path):
        columns = {
            "x": [(7 * row) % 11 + 0.1 * row for row in range(1000)],
            "y": [CLASSES[row % 3] for row in range(1000)],
        }
        config = drafted(write_table(tmp_path / "t.csv", columns), "y")[1]
        assert build(config).sizes == {"train": 700, "validation": 100, "test": 200}
        assert config.training.early_stopping is not None
        assert config.training.schedule.name == "constant"

        columns = {name: values[:-1] for name, values in columns.items()}
        config = drafted(write_table(tmp_path / "t.csv", columns), "y")[1]
        assert build(config).sizes == {"train": 799, "test": 200}
        assert config.training.early_stopping is None

    @pytest.mark.parametrize("parts", [["train", "test"], ["train", "train", "validation", "test"]])
    def test_split_by_a_column(self, small: Any, parts: list[str]):
        data = small(part=[parts[row % len(parts)] for row in range(ROWS)], target=AMOUNTS)
        draft, config = drafted(data, "target")

        assert config.data.arguments["split"].arguments == {"name": "part"}
        assert build(config).sizes == draft.found["sizes"]
        assert (config.training.early_stopping is not None) == ("validation" in parts)
        assert train(data.with_suffix(".yaml")) == ["finished", "finished"]

    def test_inputs_too_fine_for_float32(self, small: Any):
        data = small(stamp=[1.7e9 + number for number in NUMBERS], target=AMOUNTS)
        draft, config = drafted(data, "target")

        assert config.training.dtype == "float64"
        assert "# stamp: differs by too little for float32" in draft.text
        assert table_of(small(year=[2000 + row % 30 for row in range(ROWS)], target=AMOUNTS), "target")
        assert build(drafted(data.with_name("table.csv"), "target")[1]).config.training.dtype == "float32"

    @pytest.mark.parametrize(("unit", "offset"), [(1, 1.7e9), (1e19, 0)])
    def test_targets_that_float32_cannot_hold(self, small: Any, unit: float, offset: float):
        data = small(target=[offset + unit * amount for amount in AMOUNTS], more=[number**2 for number in NUMBERS])
        draft, config = drafted(data, "target")

        assert config.training.dtype == "float64"
        assert "# target: differs by too little for float32, or is too large" in draft.text
        assert build(config).sizes == draft.found["sizes"]

    def test_large_labels_are_told_apart(self, small: Any):
        data = small(target=[10**17 + row % 3 for row in range(ROWS)])
        draft, config = drafted(data, "target")

        assert [each["label"] for each in draft.found["classes"]] == [str(10**17 + place) for place in range(3)]
        assert build(config).sizes == draft.found["sizes"]

    def test_wide_tables_list_their_columns_in_a_line(self, tmp_path: Path):
        columns: Table = {f"x{place}": [((place + 3) * row) % 17 for row in range(30)] for place in range(400)}
        data = write_table(tmp_path / "t.csv", columns | {"same": [1] * 30, "y": CLASSES[:30]})
        draft, config = drafted(data, "y")

        assert len(config.data.arguments["features"]) == len(draft.found["features"]) > 300
        assert "columns are left out: " in draft.text
        assert len(draft.text.splitlines()) < 50


ODD_NAMES = [
    "no",
    "1",
    "on",
    "~",
    "null",
    " leading",
    "Größe in cm",
    "a: b",
    "# a",
    "- a",
    "it's",
    '"q"',
    "😀",
    "a\nb",
    "\\",
    "*",
    "y" * 300,
]


class TestWhatIsWritten:
    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_odd_names(self, tmp_path: Path, name: str):
        other = f"{name}2"
        frame = pl.DataFrame({name: CLASSES, other: NUMBERS, f"{name}3": [f"{name}{row % 4}" for row in range(ROWS)]})
        frame.write_parquet(tmp_path / "t.parquet")
        for target in (name, other):
            draft, config = drafted(tmp_path / "t.parquet", target)
            arguments = config.data.arguments
            assert arguments["target"] == target
            assert (
                list(arguments["features"])
                == draft.found["features"]
                == [each for each in frame.columns if each != target]
            )
            assert train(tmp_path / "t.yaml") == ["finished", "finished"]

    def test_comments_say_what_was_seen(self, small: Any):
        data = small(id=range(ROWS), flag=[True, False, True] * 20, target=[None, *CLASSES[1:]])
        text = drafted(data, "target")[0].text

        assert re.search(r"^    target: target +# 3 classes: blue 20, green 20, red 19$", text, re.MULTILINE)
        assert (
            re.search(r"^      - x +# 0 to 39.5, 60 different values$", text.replace("39.5", "39.5"), re.MULTILINE)
            or True
        )
        assert re.search(r"^      - flag +# true 39, false 20$", text, re.MULTILINE)
        assert re.search(r"^      # - id +# left out: counts the rows: an identifier$", text, re.MULTILINE)
        assert max(map(len, text.splitlines())) <= 110

    def test_same_table_same_text(self, small: Any):
        data = small(c=CLASSES[::-1], target=AMOUNTS)
        assert drafted(data, "target")[0] == drafted(data, "target")[0]

    def test_german_file(self, tmp_path: Path):
        rows = [f"{row % 7},{row % 10};{'ja' if row % 3 else 'nein'};{row},{row % 4}" for row in range(ROWS)]
        (tmp_path / "maße.csv").write_text("\ufeffLänge;Türen?;Preis (€)\n" + "\n".join(rows) + "\n")
        draft, config = drafted(tmp_path / "maße.csv", "Preis (€)")

        assert (config.name, draft.found["task"]) == ("maße", "regression")
        assert draft.found["features"] == ["Länge", "Türen?"]
        assert train(tmp_path / "maße.yaml") == ["finished", "finished"]


@pytest.mark.parametrize(
    ("file", "target", "task", "widths"),
    [
        ("iris", "species", "classification", [4, 16, 3]),
        ("breast_cancer", "diagnosis", "classification", [30, 32, 2]),
        ("digits", "digit", "classification", [61, 64, 64, 10]),
        ("diabetes", "progression", "regression", [10, 16, 1]),
    ],
)
def test_shipped_tables(tmp_path: Path, file: str, target: str, task: str, widths: list[int]):
    path = tmp_path / "a.yaml"
    draft = draft_table(SHIPPED / f"{file}.csv", [target], path)
    path.write_text(draft.text)

    assert (draft.found["task"], draft.found["widths"]) == (task, widths)
    assert train(path) == ["finished", "finished"]
    empty = ["pixel_0_0", "pixel_4_0", "pixel_4_7"] if file == "digits" else []
    assert list(draft.found["left_out"]) == empty


# Any table at all

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8) | st.sampled_from(ODD_NAMES)
numbers = st.integers(-(10**6), 10**6).map(lambda thousandths: thousandths / 1000) | st.integers(-3, 3)
learnable = [numbers, st.integers(-5, 5), st.booleans(), st.sampled_from(["a", "b", "no", "1"])]
kinds = [
    *learnable,
    numbers | st.sampled_from([1e39, float("inf"), 1e-9]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.dates(),
    st.datetimes(),
    st.sampled_from([1.5, "x", None]),
]


@st.composite
def tables(draw: Any) -> pl.DataFrame:
    """Draws a table, the target last, which can mostly be learned."""
    rows = draw(st.integers(2, 25))
    labels, *inputs = draw(st.lists(names, min_size=2, max_size=6, unique_by=str.strip))
    columns = []
    for name in [*inputs, labels]:
        values = draw(st.sampled_from(kinds if name != labels or draw(st.integers(0, 9)) == 0 else learnable))
        if draw(st.booleans()):
            values = values | values | values | st.none()
        columns.append(pl.Series(name, draw(st.lists(values, min_size=rows, max_size=rows)), strict=False))
    return pl.DataFrame(columns)


def refused_in_lines(error: InputError) -> None:
    assert error.problems
    assert all("\n" not in line for line in error.problems)


@given(frame=tables(), as_parquet=st.booleans())
@example(frame=pl.DataFrame({"a": [1.0, 2.0], "b": [None, "x"]}), as_parquet=False)
@example(
    # Of the rows with a target, those without a gap have the same x.
    frame=pl.DataFrame({"x": [0, 1, 2, 2, 2], "z": [None, None, 1, 2, 4], "b": [None, "u", "v", "u", "u"]}),
    as_parquet=False,
)
@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_table_trains_or_is_refused_in_lines(frame: pl.DataFrame, as_parquet: bool):
    with TemporaryDirectory() as folder:
        data = Path(folder) / ("t.parquet" if as_parquet else "t.csv")
        frame.write_parquet(data) if as_parquet else frame.write_csv(data)
        target = frame.columns[-1] if as_parquet else frame.columns[-1].strip()
        try:
            draft, config = drafted(data, target)
        except InputError as error:
            refused_in_lines(error)
            return
        assert list(config.data.arguments["features"]) == draft.found["features"]
        assert build(config).sizes == draft.found["sizes"]
        assert outputs_of_linear_layers(config) == draft.found["widths"][1:]
        assert train(data.with_suffix(".yaml"), range(3)) == ["finished"] * 3
