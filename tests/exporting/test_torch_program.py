"""The exported program runs as it stands, and predicts what minidl predicts."""

import re
import runpy
import subprocess
import sys

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from minidl_cli.data.columns import Column, Columns
from minidl_cli.errors import InputError
from minidl_cli.exporting.torch_program import program, state_dict
from minidl_cli.nn.losses.huber import Huber
from minidl_cli.reference import torch_modules
from minidl_cli.training.build import registry
from tests.components import Case, cases
from tests.exporting.conftest import PLANE, TABLE
from tests.exporting.test_onnx_layers import EXTRA, NUMBERS
from tests.exporting.test_onnx_model import FILLED, SCALED, plane, table


def write(trained, folder):
    """Writes the program with its files, and returns its path."""
    save_file(state_dict(trained), folder / "network.safetensors")
    if trained.scaling:
        save_file(trained.scaling, folder / "scaling.safetensors")
    (folder / "network.py").write_text(program(trained))
    return folder / "network.py"


@pytest.fixture
def run(tmp_path):
    """Returns the names that a round's program defines, without what it does as the main program."""
    return lambda trained: runpy.run_path(str(write(trained, tmp_path)))


@pytest.mark.parametrize("case", cases("layer", EXTRA, Case), ids=str)
def test_a_layer_gives_what_minidl_gives(example, run, case):
    layer = {case.name: case.arguments}
    made = example("training.dtype=float64", model=[{"linear": 7}, layer, {"linear": 2}], columns=NUMBERS)
    found = run(made.trained)["predict"](plane())
    torch.testing.assert_close(found, made.predict(plane()), rtol=1e-12, atol=1e-12)


def test_the_state_loads_strictly_and_has_minidls_names(example, tmp_path):
    made = example(model=[{"linear": 7}, "batch_norm", "relu", {"linear": 2}])
    write(made.trained, tmp_path)
    state = load_file(tmp_path / "network.safetensors")
    network = torch.nn.Sequential(
        torch.nn.Linear(2, 7), torch.nn.BatchNorm1d(7), torch.nn.ReLU(), torch.nn.Linear(7, 2)
    )
    assert network.load_state_dict(state, strict=True).missing_keys == []
    assert state["1.num_batches_tracked"].dtype == torch.int64
    assert state.keys() - made.trained.state.keys() == {"1.num_batches_tracked"}


@pytest.mark.parametrize("fitted", [None, SCALED, FILLED], ids=["raw", "scaled", "filled"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_a_table_give_what_minidl_gives(example, run, fitted, dtype):
    made = example(f"training.dtype={dtype}", "loss=cross_entropy", model=[{"linear": 3}], columns=TABLE, fitted=fitted)
    names, (frame, _) = run(made.trained), table(fitted)
    days = (pl.col("sold") - pl.date(1970, 1, 1)).dt.total_days()
    features = names["encode"](frame.with_columns(days).to_dicts())
    expected = made.predict(TABLE.encode(frame).T)
    assert expected.isfinite().all()
    torch.testing.assert_close(names["predict"](features), expected, rtol=1e-6, atol=1e-6)
    assert names["labels"](expected) == [TABLE.classes[place] for place in expected.argmax(dim=1)]


@pytest.mark.parametrize("loss", sorted(registry().types["loss"]))
def test_predictions_are_linked_and_in_the_targets_own_units(example, run, loss):
    fitted = {"targets.center": [1e3, -1e3], "targets.scale": [1e-2, 1e-3]}
    columns = Columns(PLANE.inputs, ("a", "b"), None)
    made = example(f"loss={loss}", model=[{"linear": 2}, "sigmoid"], columns=columns, fitted=fitted, middle=None)
    names = run(made.trained)
    torch.testing.assert_close(names["predict"](plane()), made.predict(plane()), rtol=1e-6, atol=1e-6)
    assert names["TARGETS"] == ["a", "b"]
    assert "labels" not in names


@pytest.mark.parametrize("middle", [0.5, 0.0])
def test_a_single_output_says_which_of_two_labels(example, run, middle):
    columns = Columns(PLANE.inputs, ("class",), ("no", "yes"))
    model = [{"linear": {"out_features": 1, "bias": False}}]
    made = example(model=model, columns=columns, middle=middle)
    prediction = made.predict(plane())
    found = run(made.trained)["labels"](prediction)
    assert found == ["yes" if each > middle else "no" for each in prediction[:, 0]]
    assert set(found) == {"yes", "no"}


def test_the_calls_are_those_that_older_versions_of_pytorch_know(example):
    text = program(example(model=["batch_norm", {"layer_norm": {"elementwise_affine": False}}, {"linear": 2}]).trained)
    assert re.findall(r"^    nn\.(.*),$", text, re.MULTILINE) == [
        "BatchNorm1d(2, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)",
        "LayerNorm((2,), eps=1e-05, elementwise_affine=False)",
        "Linear(in_features=2, out_features=2, bias=True)",
    ]


NASTY = ['"""', "'", "\\", "\n", "\u202e", "😀", "{x}", "#", "no", "1"]


def test_names_do_no_harm(example, run):
    columns = (*(Column(name) for name in NASTY), Column("c", "category", tuple(NASTY)))
    for inputs in (columns, columns[:-1]):
        made = example(columns=Columns(inputs, ("\n'",), tuple(NASTY[:2])))
        names = run(made.trained)
        assert names["CLASSES"] == NASTY[:2]
        assert [each if isinstance(each, str) else each[0] for each in names["FEATURES"][: len(NASTY)]] == NASTY


PLAIN = Columns(PLANE.inputs, ("species",), ("setosa", "virginica"))


@pytest.mark.parametrize(
    ("columns", "fitted", "features"),
    [
        (PLAIN, None, [0.0, 0.0]),
        (PLAIN, {"inputs.center": [3.0, 4.0], "inputs.scale": [1.0, 2.0]}, [3.0, 4.0]),
        (TABLE, FILLED, [5.0, 1, 0, 0, 0, 1, 0, 19000.0]),
    ],
    ids=["zeros", "centers", "row"],
)
def test_the_program_shows_a_prediction(example, tmp_path, capsys, columns, fitted, features):
    made = example(model=[{"linear": len(columns.classes)}], columns=columns, fitted=fitted)
    runpy.run_path(str(write(made.trained, tmp_path)), run_name="__main__")
    said = capsys.readouterr()
    assert said.err == ""
    assert f"(0): Linear(in_features={len(features)}, out_features={len(columns.classes)}" in said.out
    ((shown, label),) = re.findall(r"^prediction: \[(.*)\]\nlabel: (\w+)$", said.out, re.MULTILINE)
    (expected,) = made.predict(torch.tensor([features]))
    assert list(map(float, shown.split(","))) == pytest.approx(expected.tolist(), rel=1e-5)
    assert label == columns.classes[int(expected.argmax())]


def test_the_program_runs_in_an_interpreter_of_its_own(example, tmp_path):
    path = write(example(columns=TABLE, model=[{"linear": 3}], fitted=FILLED).trained, tmp_path)
    done = subprocess.run([sys.executable, "-W", "error", path], capture_output=True, text=True, check=True, cwd="/")
    assert done.stderr == ""
    assert "\nlabel: " in done.stdout


@pytest.mark.parametrize("center", [float("nan"), float("inf")])
def test_centers_that_are_no_numbers(example, tmp_path, capsys, center):
    fitted = FILLED | {"inputs.center": [center] * len(TABLE.features)}
    made = example(model=[{"linear": 3}], columns=TABLE, fitted=fitted)
    runpy.run_path(str(write(made.trained, tmp_path)), run_name="__main__")
    assert "prediction: [nan, nan, nan]" in capsys.readouterr().out


def test_what_cannot_be_exported_is_told(example, monkeypatch):
    made = example("loss=huber")
    monkeypatch.setattr(Huber, "link_name", "tanh")
    with pytest.raises(InputError, match="loss: huber cannot be exported: minidl knows no form of tanh"):
        program(made.trained)
    monkeypatch.delitem(torch_modules.LAYERS, "tanh")
    for write_part in (program, state_dict):
        with pytest.raises(InputError, match=r"model\.1: tanh cannot be exported: .* no counterpart of it in PyTorch"):
            write_part(made.trained)
