"""What a stranger's folder may hold: a list of runs stays a list, and comparing says what is wrong."""

import json

import numpy as np
import pytest

from minidl_cli import compare, evaluate, load_config, sweep
from minidl_cli.errors import InputError
from minidl_cli.runs.listing import list_runs
from minidl_cli.training.prediction import Predictor
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
