"""`minidl init`, as a user types it, and what comes after."""

import json
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.drafting.tables import AMOUNTS, CLASSES, NUMBERS, ROWS, write_table

SHIPPED = Path(__file__).parents[2] / "configs" / "data"
# So short a training that to compile its steps would take most of the time.
BRIEFLY = ("-s", "training.epochs=2", "-s", "training.compiled=never", "-q")


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    columns: dict[str, Sequence[Any]] = {"id": range(ROWS), "width": NUMBERS, "species": CLASSES}
    return write_table(tmp_path / "flowers.csv", columns)


def test_draft_prints_what_it_saw_and_trains(minidl, flowers):
    outcome = minidl("init", "--data", "flowers.csv", "--target", "species")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        "data      flowers.csv: 60 rows\n"
        "target    species, classification\n"
        "classes   3: blue 20, green 20, red 20\n"
        "features  1: width\n"
        "left out  id counts the rows: an identifier\n"
        "parts     train 48, test 12\n"
        "network   1 → 16 → 3, 83 parameters\n"
        "next: minidl train flowers.yaml\n"
    )
    assert minidl("show", "flowers.yaml").code == 0
    trained = minidl("train", "flowers.yaml", "-q")
    assert (trained.code, trained.err) == (0, "")
    swept = minidl("sweep", "flowers.yaml", "--rounds", "2", "--workers", "1", "-q")
    assert (swept.code, swept.err) == (0, "")


@pytest.mark.parametrize(
    ("file", "target"),
    [("iris", "species"), ("breast_cancer", "diagnosis"), ("digits", "digit"), ("diabetes", "progression")],
)
def test_shipped_tables_train_as_they_are(minidl, file, target):
    assert minidl("init", "--data", SHIPPED / f"{file}.csv", "--target", target).code == 0
    assert minidl("show", f"{file}.yaml").code == 0
    outcome = minidl("train", f"{file}.yaml", *BRIEFLY)
    assert (outcome.code, outcome.err) == (0, "")


def test_next_command_can_be_pasted(minidl, flowers):
    outcome = minidl("init", "--data", flowers, "--target", "species", "-o", "my first try's.yaml")
    *_, train, path = shlex.split(outcome.out.splitlines()[-1])
    assert (train, path) == ("train", "my first try's.yaml")
    assert minidl("train", path, *BRIEFLY).code == 0


def test_next_command_of_a_name_like_an_option(minidl, flowers):
    outcome = minidl("init", "--data", flowers, "--target", "species", "-o", "-f it's.yaml")
    *_, train, path = shlex.split(outcome.out.splitlines()[-1])
    assert (train, path) == ("train", "./-f it's.yaml")
    assert minidl("train", path, *BRIEFLY).code == 0
    introduction = Path("-f it's.yaml").read_text().splitlines()
    assert shlex.split(introduction[2])[:4] == ["#", "minidl", "train", path]


def test_booleans_are_called_as_in_the_table(minidl, tmp_path):
    write_table(tmp_path / "t.csv", {"x": NUMBERS, "y": [row % 3 == 0 for row in range(ROWS)]})
    outcome = minidl("init", "--data", "t.csv", "--target", "y")
    assert "\nclasses   2: false 40, true 20\n" in outcome.out


def test_what_is_printed_fits_a_terminal(minidl, tmp_path):
    columns: dict[str, Sequence[Any]] = {
        f"the column number {place}": [((place + 3) * row) % 17 for row in range(30)] for place in range(50)
    }
    columns |= {f"unit {place}": ["cm"] * 30 for place in range(20)} | {
        "species": [f"species number {row % 15}" for row in range(30)]
    }
    outcome = minidl("init", "--data", write_table(tmp_path / "wide.csv", columns), "--target", "species")
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert len(outcome.out.splitlines()) < 40
    assert re.search(r" and \d+ more\n", outcome.out)
    assert re.search(r"\n          and \d+ more columns; the config names them\n", outcome.out)


def test_json(minidl, flowers):
    outcome = minidl("init", "--data", "flowers.csv", "--target", "species", "-o", "a.yaml", "--json")
    assert json.loads(outcome.out) == {
        "config": "a.yaml",
        "data": "flowers.csv",
        "rows": 60,
        "dropped_rows": 0,
        "task": "classification",
        "targets": ["species"],
        "classes": [{"label": label, "rows": 20} for label in ("blue", "green", "red")],
        "features": ["width"],
        "left_out": {"id": "counts the rows: an identifier"},
        "missing": {},
        "split": {"stratified": {"test": 0.2}},
        "sizes": {"train": 48, "test": 12},
        "widths": [1, 16, 3],
        "parameters": 83,
    }


@pytest.mark.parametrize("labels", [CLASSES, [row % 3 == 1 for row in range(ROWS)], [row % 3 for row in range(ROWS)]])
def test_json_of_any_labels(minidl, tmp_path, labels):
    write_table(tmp_path / "t.csv", {"x": NUMBERS, "y": labels})
    document = json.loads(minidl("init", "--data", "t.csv", "--target", "y", "--json").out)
    assert sorted(each["label"] for each in document["classes"]) == sorted(set(labels))


def test_several_targets(minidl, tmp_path):
    write_table(tmp_path / "t.csv", {"x": NUMBERS, "u": AMOUNTS, "v": NUMBERS[::-1]})
    assert minidl("init", "--data", "t.csv", "--target", "u", "--target", "v").code == 0
    assert minidl("train", "t.yaml", *BRIEFLY).code == 0


def test_template_trains(minidl):
    outcome = minidl("init", "--template", "moons")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        "data      moons, classification\nnetwork   2 → 32 → 32 → 2, 1,218 parameters\nnext: minidl train moons.yaml\n"
    )
    assert minidl("show", "moons.yaml").code == 0
    assert minidl("train", "moons.yaml", *BRIEFLY).code == 0


def test_template_in_json(minidl):
    document = json.loads(minidl("init", "--template", "regression_2d", "-o", "a.yaml", "--json").out)
    assert document == {
        "config": "a.yaml",
        "template": "regression_2d",
        "task": "regression",
        "widths": [2, 32, 32, 1],
        "parameters": 1185,
    }


class TestNothingIsLost:
    @pytest.mark.parametrize("arguments", [["--data", "flowers.csv", "--target", "species"], ["--template", "disc"]])
    def test_file_that_is_there(self, minidl, flowers, arguments):
        Path("mine.yaml").write_text("precious")
        outcome = minidl("init", *arguments, "-o", "mine.yaml")
        assert outcome.code == 2
        assert outcome.err == "mine.yaml: is there already; write another file with -o, or overwrite it with --force\n"
        assert Path("mine.yaml").read_text() == "precious"
        assert minidl("init", *arguments, "-o", "mine.yaml", "--force").code == 0
        assert "precious" not in Path("mine.yaml").read_text()

    def test_link_to_nothing(self, minidl, flowers):
        Path("mine.yaml").symlink_to("elsewhere.yaml")
        assert minidl("init", "--template", "disc", "-o", "mine.yaml").code == 2
        assert Path("mine.yaml").is_symlink()

    @pytest.mark.parametrize("force", [[], ["--force"]])
    def test_the_table_itself(self, minidl, flowers, force):
        before = flowers.read_text()
        outcome = minidl("init", "--data", "flowers.csv", "--target", "species", "-o", "./flowers.csv", *force)
        assert (outcome.code, outcome.err) == (2, "flowers.csv: is the table itself; choose another file with -o\n")
        assert flowers.read_text() == before

    @pytest.mark.parametrize(
        ("output", "problem"),
        [
            ("none/a.yaml", "cannot be written: No such file or directory"),
            (".", "is a folder; name a file in it with -o"),
        ],
    )
    def test_places_that_cannot_be_written(self, minidl, flowers, output, problem):
        outcome = minidl("init", "--template", "disc", "-o", output, "--force")
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err == f"{output}: {problem}\n"

    def test_nothing_is_written_when_something_is_wrong(self, minidl, flowers):
        assert minidl("init", "--data", "flowers.csv", "--target", "speices").code == 2
        assert minidl("init", "--template", "mons").code == 2
        assert [path.name for path in Path().iterdir()] == ["flowers.csv"]


class TestErrors:
    def test_name_that_is_not_utf8(self, minidl, flowers):
        flowers.rename(Path(os.fsdecode(b"fl\xff.csv")))
        outcome = minidl("init", "--data", os.fsdecode(b"fl\xff.csv"), "--target", "species", "-o", "a.yaml")
        assert outcome.code == 2
        assert outcome.err == "fl\\udcff.csv: its name is not in UTF-8, so no config can name it; rename the file\n"

    @pytest.mark.parametrize(
        ("arguments", "line"),
        [
            (["--data", "none.csv", "--target", "y"], "none.csv: cannot be read: No such file or directory"),
            (
                ["--data", "flowers.csv", "--target", "speices"],
                "flowers.csv: no column 'speices'; did you mean 'species'?",
            ),
            (
                ["--data", "flowers.csv"],
                "flowers.csv: say which column to predict with --target, such as --target species; "
                "there are 'id', 'width', 'species'",
            ),
        ],
    )
    def test_a_line_each(self, minidl, flowers, arguments, line):
        outcome = minidl("init", *arguments)
        assert (outcome.code, outcome.out, outcome.err) == (2, "", f"{line}\n")

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ([], "say which table, --data FILE --target COLUMN, or which dataset, --template NAME"),
            (["--target", "y"], "say which table"),
            (["--template", "disc", "--data", "flowers.csv"], "--template has data of its own"),
            (["--template", "disc", "--target", "y"], "--template has data of its own"),
        ],
    )
    def test_usage(self, minidl, flowers, arguments, problem):
        outcome = minidl("init", *arguments)
        assert outcome.code == 2
        assert problem in outcome.err

    def test_target_with_one_class(self, minidl, tmp_path):
        write_table(tmp_path / "t.csv", {"x": NUMBERS, "y": ["a"] * ROWS})
        outcome = minidl("init", "--data", "t.csv", "--target", "y")
        assert (outcome.code, outcome.out) == (2, "")
        assert re.fullmatch("t.csv: column 'y': is a in every row, so there is nothing to learn; .*\n", outcome.err)

    def test_twenty_thousand_categories(self, minidl, tmp_path):
        rows = 20_000
        columns = {
            "name": [f"n{row}" for row in range(rows)],
            "x": [row % 97 for row in range(rows)],
            "y": [row % 2 for row in range(rows)],
        }
        write_table(tmp_path / "t.csv", columns)
        outcome = minidl("init", "--data", "t.csv", "--target", "y")
        assert outcome.code == 0
        assert "left out  name has 20,000 categories, more than max_categories (100)" in outcome.out
        assert minidl("train", "t.yaml", *BRIEFLY).code == 0
        assert minidl("init", "--data", "t.csv", "--target", "name", "--force").err == (
            "t.csv: column 'name': has 20,000 different labels, too many to be classes (100 at most); "
            "name another column with --target\n"
        )
