"""`minidl sweep --vary`, and what the other verbs make of its folder."""

import json
import re
from pathlib import Path

import pytest
import yaml

LINEAR = ["-s", "model=[linear: 7, linear: 5, linear: 2]", "-s", "training.epochs=30"]


@pytest.fixture
def sweep(minidl, small_file, no_figures):
    """Sweeps the small config in this process, without figures."""
    return lambda *arguments: minidl("sweep", small_file, "--workers", "1", *arguments)


@pytest.fixture
def run(sweep):
    """The folder of a sweep of two variants."""
    outcome = sweep("--vary", "model.1=relu,sigmoid", "--rounds", "3", "-q")
    assert (outcome.code, outcome.err) == (0, "")
    return Path(outcome.out.strip())


def test_prints_tables_and_where_the_run_is(sweep):
    outcome = sweep("--vary", "model.1=relu,sigmoid", "--rounds", "3", "-s", "sweep.target={test_accuracy: 0.3}")
    assert outcome.code == 0
    assert re.search(r"^relu +3/3 +0\.\d{4} ± 0\.\d{4} +\d\.\d{3} +0\.\d{4} ± ", outcome.out, re.MULTILINE)
    assert re.search(r"^sigmoid +0\.3 +3 of 3 +0\.4385–1\.0000 +1 \(1–1\)$", outcome.out, re.MULTILINE)
    assert "- the test accuracy of relu and sigmoid is identical in all 3 pairs" in outcome.out
    (run,) = Path("runs").iterdir()
    assert re.search(rf"^6 of 6 rounds finished\ntrained in \d\.\d s\n{run}$", outcome.out, re.MULTILINE)
    assert outcome.err.splitlines()[-1].startswith("100%  sigmoid  epoch 3  train loss 0.")


def test_file_may_say_what_varies(minidl, sweep, small_file):
    small_file.write_text(small_file.read_text() + "sweep: {rounds: 2, vary: {model.1: [relu, tanh]}}\n")
    document = json.loads(sweep("--vary", "optimizer.sgd.lr=0.1,0.2", "--json").out)
    labels = ["relu, lr=0.1", "relu, lr=0.2", "tanh, lr=0.1", "tanh, lr=0.2"]
    assert [each["label"] for each in document["variants"]] == labels
    resolved = yaml.safe_load((Path(document["run"]) / "config.yaml").read_text())
    assert resolved["sweep"]["vary"] == {"model.1": ["relu", "tanh"], "optimizer.sgd.lr": [0.1, 0.2]}
    # Training alone varies nothing.
    trained = json.loads(minidl("train", small_file, "--json").out)
    assert trained["rounds"]["planned"] == 1


def test_run_of_the_resolved_config_has_the_same_variants(minidl, run):
    again = Path(minidl("sweep", run / "config.yaml", "--workers", "1", "-q").out.strip())
    for folder in ("relu", "sigmoid"):
        rounds = [(each / "variants" / folder / "rounds.csv").read_bytes() for each in (run, again)]
        assert rounds[0] == rounds[1]


def test_json_is_the_summary(sweep):
    document = json.loads(sweep("--vary", "seed=0,1", "--json").out)
    run = Path(document.pop("run"))
    assert document == json.loads((run / "summary.json").read_text())
    assert [Path(each["run"]) for each in document["variants"]] == [run / "variants/seed=0", run / "variants/seed=1"]


@pytest.mark.parametrize("verb", ["eval", "inspect"])
def test_verbs_for_one_run_name_a_variant(minidl, run, verb):
    outcome = minidl(verb, run)
    assert outcome.code == 2
    assert outcome.err == f"{run}: is a sweep of variants; name one of them, such as {run}/variants/relu\n"
    assert minidl(verb, run / "variants/relu").code == 0


def test_show_takes_the_sweep_and_its_variants(minidl, run):
    assert " sigmoid " in minidl("show", run / "variants/sigmoid").out
    assert minidl("show", run).code == 0


def test_runs_lists_it_once(minidl, run):
    (listed,) = json.loads(minidl("runs", "--json").out)
    assert (listed["id"], listed["status"]) == (run.name, "finished")
    assert not any(listed["final"].values())
    assert (listed["rounds"]["planned"], listed["rounds"]["finished"]) == (6, 6)
    assert re.search(rf"^{run.name} +small \(2 variants\) +6/6 ", minidl("runs").out, re.MULTILINE)


def test_one_variant_diverges(sweep):
    outcome = sweep("--vary", "optimizer.sgd.lr=0.1,9", "--rounds", "2", *LINEAR)
    assert outcome.code == 0
    assert re.search(r"^lr=9 +0/2 +- +- +- +- ", outcome.out, re.MULTILINE)
    assert "diverged: seeds 0, 1 of lr=9\n\n2 of 4 rounds finished\n" in outcome.out


@pytest.mark.parametrize("form", [[], ["-q"], ["--json"]], ids=str)
def test_all_variants_diverge(sweep, form):
    outcome = sweep("--vary", "optimizer.sgd.lr=8,9", *LINEAR, *form)
    (run,) = Path("runs").iterdir()
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1] == f"every round of every variant diverged ({run} has the records)"
    assert str(run) in outcome.out


def test_versus_torch(sweep):
    document = json.loads(sweep("--versus", "torch", "--rounds", "2", "-s", "training.dtype=float64", "--json").out)
    assert [each["label"] for each in document["variants"]] == ["minidl", "torch"]
    mse = [each["final"]["train_mse"]["mean"] for each in document["variants"]]
    assert mse[0] == pytest.approx(mse[1], rel=1e-9)
    assert document["differences"] == {"framework": {"minidl": "minidl", "torch": "torch"}}


def test_versus_comes_on_top_of_what_varies(sweep):
    document = json.loads(sweep("--versus", "torch", "--vary", "model.1=relu,tanh", "--json").out)
    labels = ["relu, minidl", "relu, torch", "tanh, minidl", "tanh, torch"]
    assert [each["label"] for each in document["variants"]] == labels


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--vary", "optimizer.sgd.lr="], "--vary optimizer.sgd.lr=: write KEY=A,B, such as training.batch_size=10,20"),
        (["--vary", "nope=1,2"], "--vary nope=1,2: nope: unknown key; known here: name, "),
        (["--vary", "training.epochs=1,x"], "--vary training.epochs=1,x: training.epochs: must be a whole number, not"),
        (
            ["-s", f"sweep.vary={{seed: {list(range(40))}, training.epochs: {list(range(26))}}}"],
            "sweep.vary: makes more than 1,000 combinations; vary fewer values",
        ),
        (
            ["-s", "sweep.target={test_acc: 1}"],
            "-s sweep.target={test_acc: 1}: sweep.target.test_acc: unknown metric; known here: train_loss, train_mse",
        ),
        (["-s", "training.early_stopping={patience: 3}"], "training.early_stopping: needs samples to watch; set "),
    ],
)
def test_mistake_is_one_line(sweep, arguments, problem):
    outcome = sweep(*arguments)
    (line,) = outcome.err.splitlines()
    assert (outcome.code, outcome.out) == (2, "")
    assert problem in line
    assert not Path("runs").exists()


def test_versus_something_else(sweep):
    outcome = sweep("--versus", "keras")
    assert outcome.code == 2
    assert "'keras' is not 'torch'" in outcome.err
