"""What a stranger's folder may hold: a list of runs stays a list, and comparing and resuming say what is wrong."""

import json
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from minidl_cli import compare, evaluate, load_config, resume, sweep
from minidl_cli.errors import InputError, MinidlWarning
from minidl_cli.runs.listing import list_runs
from minidl_cli.runs.sealed import unseal, write_sealed
from minidl_cli.sweeps import timetable
from minidl_cli.sweeps.sweep import start
from minidl_cli.training.checkpoint import Checkpoint
from minidl_cli.training.prediction import Predictor
from minidl_cli.training.round import Round
from tests.sweeps.contents import results
from tests.weights import replace_weights

HUGE = 10**400


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("text", ["NaN", "Infinity", str(HUGE)], ids=["nan", "infinity", "huge"])
def test_numbers_that_are_none(small_config, tmp_path, text):
    runs = [sweep(small_config("training.epochs=1", f"seed={seed}"), runs_dir=tmp_path) for seed in (0, 1)]
    path = runs[0].path / "summary.json"
    summary = json.loads(path.read_text())
    summary["seconds"] = summary["final"]["test_mse"]["mean"] = "HERE"
    path.write_text(json.dumps(summary).replace('"HERE"', text))
    assert sorted(each["status"] for each in list_runs(tmp_path)) == ["broken", "finished"]
    with pytest.raises(InputError, match=r"summary\.json") as caught:
        compare(*runs)
    assert len(caught.value.problems) == 1


@pytest.fixture
def table_run(tmp_path, no_figures):
    """A run of two rounds on a table with two features, which are scaled."""
    rows = [f"{place / 2},{place * place},{'pq'[place % 2]}" for place in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,kind", *rows]) + "\n")
    (tmp_path / "c.yaml").write_text("""
data: {table: {file: t.csv, target: kind}}
model: [linear: 2]
loss: cross_entropy
optimizer: {sgd: 0.1}
training: {epochs: 1, batch_size: 4}
sweep: {rounds: 2}
""")
    return sweep(load_config(tmp_path / "c.yaml"), runs_dir=tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs.center": np.zeros((2, 1), np.float32)},
        {"inputs.center": np.zeros((2, 3), np.float32)},
        {"inputs.scale": np.array(1.0, np.float32)},
        {"inputs.scale": None},
        {"inputs.center": None},
        {"targets.scale": np.ones((2, 1), np.float32)},
        {"targets.scale": np.ones((2, 2), np.float32), "targets.center": np.ones((2, 2), np.float32)},
        {"classes.weight": np.ones((2, 5), np.float32)},
    ],
    ids=str,
)
def test_what_was_fitted_has_to_fit(table_run, change):
    """Numbers of another shape would be taken for those of all features."""
    weights = {name: values.numpy() for name, values in table_run.weights().items()} | change
    replace_weights(table_run, {name: values for name, values in weights.items() if values is not None})
    with pytest.raises(InputError, match="weights") as caught:
        Predictor.of(table_run)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("content", [[], {"data": []}, {"data": "x"}, {"data": {"t.csv": []}}, {"data": {"t.csv": {}}}])
def test_an_environment_that_is_none(table_run, content):
    table_run.write_json("environment.json", content)
    with pytest.raises(InputError, match=r"environment\.json"):
        evaluate(table_run)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": []},
        {"inputs": "x"},
        {"classes": ["p"]},
        {"classes": ["p", 1]},
        {"classes": [0, 2**70]},
        {"targets": []},
        {"more": 1},
        {"more\nthan\nthat": 1},
        {"more" * 10_000: 1},
        {"inputs": [{"name": "a", "kind": "category", "categories": []}]},
    ],
    ids=str,
)
def test_columns_that_are_none(table_run, change):
    table_run.write_json("columns.json", table_run.columns() | change)
    with pytest.raises(InputError, match=r"columns\.json") as caught:
        Predictor.of(table_run)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [{"classes": ["p", "q", "r"]}, {"classes": None}, {"targets": ["a", "b"], "classes": None}],
    ids=str,
)
def test_classes_that_are_not_the_networks(table_run, change):
    table_run.write_json("columns.json", table_run.columns() | change)
    with pytest.raises(InputError) as caught:
        Predictor.of(table_run)
    assert len(caught.value.problems) == 1


def test_best_weights_that_were_not_kept(table_run):
    with pytest.raises(InputError, match="has no best weights, as there was no validation part; use the last"):
        Predictor.of(table_run, "best")


class TestResume:
    """A seal says that a checkpoint is whole, but anyone can compute one."""

    BEGUN = ("sweep.rounds=2", "training.epochs=5", "training.checkpoint_every=0.0001", "training.compiled=never")
    VALIDATED = ("training.validation=0.2", "training.early_stopping={patience: 4}")

    @pytest.fixture
    def assert_starts_over(self, small_config, tmp_path, monkeypatch, no_figures):
        monkeypatch.setattr(timetable, "COSTS_BETWEEN", 0)

        def check(change, *settings):
            """Assert that a run whose checkpoint was changed is trained from the start, as if nothing had been."""
            config = small_config(*self.BEGUN, *settings)
            job = start(config, tmp_path, workers=1, chunk=2)
            with closing(job.records()) as records:
                assert [next(records).epoch for _ in range(3)] == [1, 2, 3]
            path = job.run.path / "checkpoint/0.checkpoint"
            write_sealed(path, change(Checkpoint.decode(unseal(path.read_bytes()))).encode())
            with pytest.warns(MinidlWarning, match="are trained from the start") as caught:
                assert results(resume(job.run, workers=1)) == results(sweep(config, runs_dir=tmp_path, workers=1))
            assert len(caught) == 1

        return check

    @pytest.mark.parametrize(
        "facts",
        [
            {"stack": []},
            {"stack": [], "stopped": [Round(0, "finished", 2, {"x": np.zeros(3)})]},
            {"stack": [0, 0, 1]},
            {"steps": 10**400},
            {"epoch": 10**15},
            {"stopped": [Round(0, "finished", 2, {})]},
            {"stopped": [Round(0, "finished", 2, {"x": np.zeros(3)})]},
        ],
        ids=str,
    )
    def test_facts(self, assert_starts_over, facts):
        assert_starts_over(lambda saved: replace(saved, **facts), "optimizer={adam: 0.01}")

    def test_a_round_that_stopped_with_other_shapes(self, assert_starts_over):
        def stop(saved):
            names = [name.removeprefix("network.") for name in saved.state if name.startswith("network.")]
            return replace(saved, stopped=[Round(0, "finished", 2, {name: np.zeros(3) for name in names})])

        assert_starts_over(stop)

    @pytest.mark.parametrize("name", ["network.0.weight", "best.weights.0.weight", "best.scores", "optimizer.velocity"])
    def test_arrays(self, assert_starts_over, name):
        assert_starts_over(lambda saved: replace(saved, state=saved.state | {name: np.zeros(3)}), *self.VALIDATED)

    def test_epochs_that_never_were(self, assert_starts_over):
        never = {"best.epochs": np.array([0, -5])}
        assert_starts_over(lambda saved: replace(saved, state=saved.state | never), *self.VALIDATED)

    @pytest.mark.parametrize(
        "moments",
        [
            {"x.y": np.zeros((2, 1))},
            {"0.exp_avg": np.zeros((2, 1))},
            {"0.exp_avg": np.zeros(())},
            {"0.step": np.array([-1, -1], np.float32)},
            None,
        ],
        ids=str,
    )
    def test_moments_of_pytorch(self, assert_starts_over, moments):
        def change(saved):
            return replace(saved, moments={} if moments is None else saved.moments | moments)

        assert_starts_over(change, "framework=torch", "optimizer={adam: 0.01}")
