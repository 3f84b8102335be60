"""A training of no epochs, through all verbs: the initial weights, judged and drawn."""

import csv
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("no_figures")

EARLY_STOPPING = ("-s", "training.validation=0.2", "-s", "training.early_stopping={patience: 2}")
SCHEDULES = ["constant", "cosine", "{step: {step_size: 2}}"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def untrained(minidl, small_file):
    """Trains no epochs, and returns the run folder."""

    def train(verb="train", *options):
        outcome = minidl(verb, small_file, "-s", "training.epochs=0", "--json", *options)
        assert (outcome.code, outcome.err) == (0, "")
        return Path(json.loads(outcome.out)["run"])

    return train


@pytest.mark.figures
def test_run_folder_is_complete(untrained):
    run = untrained()
    assert {path.name for path in run.glob("*.png")} == {"confusion.png", "curves.png", "data.png", "decision.png"}
    assert (run / "metrics.csv").read_text().count("\n") == 1
    assert (run / "curves.csv").read_text().count("\n") == 1
    (row,) = rows(run / "rounds.csv")
    assert (row["status"], row["epochs"]) == ("finished", "0")
    summary = json.loads((run / "summary.json").read_text())
    assert summary["steps"] == 0
    assert summary["final"]["train_mse"]["mean"] == float(row["train_mse"])


def test_weights_are_the_initial_ones(untrained, small_config):
    import torch
    from safetensors.torch import load_file

    from minidl_cli.training.build import build
    from minidl_cli.training.trainer import Trainer

    initial = Trainer(build(small_config()), [0]).network.state()
    found = load_file(untrained() / "weights" / "last.safetensors")
    assert found.keys() == initial.keys()
    assert all(torch.equal(found[name], values) for name, values in initial.items())


def test_eval_repeats_the_summary_and_inspect_shows_the_layers(untrained, minidl):
    run = untrained()
    evaluated = json.loads(minidl("eval", run, "--json").out)
    assert evaluated["final"] == json.loads((run / "summary.json").read_text())["final"]
    assert "1 of 1 round finished" in minidl("eval", run).out
    assert "0 linear" in minidl("inspect", run).out


def test_best_weights_are_the_initial_ones(untrained, minidl):
    run = untrained("train", *EARLY_STOPPING)
    (row,) = rows(run / "rounds.csv")
    assert row["best_epoch"] == "0"
    assert (run / "weights" / "best.safetensors").read_bytes() == (run / "weights" / "last.safetensors").read_bytes()
    assert minidl("eval", run).code == minidl("eval", run, "--weights", "last").code == 0


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_any_schedule(untrained, schedule):
    assert (untrained("train", "-s", f"training.schedule={schedule}") / "summary.json").is_file()


@pytest.mark.figures
def test_variants_are_compared(untrained, minidl):
    options = ("--rounds", "2", "--workers", "1", "--vary", "optimizer.sgd.lr=0.1,0.2", *EARLY_STOPPING)
    run = untrained("sweep", *options, "-s", "sweep.target={test_accuracy: 0.1}")
    assert {path.name for path in run.glob("*.png")} == {
        *("variants.png", "all_rounds.png", "final.png", "clusters.png", "predictions.png")
    }
    variants = sorted((run / "variants").iterdir())
    assert all((each / "clusters.png").is_file() for each in variants)
    outcome = minidl("compare", *variants)
    assert outcome.code == 0
    assert "is identical in all 2 pairs" in outcome.out


def test_rounds_are_those_of_a_sweep_in_processes(untrained):
    alone, together = untrained("sweep", "--rounds", "2", "--workers", "1"), untrained("sweep", "--rounds", "2")
    assert (alone / "rounds.csv").read_text() == (together / "rounds.csv").read_text()


def test_it_says_what_it_did(minidl, small_file):
    outcome = minidl("train", small_file, "-s", "training.epochs=0")
    assert (outcome.code, outcome.err) == (0, "")
    assert "1 of 1 round finished" in outcome.out
