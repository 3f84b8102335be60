"""`minidl compare`, as a user types it."""

import json
import re
from pathlib import Path

import pytest


@pytest.fixture
def run(minidl, small_file, no_figures):
    """Trains the small config in this process, without figures, and returns the run's folder."""

    def run(*arguments):
        outcome = minidl("sweep", small_file, "--workers", "1", "-q", *arguments)
        assert (outcome.code, outcome.err) == (0, "")
        return Path(outcome.out.strip())

    return run


def test_shows_what_differs_and_whether_it_is_real(minidl, run):
    first, second = run("--rounds", "4"), run("--rounds", "4", "--name", "faster", "-s", "optimizer.sgd.lr=0.3")
    outcome = minidl("compare", first, second.name)
    assert outcome.code == 0
    assert re.search(r"^what differs +in +is *$", outcome.out, re.MULTILINE)
    assert re.search(r"^optimizer\.sgd\.lr +small +0\.1 *\n +faster +0\.3 *$", outcome.out, re.MULTILINE)
    assert re.search(r"^faster +4/4 +0\.\d{4} ± 0\.\d{4} ", outcome.out, re.MULTILINE)
    assert "- the test accuracy of small and faster is identical in all 4 pairs" in outcome.out
    assert "paired over 4 seeds" in " ".join(outcome.out.split())


def test_runs_of_one_name_are_told_by_their_ids(minidl, run):
    first, second = run(), run("-s", "seed=5")
    out = minidl("compare", first, second).out
    assert re.search(rf"^seed +{first.name} +0 *\n +{second.name} +5 *$", out, re.MULTILINE)


def test_equal_configs(minidl, run):
    first, second = run("--rounds", "3"), run("--rounds", "3")
    outcome = minidl("compare", first, second)
    assert outcome.out.startswith("the configs are the same\n")
    assert " ".join(outcome.out.split()).count("is identical in all 3 pairs") == 3


def test_json(minidl, run):
    first, second = run("--rounds", "3"), run("--seeds", "3-5")
    document = json.loads(minidl("compare", first, second, "--json").out)
    assert document.keys() == {"differences", "headline", "variants", "comparisons", "incomparable"}
    assert document["differences"] == {"seed": {first.name: 0, second.name: 3}}
    assert [each["run"] for each in document["variants"]] == [str(first), str(second)]
    assert {each["metric"] for each in document["comparisons"]} == {"test_accuracy", "test_mse", "train_mse"}
    assert {each["paired"] for each in document["comparisons"]} == {False}


@pytest.mark.figures
def test_output_folder(minidl, run):
    first, second = run("--rounds", "2"), run("--rounds", "2", "--name", "other", "-s", "training.batch_size=5")
    outcome = minidl("compare", first, second, "-o", "out/here", "--json")
    assert outcome.code == 0
    names = {path.name for path in Path("out/here").iterdir()}
    drawn = ("variants", "all_rounds", "final", "clusters", "predictions")
    figures = {f"{name}.{kind}" for name in drawn for kind in ("png", "csv")}
    assert names == {"comparison.json", "table.md"} | figures
    assert json.loads(Path("out/here/comparison.json").read_text()) == json.loads(outcome.out)
    assert "| other | 2/2 |" in Path("out/here/table.md").read_text()


def test_sweep_of_variants_is_compared_again(minidl, run):
    swept = run("--vary", "model.1=relu,tanh", "--rounds", "3")
    document, summary = (
        json.loads(minidl("compare", swept, "--json").out),
        json.loads((swept / "summary.json").read_text()),
    )
    assert [each.pop("folder") for each in summary["variants"]] == ["relu", "tanh"]
    assert document == {key: summary[key] for key in document}
    assert minidl("compare", swept / "variants/relu", swept / "variants/tanh").code == 0


def test_mistakes_are_one_line(minidl, run):
    first, unfinished, damaged = run(), run(), run()
    (unfinished / "summary.json").unlink()
    (damaged / "rounds.csv").write_text("seed\nx\n")
    Path("file").write_text("")
    for arguments, problem in [
        ([first], f"there is nothing to compare {first} with; name two runs or more"),
        ([first, first], f"{first.name} is there 2 times; name each run once"),
        ([first, "none"], "none: no such run; `minidl runs` lists those in runs"),
        (
            [first, unfinished],
            f"{unfinished}: has no summary.json: the run has not finished, or was interrupted; "
            f"to go on: minidl train --resume {unfinished}",
        ),
        ([first, damaged], f"{damaged}/rounds.csv: cannot be read: KeyError('status')"),
        ([first, run(), "-o", "file"], "file: is a file; name a folder"),
    ]:
        outcome = minidl("compare", *arguments)
        assert (outcome.code, outcome.out, outcome.err) == (2, "", f"{problem}\n")
    assert "Missing argument 'RUN...'" in minidl("compare").err
