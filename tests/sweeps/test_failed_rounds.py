"""What is made of runs of which rounds failed: counts, targets, variants, figures."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from minidl_cli import sweep
from minidl_cli.display import sheet
from minidl_cli.errors import InputError
from minidl_cli.runs.folder import RoundRow
from minidl_cli.runs.metrics import Curves
from minidl_cli.sweeps.contrast import Side, contrast
from minidl_cli.sweeps.contrast_results import write_contrast, write_variants
from minidl_cli.sweeps.drawing import draw_figures
from minidl_cli.sweeps.targets import describe_targets
from minidl_cli.training.build import build
from minidl_cli.training.evaluation import count_rounds
from minidl_cli.training.round import Round
from tests.failed_rounds import REASON, fail

pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.fixture
def make(small_config, tmp_path):
    """Returns the run of the small config with overrides; its steps are not compiled, which is no difference here."""
    return lambda *settings: sweep(
        small_config("training.compiled=never", *settings), runs_dir=tmp_path / "runs", workers=1
    )


@pytest.fixture
def draw_from_here_on(monkeypatch):
    """Returns what has figures drawn again, and keeps the names of their files, in the order of their writing."""

    def begin():
        monkeypatch.undo()
        names, write = [], sheet.write_atomically

        def record(path, content):
            write(path, content)
            names.append(path.name)

        monkeypatch.setattr(sheet, "write_atomically", record)
        return names

    return begin


def test_rounds_are_counted_by_how_they_ended():
    assert count_rounds([(5, "failed"), (6, "finished"), (7, "diverged"), (8, "failed")]) == {
        "planned": 4,
        "finished": 1,
        "diverged": 1,
        "failed": 2,
        "diverged_seeds": [7],
        "failed_seeds": [5, 8],
    }


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_round_that_failed_does_not_reach_its_target(status):
    """Whatever it logged before."""
    rows = [RoundRow(0, "finished", 3, {"test_accuracy": 0.9}), RoundRow(1, status, 0, {})]
    curves = Curves([0, 1], [1, 2, 3], {"test_accuracy": np.array([[0.5, 0.9, 0.9], [0.95, 0.95, np.nan]])})
    found = describe_targets({"test_accuracy": 0.9}, rows, curves)["test_accuracy"]
    assert (found["success"]["successes"], found["success"]["n"]) == (1, 2)
    assert found["epochs"] == {"target": 0.9, "reached": 1, "n": 2}  # every quartile lies among those that do not


class TestVariants:
    @pytest.fixture
    def run(self, make):
        """A sweep of the variants lr=0.1 and lr=0.3; of the second the rounds 0 and 2 failed after an epoch."""
        run = make("sweep={vary: {optimizer.sgd.lr: [0.1, 0.3]}, rounds: 3, target: {test_accuracy: 0.1}}")
        fail(run.variant("lr=0.3"), [0, 2], logged=1)
        return run

    def test_summary_and_table(self, run):
        sides = [Side.of(label, variant) for label, variant in run.variants()]
        write_variants(run, sides, contrast(sides))
        summary = run.summary()
        assert summary["rounds"] == {"planned": 6, "finished": 4, "diverged": 0, "failed": 2}
        of = summary["variants"][1]["rounds"]
        assert (of["failed_seeds"], of["failures"]) == ([0, 2], [{"seeds": [0, 2], "reason": REASON}])
        assert summary["variants"][1]["targets"]["test_accuracy"]["success"]["successes"] == 1
        assert {each["n_a"] for each in summary["comparisons"]} == {1}
        table = (run.path / "table.md").read_text()
        assert f"\n- 2 rounds failed: seeds 0, 2 of lr=0.3: {REASON}\n" in table

    def test_figures(self, run, tmp_path, draw_from_here_on):
        written = draw_from_here_on()
        sides = [Side.of(label, variant) for label, variant in run.variants()]
        write_contrast(tmp_path, "variants", sides, contrast(sides))
        kinds = ("all_rounds", "final", "clusters", "predictions", "variants")
        assert written == [f"{kind}.{ending}" for kind in kinds for ending in ("csv", "png")]
        with (tmp_path / "variants.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["label"] == "lr=0.3" and row["panel"] == "test accuracy"]
        assert [(row["epoch"], row["rounds"]) for row in rows] == [("1", "3"), ("2", "1"), ("3", "1")]

    @pytest.mark.parametrize("failures", ["1", "[1]", "[{}]", '[{"seeds": 1, "reason": ""}]', '[{"seeds": ["x"]}]'])
    def test_damaged_failures_are_told(self, run, failures):
        path = run.variant("lr=0.3").path / "summary.json"
        path.write_text(path.read_text().replace('"failures": [', f'"failures": {failures}, "others": ['))
        with pytest.raises(InputError, match=r"summary\.json: is not a run's summary"):
            Side.of("b", run.variant("lr=0.3"))


def test_curves_of_rounds_that_failed_may_be_the_longest(make):
    run = make("sweep.rounds=2")
    fail(run, [0, 1], logged=2)
    assert Side.of("a", run).curves.epochs == [1, 2]


def test_curves_have_a_round_as_far_as_it_came_and_are_drawn_last(make, small_config, tmp_path, draw_from_here_on):
    run = make("sweep.rounds=4")
    written = draw_from_here_on()
    curves, weights = run.curves(3), run.weights()
    for values in curves.values.values():
        values[0, 1:] = np.nan
    rounds = [
        Round(row.seed, "finished", 3, {key: each[place].numpy() for key, each in weights.items()}, metrics=row.metrics)
        for place, row in enumerate(run.round_rows())
    ]
    nothing = {name: np.full_like(values, np.nan) for name, values in rounds[0].weights.items()}
    rounds[0] = Round(0, "failed", 0, nothing)
    log = SimpleNamespace(epochs=curves.epochs, values=curves.values)
    draw_figures(run, build(small_config()), rounds, log, run.summary()["report"])
    kinds = ("clusters", "confusion", "data", "decision", "curves")
    assert written == [f"{kind}.{ending}" for kind in kinds for ending in ("csv", "png")]
    with (run.path / "curves.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] == "test" and row["panel"] == "accuracy"]
    assert [row["rounds"] for row in rows] == ["4", "3", "3"]
    for row, column in zip(rows, curves.values["test_accuracy"].T, strict=True):
        assert float(row["median"]) == pytest.approx(np.nanmedian(column), rel=1e-12)
