"""Every verb on a run of which a round failed, or all of them."""

import csv
import json
import re
import shutil
from pathlib import Path
from statistics import fmean, median

import pytest

from minidl_cli import sweep
from minidl_cli.runs.folder import Run
from minidl_cli.training.build import load_config
from tests.conftest import SMALL
from tests.failed_rounds import REASON, fail

pytestmark = pytest.mark.usefixtures("no_figures")

NAME, OTHER = "small-20260102-030405-6f7e", "other-20260102-030406-6f7e"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with two finished runs of the seeds 3 to 6, the second with a validation part and early stopping."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "small.yaml").write_text(SMALL)
    (folder / "new.csv").write_text("x1,x2\n0.5,0.5\n0,1\n")
    early = ["training.validation=0.2", "training.early_stopping={monitor: validation_loss, patience: 1}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minidl_cli.sweeps.drawing.draw_figures", lambda *_: None)
        for name, settings in {NAME: [], OTHER: early}.items():
            config = load_config(folder / "small.yaml", ["seed=3", "sweep.rounds=4", *settings])
            sweep(config, runs_dir=folder / "made", workers=1).path.rename(folder / name)
    return folder


@pytest.fixture
def run(minidl, trained, tmp_path):
    """The first of them, of which the round of seed 3 failed after two epochs."""
    for name in (NAME, OTHER):
        shutil.copytree(trained / name, Path("runs", name))
    shutil.copy(trained / "new.csv", ".")
    fail(Run(Path("runs", NAME)), [3], logged=2)
    return Path("runs", NAME)


@pytest.fixture
def none(run):
    """The same run, of which all rounds failed."""
    fail(Run(run), [3, 4, 5, 6])
    return run


def finals(run, column):
    with (run / "rounds.csv").open(newline="") as file:
        return [float(row[column]) for row in csv.DictReader(file) if row[column]]


def test_eval(minidl, run):
    outcome = minidl("eval", run)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.endswith("\n3 of 4 rounds finished\n1 round failed: seed 3\n")
    document = json.loads(minidl("eval", run, "--json").out)
    counts = {"planned": 4, "finished": 3, "diverged": 0, "failed": 1, "diverged_seeds": [], "failed_seeds": [3]}
    assert document["rounds"] == counts
    for name, worst in {"test_accuracy": 0.0, "test_mse": 1e9}.items():
        values, found = finals(run, name), document["final"][name]
        assert len(values) == found["n"] == 3
        assert found["mean"] == pytest.approx(fmean(values), rel=1e-12)
        assert found["median"] == pytest.approx(median([*values, worst]), rel=1e-12)


def test_a_failed_round_is_as_missing_as_a_diverged_one(minidl, run):
    failed = json.loads(minidl("eval", run, "--json").out)
    table = run / "rounds.csv"
    table.write_text(table.read_text().replace("failed", "diverged"))
    diverged = json.loads(minidl("eval", run, "--json").out)
    assert diverged["rounds"]["diverged_seeds"] == failed["rounds"]["failed_seeds"] == [3]
    assert (diverged["final"], diverged["report"]) == (failed["final"], failed["report"])


def test_eval_of_best_weights(minidl, run):
    other = Run(Path("runs", OTHER))
    fail(other, [4, 6])
    for which in ("best", "last"):
        document = json.loads(minidl("eval", other.path, "--weights", which, "--json").out)
        assert {each["n"] for each in document["final"].values()} == {2}


def test_compare_leaves_out_its_pair(minidl, run, trained):
    shutil.copytree(trained / NAME, "whole")
    document = json.loads(minidl("compare", "whole", run, "--json").out)
    whole, failed = document["variants"]
    assert "failures" not in whole["rounds"]
    assert failed["rounds"]["failures"] == [{"seeds": [3], "reason": REASON}]
    for comparison in document["comparisons"]:
        assert (comparison["paired"], comparison["n_a"], comparison["identical"]) == (True, 3, True)
        assert "rounds without a result are left out (1 of " in comparison["conclusion"]


def test_compare_without_pairs(minidl, run):
    for comparison in json.loads(minidl("compare", run, f"runs/{OTHER}", "--json").out)["comparisons"]:
        assert (comparison["paired"], comparison["n_a"], comparison["n_b"]) == (False, 3, 4)
        assert comparison["mean_a"] == pytest.approx(fmean(finals(run, comparison["metric"])), rel=1e-12)


@pytest.mark.parametrize("order", [1, -1])
def test_compare_names_the_seeds_and_the_reason(minidl, run, order):
    outcome = minidl("compare", *[run, f"runs/{OTHER}"][::order], "-o", "comparison")
    assert (outcome.code, outcome.err) == (0, "")
    said = f"1 round failed: seed 3 of {NAME}: {REASON}"
    assert said in " ".join(outcome.out.split())
    assert max(map(len, outcome.out.splitlines()[-2:])) <= 80
    assert f"\n- {said}\n" in Path("comparison/table.md").read_text()
    assert re.search(rf"^{NAME} +3/4 ", outcome.out, re.MULTILINE)


def test_show(minidl, run):
    outcome = minidl("show", run)
    assert (outcome.code, outcome.err) == (0, "")


def test_runs(minidl, run):
    outcome = minidl("runs")
    assert re.search(rf"^{NAME} small +3/4, 1 failed ", outcome.out, re.MULTILINE)
    assert "broken" not in outcome.out


def test_inspect(minidl, run):
    outcome = minidl("inspect", run, "--round", "3")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"seed 3 (failed: all its weights are NaN) of {run}, last weights\n")
    document = json.loads(minidl("inspect", run, "--round", "3", "--json").out)
    assert (document["status"], document["loss"]) == ("failed", None)
    assert json.loads(minidl("inspect", run, "--json").out)["seed"] == 4


def test_predict_and_export_take_those_that_finished(minidl, run):
    predicted = json.loads(minidl("predict", run, "--data", "new.csv", "--json").out)
    assert predicted["rounds"] == [4, 5, 6]
    assert all(None not in row.values() for row in predicted["predictions"])
    assert json.loads(minidl("export", run, "--to", "torch", "--json").out)["seed"] == 4
    for verb in (["predict", run, "--data", "new.csv"], ["export", run, "--to", "torch"]):
        outcome = minidl(*verb, "--round", "3")
        assert (outcome.code, outcome.err) == (2, f"{run}: has no finished round of seed 3\n")


class TestAllFailed:
    def test_eval(self, minidl, none):
        outcome = minidl("eval", none)
        said = "\n0 of 4 rounds finished\n4 rounds failed: seeds 3, 4, 5, 6\n"
        assert (outcome.code, outcome.out, outcome.err) == (0, said, "")

    def test_compare(self, minidl, none):
        outcome = minidl("compare", f"runs/{OTHER}", none)
        assert (outcome.code, outcome.err) == (0, "")
        assert f"4 rounds failed: seeds 3, 4, 5, 6 of {NAME}: {REASON}" in " ".join(outcome.out.split())

    def test_runs_and_show(self, minidl, none):
        assert " 0/4, 4 failed " in minidl("runs").out
        assert minidl("show", none).code == 0

    def test_inspect(self, minidl, none):
        assert minidl("inspect", none).out.startswith("seed 3 (failed: ")

    def test_predict_and_export(self, minidl, none):
        for verb in (["predict", none, "--data", "new.csv"], ["export", none, "--to", "torch"]):
            outcome = minidl(*verb)
            assert (outcome.code, outcome.err) == (2, f"{none}: has no finished round\n")
