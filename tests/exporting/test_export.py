"""`minidl export`, as a user types it."""

import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from minidl_cli.errors import TrainingError
from minidl_cli.exporting import verification
from minidl_cli.exporting.export import export
from minidl_cli.exporting.verification import session
from minidl_cli.runs.folder import Run
from minidl_cli.training.prediction import Predictor
from tests.weights import replace_weights

pytestmark = pytest.mark.usefixtures("no_figures")

X = torch.rand(9, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def swept(minidl, small_file):
    """The folder of a run of the seeds 5 to 7."""
    settings = ["-s", "loss=cross_entropy", "-s", "training.validation=0.2", "-s", "model.3=batch_norm"]
    outcome = minidl("sweep", small_file, "--seeds", "5-7", "--workers", "1", "-q", *settings)
    assert outcome.code == 0, outcome.err
    return Path(outcome.out.strip())


def lines(outcome):
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out.splitlines()


def predict_onnx(path):
    return torch.from_numpy(session(path.read_bytes()).run(["prediction"], {"inputs": X.numpy()})[0])


def predict_torch(path):
    return runpy.run_path(str(path))["predict"](X)


def test_onnx(minidl, swept):
    file, verified = lines(minidl("export", "latest", "--to", "onnx"))
    assert Path(file) == swept / "export/network.onnx"
    assert re.fullmatch(r"verified in onnxruntime: largest difference (\de-\d\d|0)", verified)
    torch.testing.assert_close(predict_onnx(Path(file)), Predictor.of(swept).predict(X)[0], rtol=1e-5, atol=1e-5)


def test_torch(minidl, swept):
    files = lines(minidl("export", "latest", "--to", "torch"))
    assert files == [str(swept / "export" / name) for name in ("network.py", "network.safetensors")]
    found = predict_torch(Path(files[0]))
    torch.testing.assert_close(found, Predictor.of(swept).predict(X)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("to", "name", "predict"), [("onnx", "network.onnx", predict_onnx), ("torch", "network.py", predict_torch)]
)
def test_a_round_and_its_weights_are_chosen(minidl, swept, to, name, predict):
    run = Run(swept)
    replace_weights(run, {name: values.numpy() / 2 for name, values in run.weights("last").items()}, "best")
    document = json.loads(
        minidl("export", swept, "--to", to, "--round", "7", "--weights", "best", "-o", "a/b", "--json").out
    )
    assert document["files"][0] == str(Path("a/b", name))
    assert (document["run"], document["seed"], document["weights"], document["to"]) == (str(swept), 7, "best", to)
    assert (document["largest_difference"] is None) == (to == "torch")
    assert not (swept / "export").exists()
    expected = Predictor.of(swept, "best", 7).predict(X)[0]
    others = [*Predictor.of(swept, "best").predict(X)[:2], Predictor.of(swept, "last", 7).predict(X)[0]]
    found = predict(Path("a/b", name))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert all((found - other).abs().max() > 1e-3 for other in others)


def test_numbers_are_exported_too(minidl, small_file):
    settings = ["data=regression_2d", "model.4=linear: 1", "training.dtype=float64"]
    minidl("train", small_file, "-q", *(f"-s{setting}" for setting in settings))
    lines(minidl("export", "latest", "--to", "torch", "-o", "out"))
    lines(minidl("export", "latest", "--to", "onnx", "-o", "out"))
    found = session(Path("out/network.onnx").read_bytes()).run(None, {"inputs": X.double().numpy()})
    expected = Predictor.of(Run.find("latest")).predict(X)[0]
    assert len(found) == 1
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)
    torch.testing.assert_close(predict_torch(Path("out/network.py")), expected, rtol=1e-12, atol=0)


COLOURS = ["red", "green", "blue", ""]
TABLE = """
data: {table: {file: table.csv, target: kind, missing: mean}}
model: [linear: 5, tanh, linear: 3]
loss: cross_entropy
optimizer: {adam: 0.05}
training: {epochs: 5, batch_size: 10}
"""


def test_a_table_is_predicted_as_minidl_predicts_it(minidl, tmp_path):
    cells = [(f"{place % 7}.5" if place % 5 else "", COLOURS[place % 4], f"kind {place % 3}") for place in range(60)]
    rows = ["size,main colour,kind", *map(",".join, cells)]
    Path("table.csv").write_text("\n".join(rows) + "\n")
    Path("table.yaml").write_text(TABLE)
    assert minidl("train", "table.yaml", "-q").code == 0
    file, _ = lines(minidl("export", "latest", "--to", "onnx"))
    predicted = json.loads(minidl("predict", "latest", "--data", "table.csv", "--json").out)["predictions"]
    feed = {
        "inputs": np.array([[float(size or "nan")] for size, _, _ in cells], dtype=np.float32),
        "main_colour": np.array([[colour] for _, colour, _ in cells], dtype=object),
    }
    prediction, labels = session(Path(file).read_bytes()).run(["prediction", "label"], feed)
    assert labels.tolist() == [row["kind"] for row in predicted]
    for place in range(3):
        expected = [row[f"probability_kind {place}"] for row in predicted]
        np.testing.assert_allclose(prediction[:, place], expected, rtol=1e-5, atol=1e-5)


def test_the_first_round_that_finished_is_taken(minidl, swept):
    rounds = swept / "rounds.csv"
    first = rounds.read_text().splitlines()[1]
    diverged = ",".join(["5", "diverged", "1", *[""] * (first.count(",") - 2)])
    rounds.write_text(rounds.read_text().replace(first, diverged))
    assert json.loads(minidl("export", swept, "--to", "onnx", "--json").out)["seed"] == 6
    outcome = minidl("export", swept, "--to", "onnx", "--round", "5")
    assert (outcome.code, outcome.err) == (2, f"{swept}: has no finished round of seed 5\n")


def test_files_are_overwritten(minidl, swept):
    for to in ("onnx", "torch"):
        first = {
            file: Path(file).read_bytes() for file in lines(minidl("export", swept, "--to", to))[:2] if "/" in file
        }
        for file in first:
            Path(file).write_text("something else")
        minidl("export", swept, "--to", to)
        assert {file: Path(file).read_bytes() for file in first} == first
    assert not list((swept / "export").glob(".*"))


def test_a_folder_that_cannot_be_written_is_told(minidl, swept):
    (swept / "export").write_text("a file is in the way")
    outcome = minidl("export", swept, "--to", "torch")
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert outcome.err.startswith(f"{swept / 'export'}: cannot be written: ")
    assert outcome.err.endswith("; choose another folder with -o\n")
    assert minidl("export", swept, "--to", "torch", "-o", "elsewhere").code == 0


def forget(monkeypatch, package):
    """Makes a package one that is not installed."""
    for name in [*sys.modules]:
        if name.partition(".")[0] == package or name.startswith("minidl_cli.exporting."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


def test_without_onnx(minidl, swept, monkeypatch):
    forget(monkeypatch, "onnx")
    outcome = minidl("export", swept, "--to", "onnx")
    assert outcome.code == 2
    assert outcome.err == "exporting to ONNX needs the package onnx: pip install 'minidl-cli[onnx]'\n"
    assert not (swept / "export").exists()
    assert minidl("export", swept, "--to", "torch").code == 0


def test_without_onnxruntime(minidl, swept, monkeypatch):
    forget(monkeypatch, "onnxruntime")
    shown = lines(minidl("export", swept, "--to", "onnx"))
    assert shown[1] == "not verified, as there is no onnxruntime: pip install 'minidl-cli[onnx]'"
    assert json.loads(minidl("export", swept, "--to", "onnx", "--json").out)["largest_difference"] is None
    onnx.checker.check_model(onnx.load(swept / "export/network.onnx"))


def test_another_prediction_in_onnxruntime_is_a_failure(minidl, swept, monkeypatch):
    monkeypatch.setattr(verification, "largest_difference", lambda *_: 0.25)
    outcome = minidl("export", swept, "--to", "onnx")
    file = swept / "export/network.onnx"
    problem = "its predictions in onnxruntime differ from minidl's by 0.2, more than 1e-05"
    assert (outcome.code, outcome.out, outcome.err) == (1, "", f"{file}: was written, but {problem}\n")
    with pytest.raises(TrainingError):
        export(swept, "onnx")


def test_usage(minidl, swept):
    for options, problem in [
        ([], "Missing option '--to'"),
        (["--to", "keras"], "'keras' is not one of 'torch', 'onnx'"),
        (["--to", "onnx", "--round", "4"], "has no finished round of seed 4"),
    ]:
        outcome = minidl("export", swept, *options)
        assert (outcome.code, outcome.out) == (2, "")
        assert problem in outcome.err
