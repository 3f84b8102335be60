"""The whole ONNX model: a table's own columns go in, predictions and labels come out."""

import json
import re
from datetime import date

import numpy as np
import onnx
import polars as pl
import pytest
import torch

from minidl_cli.data.columns import Column, Columns
from minidl_cli.errors import InputError
from minidl_cli.exporting.onnx_layers import LAYERS
from minidl_cli.exporting.onnx_model import category_inputs, onnx_model
from minidl_cli.exporting.verification import largest_difference, session
from minidl_cli.nn.losses.huber import Huber
from minidl_cli.training.build import registry
from tests.exporting.conftest import PLANE, TABLE

# Of the table's eight features: a category and a boolean are not scaled, and a scale of 0 leaves a feature out.
SCALED = {
    "inputs.center": [5.0, 0, 0, 0, 0, 0, 0, 19000.0],
    "inputs.scale": [0.5, 1, 1, 1, 1, 1, 1, 0.01],
}
FILLED = SCALED | {"inputs.fill": [4.0, 0, 1, 0, 1, 0, 1, 18000.0]}
UNSCALED_TARGET = {"targets.center": [1e6], "targets.scale": [1e-4]}
REGRESSION = Columns(PLANE.inputs, ("price",), None)


def run(trained, feed):
    names = [each.name for each in onnx_model(trained).graph.output]
    found = session(onnx_model(trained).SerializeToString()).run(names, feed)
    return dict(zip(names, found, strict=True))


def plane(samples=20):
    return torch.randn(samples, 2, generator=torch.Generator().manual_seed(1))


def texts(values):
    return np.array([["" if value is None else value] for value in values], dtype=object)


def table(fitted):
    """Returns a table, with gaps where they are filled, and the feed of the model that it stands for."""
    gap = fitted is FILLED
    columns = {
        "Länge (cm)": [5.1, None if gap else 4.9, 6.0, -1.5],
        "2nd colour": ["grün", "red", None if gap else "blue", "violet"],
        "is new": [True, False, True, None if gap else False],
        "label": ["b", "a", "b", None if gap else "a"],
        "sold": [date(2020, 1, 1), date(1970, 1, 2), date(2024, 2, 29), None if gap else date(1969, 12, 31)],
    }
    days = [None if each is None else (each - date(1970, 1, 1)).days for each in columns["sold"]]
    plain = [columns["Länge (cm)"], columns["is new"], days]
    feed = {
        "inputs": np.array(plain, dtype=np.float32).T.copy(),
        "_2nd_colour": texts(columns["2nd colour"]),
        "label_2": texts(columns["label"]),
    }
    return pl.DataFrame(columns), feed


@pytest.mark.parametrize("fitted", [None, SCALED, FILLED], ids=["raw", "scaled", "filled"])
def test_a_table_gives_what_minidl_gives(example, fitted):
    made = example("loss=cross_entropy", model=[{"linear": 5}, "tanh", {"linear": 3}], columns=TABLE, fitted=fitted)
    frame, feed = table(fitted)
    expected = made.predict(TABLE.encode(frame).T)
    found = run(made.trained, feed)
    assert expected.isfinite().all()
    np.testing.assert_allclose(found["prediction"], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["prediction"].sum(axis=1), 1, rtol=1e-5)
    assert list(found["label"]) == [TABLE.classes[place] for place in expected.argmax(dim=1)]
    assert fitted is None or len(set(found["label"])) > 1


def test_a_missing_value_that_is_not_filled_has_no_prediction(example):
    made = example("loss=cross_entropy", model=[{"linear": 3}], columns=TABLE, fitted=SCALED)
    _, feed = table(FILLED)
    assert np.isnan(run(made.trained, feed)["prediction"]).any(axis=1).tolist() == [False, True, True, True]


def test_only_categories(example):
    columns = Columns((Column("a", "category", ("x", "y")), Column("b", "category", ("", "z"))), ("c",), (0, 1))
    made = example(columns=columns)
    expected = made.predict(torch.tensor([[0.0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]]))
    found = run(made.trained, {"a": texts(["y", "x", "q"]), "b": texts(["", "z", "y"])})
    np.testing.assert_allclose(found["prediction"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", sorted(registry().types["loss"]))
def test_predictions_are_linked_and_in_the_targets_own_units(example, loss):
    model = [{"linear": 2}, "sigmoid"] if loss == "bce" else [{"linear": 2}]
    fitted = {"targets.center": [1e3, -1e3], "targets.scale": [1e-2, 1e-3]}
    columns = Columns(PLANE.inputs, ("a", "b"), None)
    made = example(f"loss={loss}", model=model, columns=columns, fitted=fitted, middle=None)
    found = run(made.trained, {"inputs": plane().numpy()})
    assert found.keys() == {"prediction"}
    np.testing.assert_allclose(found["prediction"], made.predict(plane()), rtol=1e-5)


@pytest.mark.parametrize("middle", [0.5, 0.0])
@pytest.mark.parametrize(
    ("classes", "kind"),
    [((False, True), np.bool_), ((3, 7), np.int64), ((0.5, 1.5), np.float64), (("no", "ünknown"), np.object_)],
)
def test_a_single_output_says_which_of_two_labels(example, middle, classes, kind):
    model = [{"linear": {"out_features": 1, "bias": False}}]
    made = example(model=model, columns=Columns(PLANE.inputs, ("class",), classes), middle=middle)
    found = run(made.trained, {"inputs": plane().numpy()})
    predicted = made.predict(plane())[:, 0] > middle
    assert found["label"].tolist() == [classes[int(each)] for each in predicted]
    assert set(found["label"].tolist()) == set(classes)
    assert found["label"].dtype == kind


@pytest.mark.parametrize("samples", [0, 1, 7])
def test_any_number_of_samples(example, samples):
    found = run(example().trained, {"inputs": plane(samples).numpy()})
    assert (found["prediction"].shape, found["label"].shape) == ((samples, 2), (samples,))


@pytest.mark.parametrize(("dtype", "element"), [("float32", "tensor(float)"), ("float64", "tensor(double)")])
def test_numbers_have_the_type_of_the_run(example, dtype, element):
    made = example(f"training.dtype={dtype}", "loss=cross_entropy", columns=TABLE, fitted=FILLED)
    running = session(onnx_model(made.trained).SerializeToString())
    types = {each.name: each.type for each in [*running.get_inputs(), *running.get_outputs()]}
    assert (types["inputs"], types["prediction"], types["label"]) == (element, element, "tensor(string)")


def test_metadata_name_the_columns(example):
    made = example("loss=cross_entropy", model=[{"linear": 3}], columns=TABLE)
    facts = {each.key: json.loads(each.value) for each in onnx_model(made.trained).metadata_props}
    assert facts == {
        "inputs": ["Länge (cm)", "is new", "sold"],
        "categories": {
            "_2nd_colour": {"column": "2nd colour", "values": ["red", "grün", "blue"]},
            "label_2": {"column": "label", "values": ["a", "b"]},
        },
        "targets": ["species"],
        "classes": ["setosa", "virginica", "versicolor"],
    }


def test_inputs_have_names_of_their_own():
    names = ["", "1", "a b", "a.b", "a_b", "a_b_2", "inputs", "prediction", "größe", "Σ"]
    columns = Columns(tuple(Column(name, "category", ("x",)) for name in names), ("y",), None)
    found = category_inputs(columns)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", each) for each in found.values())
    assert found["inputs"] == "inputs_2"


def test_the_same_round_gives_the_same_bytes(example):
    one, other = (onnx_model(example(columns=TABLE, fitted=FILLED).trained) for _ in range(2))
    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)
    onnx.checker.check_model(one, full_check=True)


def test_what_cannot_be_exported_is_told_with_its_place(example, monkeypatch):
    made = example("loss=huber")
    monkeypatch.delitem(LAYERS, "tanh")
    with pytest.raises(InputError, match=r": model\.1: tanh cannot be exported: .* no ONNX nodes for it"):
        onnx_model(made.trained)
    monkeypatch.setattr(Huber, "link_name", "tanh")
    with pytest.raises(InputError, match="loss: huber cannot be exported: minidl knows no form of tanh"):
        onnx_model(example("loss=huber", model=[{"linear": 2}]).trained)


@pytest.mark.parametrize("fitted", [None, SCALED, FILLED], ids=["raw", "scaled", "filled"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_verification_finds_no_difference_in_a_table(example, fitted, dtype):
    made = example(f"training.dtype={dtype}", "loss=cross_entropy", columns=TABLE, fitted=fitted)
    found = largest_difference(onnx_model(made.trained).SerializeToString(), made.trained, made.predict)
    assert found < (1e-5 if dtype == "float32" else 1e-12)


def test_verification_is_relative_to_large_targets_and_to_their_unit(example):
    made = example(model=[{"linear": 1}], columns=REGRESSION, fitted=UNSCALED_TARGET, middle=None)
    model = onnx_model(made.trained).SerializeToString()
    assert largest_difference(model, made.trained, made.predict) < 1e-6
    off = largest_difference(model, made.trained, lambda x: made.predict(x) + 100)
    assert off == pytest.approx(100 / float(made.predict(plane(1000)).max()), rel=0.2)


@pytest.mark.parametrize(("scale", "difference"), [(None, 1e-3), (10.0, 1e-2)])
def test_verification_leaves_small_predictions_their_unit(example, scale, difference):
    fitted = {} if scale is None else {"targets.center": [0.0], "targets.scale": [scale]}
    made = example(model=[{"linear": 1}], columns=REGRESSION, fitted=fitted, middle=None)
    for name in ("0.weight", "0.bias"):
        made.trained.network.state()[name].zero_()
    model = onnx_model(made.trained).SerializeToString()
    found = largest_difference(model, made.trained, lambda x: torch.full((len(x), 1), 1e-3))
    assert found == pytest.approx(difference)


@pytest.mark.parametrize("name", ["0.weight", "0.bias", "inputs.center", "inputs.scale", "inputs.fill"])
def test_verification_finds_every_number_that_is_off(example, name):
    made = example("loss=cross_entropy", model=[{"linear": 3}], columns=TABLE, fitted=FILLED)
    model = onnx_model(made.trained).SerializeToString()
    made.trained.network.state()[name].mul_(1.05)
    assert largest_difference(model, made.trained, made.predict) > 1e-4


def test_verification_of_a_round_that_diverged(example):
    made = example()
    made.trained.network.state()["0.weight"].fill_(torch.nan)
    model = onnx_model(made.trained).SerializeToString()
    assert largest_difference(model, made.trained, made.predict) == 0
    made.trained.network.state()["0.weight"].fill_(0)
    assert largest_difference(model, made.trained, made.predict) == float("inf")
