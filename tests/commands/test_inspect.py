"""`minidl inspect`, as a user types it."""

import json
import re
from pathlib import Path

import pytest

from minidl_cli.display.inspection import print_inspection
from minidl_cli.runs.folder import Run
from tests.weights import replace_weights

pytestmark = pytest.mark.usefixtures("no_figures")

WIDE = ["-s", "model=[linear: 123, leaky_relu, linear: 31, layer_norm, sigmoid, linear: 2]"]


@pytest.fixture
def trained(minidl, small_file):
    """The folder of a finished run."""
    return Path(minidl("train", small_file, "-q").out.strip())


def lines(outcome):
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out.splitlines()


def test_statistics_fit_on_a_screen(minidl, trained):
    shown = lines(minidl("inspect", "latest"))
    assert shown[0] == f"seed 0 of {trained}, last weights"
    assert re.fullmatch(r"samples 0 to 9 of train: loss 0\.\d{4}, \d+ right(, wrong: .*)?", shown[1])
    assert re.fullmatch(r"0 linear +7( +-?\d\.\d{4}){4} *", shown[3])
    assert re.fullmatch(r"3 relu +5( +\d\.\d{4}){4} +\d+% +\d+%", shown[6])
    assert re.fullmatch(r"2\.weight +5 x 7( +\d\.\S+){5}", shown[12])
    assert len(shown) <= 20


@pytest.mark.parametrize("scale", [1, 1e-6])
def test_no_line_is_wider_than_a_terminal(minidl, small_file, scale):
    run = Run(Path(minidl("train", small_file, "-q", *WIDE).out.strip()))
    replace_weights(run, {name: scale * values.numpy() for name, values in run.weights().items()})
    for options in ([], ["--batch", "47"], ["--sample", "3"]):
        assert max(map(len, lines(minidl("inspect", "latest", *options)))) <= 80


def test_columns_move_together_where_numbers_are_long(capsys):
    sizes = {"norm": -1e-9, "gradient_norm": -1e-9, "gradient_mean": -1e-9, "gradient_max": -1e-9, "ratio": -1e-9}
    layer = {"layer": "leaky_relu", "outputs": 25, "mean": -1e-9, "std": -1e-9, "min": -1e-9, "max": -1e-9}
    document = {"run": "run", "seed": 0, "status": "finished", "weights": "last", "split": "test", "samples": [0]}
    document |= {"right": [True], "loss": 1e-9, "layers": [layer | {"saturated": 0.5, "dead": 0.0}]}
    print_inspection(document | {"parameters": {"0.weight": sizes | {"shape": [1000, 1000]}}}, exact=False)
    shown = capsys.readouterr().out.splitlines()
    assert shown[3] == "0 leaky_relu      25 -1.00e-09 -1.00e-09 -1.00e-09 -1.00e-09       50%   0%"
    assert max(map(len, shown)) <= 80


def test_values_of_a_sample_are_all_there(minidl, small_file):
    minidl("train", small_file, "-q", *WIDE)
    shown = minidl("inspect", "latest", "--sample", "3").out
    document = json.loads(minidl("inspect", "latest", "--sample", "3", "--json").out)
    block = shown.split("0 linear, 123 outputs\n")[1].split("  dL/dy")[0]
    rows = [line[16:] for line in block.splitlines()]
    values = [float(cell) for row in rows for cell in row.split()]
    assert values == pytest.approx(document["outputs"]["0"][0], abs=5e-5)
    assert "std" in document["layers"][0]
    (prediction,) = re.findall(r"prediction +(.*)", shown)
    assert list(map(float, prediction.split())) == pytest.approx(document["prediction"][0], abs=5e-5)


def test_json_holds_every_tensor(minidl, trained):
    document = json.loads(minidl("inspect", trained, "--json", "--split", "test", "--batch", "4").out)
    assert document["run"] == str(trained)
    assert (document["seed"], document["split"], document["samples"]) == (0, "test", [0, 1, 2, 3])
    assert document["outputs"].keys() == document["output_gradients"].keys() == {"0", "1", "2", "3", "4"}
    assert document["gradients"].keys() == {f"{place}.{name}" for place in (0, 2, 4) for name in ("weight", "bias")}


def test_round_is_chosen_by_its_seed(minidl, small_file):
    run = minidl("sweep", small_file, "--seeds", "5-7", "--workers", "1", "-q").out.strip()
    assert json.loads(minidl("inspect", run, "--json").out)["seed"] == 5
    assert json.loads(minidl("inspect", run, "--json", "--round", "7").out)["seed"] == 7
    outcome = minidl("inspect", run, "--round", "2")
    assert (outcome.code, outcome.err) == (2, f"{run}: has no round of seed 2; its seeds are 5 to 7\n")


def test_round_that_diverged(minidl, small_file):
    settings = ["model=[linear: 7, linear: 5, linear: 2]", "optimizer.sgd.lr=0.8", "training.epochs=4", "seed=2"]
    minidl("train", small_file, "-q", *(f"-s{setting}" for setting in settings))
    outcome = minidl("inspect", "latest")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("seed 2 (diverged) of ")
    assert re.search(r"loss (nan|inf),", outcome.out)
    assert json.loads(minidl("inspect", "latest", "--json").out)["loss"] is None


def test_usage(minidl, trained):
    for options, problem in [
        (["--sample", "47"], "there is no sample 47 in train; its samples are 0 to 46"),
        (["--batch", "0"], "0 is not in the range x>=1"),
        (["--sample", "1", "--batch", "2"], "--sample and --batch exclude each other"),
        (["--split", "none"], "'none' is no part of the data"),
        (["--round", "x"], "'x' is not a valid integer"),
        (["--weights", "best"], "best"),
    ]:
        outcome = minidl("inspect", trained, *options)
        assert (outcome.code, outcome.out) == (2, "")
        assert problem in outcome.err
        assert "Traceback" not in outcome.err


def test_unfinished_and_damaged_runs(minidl, trained):
    weights = trained / "weights/last.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    outcome = minidl("inspect", trained)
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    (trained / "rounds.csv").unlink()
    (trained / "summary.json").unlink()
    outcome = minidl("inspect", trained)
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert "has not finished" in outcome.err
