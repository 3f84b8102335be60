"""Runs that learn numbers, as a user types them: no accuracy anywhere, and errors in its place."""

import csv
import json
import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from minidl_cli.display import figures

SURFACE = """
data:
  regression_2d: {train: 60, test: 40}
model: [linear: 7, tanh, linear: 1]
loss: mse
optimizer: {adam: 0.02}
training: {epochs: 4, batch_size: 20, compiled: never}
"""

# Numbers of 0 to 1000, which depend on where a point lies, and which part of the table it is in.
TABLE = "width,height,price\n" + "".join(
    f"{place % 7},{place % 11},{100 * (place % 7) + 10 * (place % 11)}\n" for place in range(60)
)
OF_TABLE = """
data:
  table: {file: FILE, target: [price], scale_target: true, split: {random: 0.3}}
model: [linear: 7, tanh, linear: 1]
loss: mse
optimizer: {adam: 0.02}
training: {epochs: 4, batch_size: 20, compiled: never}
sweep: {rounds: 3}
"""


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Leaves out the pictures, but not the tables beside them."""
    monkeypatch.setattr(Figure, "savefig", lambda self, file, **_: None)


@pytest.fixture
def surface(tmp_path):
    path = tmp_path / "surface.yaml"
    path.write_text(SURFACE)
    return path


@pytest.fixture
def sweep(minidl, surface):
    """Sweeps the surface in this process, and returns the run's folder and what was printed."""

    def sweep(*arguments):
        outcome = minidl("sweep", surface, "--workers", "1", "--rounds", "3", *arguments)
        assert outcome.code == 0, outcome.err
        assert "acc" not in outcome.out + outcome.err
        return max(Path("runs").iterdir(), key=lambda path: path.stat().st_mtime_ns), outcome

    return sweep


def panels(path):
    with path.open() as file:
        return list(dict.fromkeys(row["panel"] for row in csv.DictReader(file)))


def test_train_says_mse_and_mae(minidl, surface):
    outcome = minidl("train", surface)
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["MSE", "MAE"]
    assert [line.split()[0] for line in lines[1:3]] == ["train", "test"]
    progress = outcome.err.splitlines()[-1]
    assert re.fullmatch(r"100%  1 round  epoch 4  train loss 0\.\d{4}  test MSE 0\.\d{4}  \d+\.\d s", progress)
    (run,) = Path("runs").iterdir()
    assert not {"clusters.png", "data.png", "decision.png"} & {path.name for path in run.iterdir()}


def test_last_epoch_is_what_progress_says_it_is(minidl, surface):
    """Between logged epochs nothing is known of the test samples."""
    lines = minidl("train", surface, "-s", "training.log_every=3").err.splitlines()
    assert ["test MSE" in line for line in lines] == [False, False, True, True]


@pytest.mark.parametrize("compiled", ["never", "auto"])
def test_curves_and_clusters(sweep, compiled):
    run, _ = sweep("-s", f"training.compiled={compiled}")
    assert panels(run / "curves.csv") == ["loss (mse)", "MAE"]
    assert (run / "clusters.csv").read_text().startswith("label,round,loss,error\nsurface,0,")
    with (run / "clusters.csv").open() as clusters, (run / "rounds.csv").open() as rounds:
        for point, row in zip(csv.DictReader(clusters), csv.DictReader(rounds), strict=True):
            assert (point["loss"], point["error"]) == (row["train_mse"], row["test_mse"])


def test_another_loss_has_the_mse_beside_it(sweep):
    run, outcome = sweep("-s", "loss=l1")
    assert panels(run / "curves.csv") == ["loss (l1)", "MSE"]
    assert re.search(r"^test loss +0\.", outcome.out, re.MULTILINE)


def test_targets_of_errors(sweep):
    _, outcome = sweep("-s", "sweep.target={test_mse: 0.5, test_mae: 0.000001}")
    assert "\ntest MSE 0.5: 3 of 3 rounds end there" in outcome.out
    assert "\ntest MAE 1e-06: 0 of 3 rounds end there" in outcome.out


def test_early_stopping_by_mae(sweep):
    run, _ = sweep("-s", "training.validation=0.2", "-s", "training.early_stopping={monitor: validation_mae}")
    assert (run / "weights/best.safetensors").exists()


def test_variants(sweep):
    run, outcome = sweep("--vary", "loss=mse,huber", "-s", "sweep.target={test_mae: 0.5}")
    headings = outcome.out.splitlines()[0].split()
    assert headings == ["rounds", "train", "MSE", "CV", "test", "MSE", "CV", "time"]
    assert re.search(r"^test MSE +median +middle half's mean", outcome.out, re.MULTILINE)
    assert re.search(r"^huber +0\.5 +3 of 3 ", outcome.out, re.MULTILINE)
    sentences = " ".join(outcome.out.split())
    assert re.search(r"test MSE.*test MAE.*train MSE.*with so few rounds", sentences)
    assert panels(run / "variants.csv")[:3] == ["train loss (of several kinds)", "train MSE", "train MAE"]
    assert panels(run / "all_rounds.csv") == ["training loss (of several kinds)", "test MSE"]
    assert panels(run / "final.csv") == ["final training MSE", "final test MSE"]
    assert (run / "clusters.csv").read_text().startswith("label,round,loss,error\nmse,0,")
    assert not (run / "predictions.png").exists()


def test_versus_torch(sweep):
    run, _ = sweep("--versus", "torch", "-s", "training.dtype=float64")
    assert panels(run / "variants.csv") == ["train loss (mse)", "train MAE", "test loss (mse)", "test MAE"]
    final = [each["final"] for each in json.loads((run / "summary.json").read_text())["variants"]]
    for metric in ("test_mse", "test_mae"):
        assert final[0][metric]["mean"] == pytest.approx(final[1][metric]["mean"], rel=1e-9)


def test_eval_and_inspect(minidl, sweep):
    run, outcome = sweep()
    shown = minidl("eval", run).out
    assert re.findall(r"^(?:train|test) M.*", shown, re.M) == re.findall(r"^(?:train|test) M.*", outcome.out, re.M)
    batch, one = minidl("inspect", run).out, minidl("inspect", run, "--sample", "3").out
    assert re.search(r"^samples 0 to 9 of train: loss 0\.\d{4}$", batch, re.MULTILINE)
    assert re.search(r"^sample 3 of train: loss 0\.\d{4}$", one, re.MULTILINE)
    assert re.search(r"^  targets +-?\d\.\d{4}\n  prediction +-?\d\.\d{4}$", one, re.MULTILINE)


def test_runs_of_both_kinds_are_listed(minidl, sweep, small_file):
    run, _ = sweep()
    minidl("train", small_file, "-q")
    heading, *rows = minidl("runs").out.splitlines()
    assert heading.split() == ["run", "config", "rounds", "accuracy", "MSE", "made"]
    cells = {row.split()[0].partition("-")[0]: row for row in rows}
    accuracy = heading.index("MSE") - 2
    assert re.search(r"3/3 +0\.\d{3}±0\.\d{3} ", cells["surface"])
    assert cells["surface"][heading.index("rounds") + 6 : heading.index("accuracy")].strip() == ""
    assert re.search(r"1/1 +0\.\d{3} +0\.\d{3} ", cells["small"][: accuracy + 20])
    listed = {each["config"]: each["final"] for each in json.loads(minidl("runs", "--json").out)}
    assert listed["surface"]["test_accuracy"] == {}
    assert (
        listed["surface"]["test_mse"]["mean"]
        == json.loads((run / "summary.json").read_text())["final"]["test_mse"]["mean"]
    )


def test_compare_with_another_regression(minidl, sweep):
    (first, _), (second, _) = sweep(), sweep("--name", "faster", "-s", "optimizer.adam.lr=0.05")
    outcome = minidl("compare", first, second, "-o", "out")
    assert outcome.code == 0
    assert "test MAE" in outcome.out
    assert "paired over 3 seeds" in " ".join(outcome.out.split())
    assert "|  | rounds | train MSE | CV | test MSE | CV | time |" in Path("out/table.md").read_text()


def test_compare_with_a_classification(minidl, sweep, small_file):
    run, _ = sweep()
    other = Path(minidl("train", small_file, "-q").out.strip())
    outcome = minidl("compare", run, other, "-o", "out")
    said = "- there is nothing to compare: surface predicts a number (y), but small a class\n"
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.endswith(said)
    assert Path("out/table.md").read_text().endswith(said)
    assert outcome.out.count("\n- ") == 1
    assert json.loads(Path("out/comparison.json").read_text())["comparisons"] == []
    assert panels(Path("out/final.csv")) == ["final training MSE", "final test MSE"]


def test_variants_of_both_kinds(minidl, surface):
    """The numbers of one and the class of the other come from a network of one output."""
    outcome = minidl("sweep", surface, "--workers", "1", "-q", "--rounds", "2", "--vary", "data=disc,regression_2d")
    assert (outcome.code, outcome.err) == (0, "")
    summary = json.loads((Path(outcome.out.strip()) / "summary.json").read_text())
    assert summary["headline"] == "test_mse"
    assert [each["b"] for each in summary["incomparable"]] == ["regression_2d"]


class TestTables:
    """Runs on a file, whose errors are in the units of its target, and whose content decides what is compared."""

    @pytest.fixture
    def run(self, minidl, tmp_path):
        """Trains on a table in a file of this name, and returns the run's folder."""

        def run(name, file="prices.csv", content=TABLE, *settings):
            (tmp_path / file).write_text(content)
            config = tmp_path / f"{name}.yaml"
            config.write_text(OF_TABLE.replace("FILE", file))
            outcome = minidl("sweep", config, "--workers", "1", "-q", *settings)
            assert (outcome.code, outcome.err) == (0, "")
            return Path(outcome.out.strip())

        return run

    @staticmethod
    def compared(minidl, *runs):
        outcome = minidl("compare", *runs, "--json")
        assert (outcome.code, outcome.err) == (0, "")
        return json.loads(outcome.out)

    def test_loss_of_scaled_targets_is_not_the_mse(self, minidl, run):
        path = run("prices")
        assert panels(path / "curves.csv") == ["loss (mse)", "MSE"]
        shown = minidl("eval", path).out
        assert re.search(r"^train loss +\d\.\d{4} ", shown, re.MULTILINE)
        assert re.search(r"^train MSE +[\d,]{4,}", shown, re.MULTILINE)

    def test_the_same_content_elsewhere_is_the_same_data(self, minidl, run):
        document = self.compared(minidl, run("a"), run("b", "copy.csv"))
        assert list(document["differences"]) == ["data.table.file"]
        assert all(each["paired"] and each["identical"] for each in document["comparisons"])

    def test_another_content_of_the_same_file_is_other_data(self, minidl, run):
        first = run("a")
        document = self.compared(minidl, first, run("b", content=TABLE.replace("\n0,", "\n0.5,")))
        ((said, sums),) = document["differences"].items()
        assert said == f"SHA-256 of {Path('prices.csv').resolve()}"
        assert sums["a"] != sums["b"]
        assert not any(each["paired"] for each in document["comparisons"])
        assert all("their data differ" in each["conclusion"] for each in document["comparisons"])

    def test_runs_whose_file_has_gone_are_compared(self, minidl, run, tmp_path):
        runs = run("a"), run("b", "prices.csv", TABLE, "-s", "optimizer.adam.lr=0.05")
        (tmp_path / "prices.csv").unlink()
        assert len(self.compared(minidl, *runs)["comparisons"]) == 3
        assert minidl("compare", *runs, "-o", "out").code == 0

    def test_plane_of_a_table_shows_each_part_and_the_names_of_its_columns(self, run, monkeypatch):
        named, draw = [], figures.draw_decision
        monkeypatch.setattr(
            figures, "draw_decision", lambda *args, **others: (named.append(others), draw(*args, **others))
        )
        rows = "".join(f"{place % 7},{place % 11 or ''},{'ab'[place % 7 > 3]}\n" for place in range(60))
        path = run("plane", "classes.csv", "width,height,price\n" + rows, *CLASSES)
        with (path / "data.csv").open() as file:
            parts = [row["panel"] for row in csv.DictReader(file)]
        # Six rows have no height; the others are in one part each.
        assert len(parts) == 54
        assert set(parts) == {"train", "test"}
        assert [each["axis_labels"] for each in named] == [("width", "height")]
        assert len(named[0]["points"]) == parts.count("test")


CLASSES = [
    *("-s", "data.table.target=price", "-s", "data.table.scale_target=false", "-s", "data.table.missing=mean"),
    *("-s", "data.table.split={random: 0.3}", "-s", "model.2.linear=2", "-s", "loss=cross_entropy"),
]
