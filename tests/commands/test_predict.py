"""`minidl predict` and `minidl eval --data`: trained networks on tables that they have not seen."""

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from numpy.typing import NDArray

from minidl_cli.training.prediction import Predictor

ROWS = 40
CONFIG = """
data: {table: {file: train.csv, target: kind, features: [a, b, c], missing: mean}}
data_seed: round
model: [linear: 4, tanh, linear: 3]
loss: cross_entropy
optimizer: {adam: 0.05}
training: {epochs: 3, batch_size: 10}
"""


def table(rows: int, seed: int) -> dict[str, NDArray[np.generic]]:
    """Returns columns: two numbers, a text, a class, a number to predict, and an id."""
    numbers = np.random.default_rng(seed)
    columns = {"a": numbers.normal(5, 3, rows).round(3), "b": numbers.normal(-100, 20, rows).round(3)}
    columns |= {"c": numbers.choice(["x", "y", "z"], rows), "kind": numbers.choice(["p", "q", "r"], rows)}
    return columns | {"u": columns["a"] * 10 + 1000, "id": np.array([f"row {place}" for place in range(rows)])}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Returns a folder with runs of three rounds, of a class and of a number, and the table that made them."""
    from minidl_cli import load_config, sweep

    folder = tmp_path_factory.mktemp("runs")
    pl.DataFrame(table(ROWS, seed=0)).write_csv(folder / "train.csv")
    configs = {"classes": CONFIG, "numbers": CONFIG.replace("kind", "u").replace("linear: 3", "linear: 1")}
    configs["numbers"] = (
        configs["numbers"].replace("cross_entropy", "mse").replace("mean}", "mean, scale_target: true}")
    )
    for name, text in configs.items():
        (folder / f"{name}.yaml").write_text(text)
        run = sweep(load_config(folder / f"{name}.yaml", ["sweep.rounds=3"]), runs_dir=folder)
        run.path.rename(folder / name)
    (folder / "train.csv").rename(folder / "moved.csv")  # it is not needed any more
    return folder


@pytest.fixture
def new(tmp_path) -> Path:
    """Returns a table of rows that no network has seen, with what else people have in their tables."""
    path = tmp_path / "new.csv"
    pl.DataFrame(table(7, seed=1)).write_csv(path)
    return path


def read(text: str) -> pl.DataFrame:
    return pl.read_csv(io.StringIO(text))


def inputs(run: Path, new: Path) -> NDArray[np.float64]:
    """Returns the features of a table as they stand, `[rows, features]`."""
    frame = pl.read_csv(new)
    one_hot = [(frame["c"] == each).cast(pl.Float64) for each in ("x", "y", "z")]
    return np.stack([frame["a"], frame["b"], *one_hot], axis=1)


def test_classes_come_with_the_mean_over_rounds_and_how_far_they_disagree(minidl, runs, new):
    outcome = minidl("predict", runs / "classes", "--data", new)
    assert (outcome.code, outcome.err) == (0, "")
    found = read(outcome.out)
    probabilities = ["probability_p", "probability_q", "probability_r"]
    assert found.columns == ["kind", *probabilities, "disagreement"]
    predictor = Predictor.of(runs / "classes")
    rounds = predictor.predict(pl_tensor(inputs(runs, new))).double().numpy()
    assert_same_digits(found[probabilities].to_numpy(), rounds.mean(axis=0))
    np.testing.assert_allclose(found[probabilities].to_numpy().sum(axis=1), 1, rtol=1e-6)
    best = rounds.mean(axis=0).argmax(axis=1)
    assert found["kind"].to_list() == [("p", "q", "r")[place] for place in best]
    np.testing.assert_allclose(found["disagreement"], (rounds.argmax(axis=2) != best).mean(axis=0))


def assert_same_digits(written: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    """Numbers of a network in single precision are written with all the digits that they have, and no more."""
    np.testing.assert_array_equal(written.astype(np.float32), expected.astype(np.float32))


def pl_tensor(values):
    import torch

    return torch.from_numpy(values)


def test_numbers_come_in_their_own_units_with_their_deviation_over_rounds(minidl, runs, new):
    found = read(minidl("predict", runs / "numbers", "--data", new).out)
    assert found.columns == ["u", "u_std"]
    rounds = Predictor.of(runs / "numbers").predict(pl_tensor(inputs(runs, new))).double().numpy()[:, :, 0]
    assert_same_digits(found["u"].to_numpy(), rounds.mean(axis=0))
    assert_same_digits(found["u_std"].to_numpy(), rounds.std(axis=0, ddof=1))
    assert 800 < found["u"].mean() < 1200


def test_order_and_further_columns_make_no_difference(minidl, runs, new, tmp_path):
    expected = minidl("predict", runs / "classes", "--data", new).out
    pl.read_csv(new).select("c", "id", "b", "a").write_csv(tmp_path / "turned.csv")
    assert minidl("predict", runs / "classes", "--data", tmp_path / "turned.csv").out == expected
    pl.read_csv(new).write_parquet(tmp_path / "new.parquet")
    assert minidl("predict", runs / "classes", "--data", tmp_path / "new.parquet").out == expected
    rows = [minidl("predict", runs / "classes", "--data", part).out for part in halves(new, tmp_path)]
    assert rows[0] + rows[1].partition("\n")[2] == expected


def halves(new: Path, folder: Path) -> list[Path]:
    paths = [folder / "first.csv", folder / "second.csv"]
    frame = pl.read_csv(new)
    frame[:3].write_csv(paths[0])
    frame[3:].write_csv(paths[1])
    return paths


def test_a_single_round(minidl, runs, new):
    found = read(minidl("predict", runs / "numbers", "--data", new, "--round", "1").out)
    assert found.columns == ["u"]
    rounds = Predictor.of(runs / "numbers").predict(pl_tensor(inputs(runs, new))).double().numpy()
    assert_same_digits(found["u"].to_numpy(), rounds[1, :, 0])
    wrong = minidl("predict", runs / "numbers", "--data", new, "--round", "7")
    assert (wrong.code, wrong.err) == (2, f"{runs / 'numbers'}: has no finished round of seed 7\n")


def test_columns_can_be_kept(minidl, runs, new):
    found = read(minidl("predict", runs / "classes", "--data", new, "--keep", "id", "--keep", "a").out)
    assert found.columns[:3] == ["id", "a", "kind"]
    assert found["id"].to_list() == [f"row {place}" for place in range(7)]
    assert found["a"].to_list() == pl.read_csv(new)["a"].to_list()
    wrong = minidl("predict", runs / "classes", "--data", new, "--keep", "kind")
    assert wrong.code == 2
    assert wrong.err == f"{new}: column 'kind': a predicted column has the same name; rename it, or do not keep it\n"


def test_writes_files(minidl, runs, new, tmp_path):
    expected = minidl("predict", runs / "classes", "--data", new).out
    outcome = minidl("predict", runs / "classes", "--data", new, "-o", "out.csv")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "7 rows: out.csv\n")
    assert (tmp_path / "out.csv").read_text() == expected
    minidl("predict", runs / "classes", "--data", new, "-o", "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet").equals(read(expected))
    minidl("predict", runs / "classes", "--data", new, "-o", "out.PARQUET")
    assert (tmp_path / "out.PARQUET").read_bytes() == (tmp_path / "out.parquet").read_bytes()
    outcome = minidl("predict", runs / "classes", "--data", new, "-o", "nowhere/out.csv")
    assert outcome.code == 2
    assert outcome.err.startswith("nowhere/out.csv: cannot be written")


def test_standard_input(minidl, runs, new, monkeypatch):
    expected = minidl("predict", runs / "classes", "--data", new).out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(new.read_bytes())))
    assert minidl("predict", runs / "classes", "--data", "-").out == expected


def test_standard_input_that_is_closed(minidl, runs, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    outcome = minidl("predict", runs / "classes", "--data", "-")
    assert (outcome.code, outcome.err) == (2, "standard input: is closed; name a file with --data\n")


def test_pipes(minidl, runs, new):
    """They can be read only once, and are written to instead of being replaced."""
    expected = minidl("predict", runs / "classes", "--data", new).out
    source, sink = os.pipe()
    os.write(sink, new.read_bytes())
    os.close(sink)
    assert minidl("predict", runs / "classes", "--data", f"/dev/fd/{source}").out == expected
    os.close(source)
    source, sink = os.pipe()
    assert minidl("predict", runs / "classes", "--data", new, "-o", f"/dev/fd/{sink}").code == 0
    os.close(sink)
    with os.fdopen(source) as pipe:
        assert pipe.read() == expected


def test_a_link_stays_a_link(minidl, runs, new, tmp_path):
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert minidl("predict", runs / "classes", "--data", new, "-o", "link.csv").code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == minidl("predict", runs / "classes", "--data", new).out


def test_a_folder_is_no_file(minidl, runs, new, tmp_path):
    outcome = minidl("predict", runs / "classes", "--data", new, "-o", ".")
    assert (outcome.code, outcome.err) == (2, ".: is a folder; name a file in it with -o\n")


def test_labels_that_are_booleans_are_written_as_in_tables(minidl, runs, tmp_path):
    config = CONFIG.replace("kind", "y").replace("[a, b, c]", "[a]").replace("linear: 3", "linear: 2")
    (tmp_path / "c.yaml").write_text(config)
    (tmp_path / "train.csv").write_text("a,y\n" + "1,true\n2,false\n" * 10)
    run = minidl("train", tmp_path / "c.yaml", "-q").out.strip()
    header, *rows = minidl("predict", run, "--data", "train.csv").out.splitlines()
    assert header == "y,probability_false,probability_true"
    assert {row.partition(",")[0] for row in rows} <= {"true", "false"}


@pytest.mark.parametrize(
    ("target", "model", "header"),
    [
        ("[y, y_std]", "linear: 2", "y,y_std_2,y_std,y_std_std"),
        ("disagreement", "linear: 2", "disagreement,probability_u,probability_v,disagreement_2"),
        ("probability_u", "linear: 2", "probability_u,probability_u_2,probability_v,disagreement"),
    ],
)
def test_targets_that_are_called_like_other_predicted_columns_keep_their_names(minidl, tmp_path, target, model, header):
    config = CONFIG.replace("kind", target).replace("[a, b, c]", "[a]").replace("linear: 3", model)
    if "y_std" in target:
        config = config.replace("cross_entropy", "mse")
    (tmp_path / "c.yaml").write_text(config)
    rows = [f"{row},{row % 7},{row % 5 + 0.5},{'uv'[row % 2]},{'uv'[row % 2]}" for row in range(20)]
    (tmp_path / "train.csv").write_text("\n".join(["a,y,y_std,disagreement,probability_u", *rows]))
    run = minidl("sweep", tmp_path / "c.yaml", "-q", "--rounds", 2).out.strip()
    predicted = minidl("predict", run, "--data", "train.csv").out.splitlines()
    assert predicted[0] == header
    if "y_std" not in target:
        assert {row.partition(",")[0] for row in predicted[1:]} <= {"u", "v"}


def test_new_tables_are_written_as_the_config_says(minidl, tmp_path):
    """Where a file's first rows do not tell its marks, the config does, for training and for use."""
    rows = [f"{place};{place * place};{'pq'[place % 2]}" for place in range(1200)] + ["4,5;3,25;p", "1,5;2,5;q"]
    (tmp_path / "german.csv").write_text("\n".join(["a;b;kind", *rows]) + "\n")
    marks = "features: [b], separator: ';', decimal: ','"
    (tmp_path / "c.yaml").write_text(
        CONFIG.replace("train.csv", "german.csv").replace("features: [a, b, c], missing: mean", marks)
    )
    run = minidl("train", "c.yaml", "-q", "-s", "model.2.linear=2", "-s", "training.epochs=1").out.strip()
    outcome = minidl("predict", run, "--data", "german.csv", "--keep", "b")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-2].startswith('"3,25",')
    assert minidl("eval", run, "--data", "german.csv").code == 0


def test_json(minidl, runs, new):
    document = json.loads(minidl("predict", runs / "classes", "--data", new, "--json").out)
    assert document["run"] == str(runs / "classes")
    assert (document["rounds"], document["rows"], len(document["predictions"])) == ([0, 1, 2], 7, 7)
    assert document["predictions"] == read(minidl("predict", runs / "classes", "--data", new).out).to_dicts()
    document = json.loads(minidl("predict", runs / "classes", "--data", new, "--json", "-o", "out.csv").out)
    assert document["output"] == "out.csv"
    assert "predictions" not in document


@pytest.mark.parametrize("case", ["classes", "numbers"])
def test_eval_on_the_rows_of_one_part_gives_that_parts_figures(minidl, runs, tmp_path, case):
    """A round's own test rows, as a table of its own."""
    from minidl_cli import load_config
    from minidl_cli.training.build import build

    shutil.copy(runs / "moved.csv", tmp_path / "train.csv")
    config = yaml.safe_load((runs / case / "config.yaml").read_text())
    config["data"]["table"]["file"] = str(tmp_path / "train.csv")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    rows = build(load_config(tmp_path / "config.yaml")).dataset.draw(1)["test"].rows.tolist()
    pl.read_csv(tmp_path / "train.csv")[rows].write_csv(tmp_path / "test.csv")
    shutil.copytree(runs / case, tmp_path / "run")
    lines = (tmp_path / "run" / "rounds.csv").read_text().splitlines()
    others = [line.replace("finished", "diverged") for line in (lines[1], lines[3])]
    (tmp_path / "run" / "rounds.csv").write_text("\n".join([lines[0], others[0], lines[2], others[1], ""]))
    outcome = minidl("eval", tmp_path / "run", "--data", tmp_path / "test.csv", "--json")
    found = json.loads(outcome.out)
    measured = dict(zip(lines[0].split(","), lines[2].split(","), strict=True))
    for name, summary in found["final"].items():
        assert summary["mean"] == pytest.approx(float(measured[name.replace("data_", "test_")]), rel=1e-5)
    assert found["report"].keys() == {"data"}


def test_eval_prints_metrics_and_report(minidl, runs, new):
    outcome = minidl("eval", runs / "classes", "--data", new)
    assert outcome.code == 0
    for text in ("data accuracy", "data, macro", "balanced accuracy", "ROC AUC", "true \\ predicted", "3 of 3 rounds"):
        assert text in outcome.out
    wrong = minidl("eval", runs / "classes", "--data", new, "--split", "test")
    assert (wrong.code, "exclude each other" in wrong.err) == (2, True)


def test_eval_needs_the_data_as_they_were(minidl, runs, tmp_path):
    """Another file under the same path would be divided into other parts."""
    shutil.copytree(runs / "classes", tmp_path / "run")
    data = tmp_path / "train.csv"
    for name in ("config.yaml", "environment.json"):
        path = tmp_path / "run" / name
        path.write_text(path.read_text().replace(str(runs / "train.csv"), str(data)))
    missing = minidl("eval", tmp_path / "run")
    assert (missing.code, missing.err) == (2, f"{data}: cannot be read: No such file or directory\n")
    shutil.copy(runs / "moved.csv", data)
    assert minidl("eval", tmp_path / "run").code == 0
    data.write_text(data.read_text().replace("row 3", "row three"))
    for verb in ("eval", "inspect"):
        changed = minidl(verb, tmp_path / "run")
        assert changed.code == 2
        assert changed.err.startswith(f"{data}: has changed since")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("a,b,c", "a,bb,c"), "no column 'b'; did you mean 'bb'?"),
        (("a,b,c", "a,b,c,a"), "two columns are called 'a'"),
        (("row 2", "row 2\nx,1,y,p,1,more"), "line 5, column 'a': 'x' is not a number"),
        (("row 2", "row 2\ninf,1,y,p,1,more"), "line 5, column 'a': the number is infinite, or beyond 3e+38; correct"),
        (("row 2", "row 2\n1e39,1,y,p,1,more"), "line 5, column 'a': the number is infinite, or beyond 3e+38; correct"),
    ],
)
def test_what_is_wrong_gets_one_line(minidl, runs, new, change, problem):
    new.write_text(new.read_text().replace(*change))
    outcome = minidl("predict", runs / "classes", "--data", new)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert outcome.err.startswith(f"{new}: {problem}")


def test_gaps_are_filled_as_in_training(minidl, runs, new, tmp_path):
    """A gap in a round is its own training rows' mean."""
    frame = pl.read_csv(new).with_columns(pl.when(pl.int_range(pl.len()) == 2).then(None).otherwise("a").alias("a"))
    frame.write_csv(tmp_path / "gap.csv")
    found = read(minidl("predict", runs / "classes", "--data", tmp_path / "gap.csv", "--round", "0").out)
    predictor = Predictor.of(runs / "classes", seed=0)
    fill = float(predictor.weights["inputs.fill"][0, 0])
    frame.with_columns(pl.col("a").fill_null(fill)).write_csv(tmp_path / "filled.csv")
    filled = read(minidl("predict", runs / "classes", "--data", tmp_path / "filled.csv", "--round", "0").out)
    assert found.equals(filled)


def test_unknown_categories_are_said_and_count_as_none(minidl, runs, new, tmp_path):
    lines = new.read_text().splitlines()
    known = [line.split(",") for line in lines]
    known[1][2] = "new [/x]"
    new.write_text("\n".join(map(",".join, known)) + "\n")
    outcome = minidl("predict", runs / "classes", "--data", new)
    assert outcome.code == 0
    problem = "1 value is none of the categories in training ('new [/x]'); it counts as none at all"
    assert outcome.err == f"warning: {new}: column 'c': {problem}\n"
    known[2][2] = "newer"
    new.write_text("\n".join(map(",".join, known)) + "\n")
    problem = "2 values are none of the categories in training ('new [/x]', 'newer'); they count as none at all"
    assert minidl("predict", runs / "classes", "--data", new).err == f"warning: {new}: column 'c': {problem}\n"


def test_unknown_classes_and_missing_targets_cannot_be_measured(minidl, runs, new):
    text = new.read_text()
    new.write_text(text.replace(",q,", ",s,", 1))
    outcome = minidl("eval", runs / "classes", "--data", new)
    assert outcome.code == 2
    assert "'s' is none of the classes that the network knows: 'p', 'q', 'r'" in outcome.err
    new.write_text(text.replace(",q,", ",,", 1))
    outcome = minidl("eval", runs / "classes", "--data", new)
    assert (outcome.code, "there is no value" in outcome.err) == (2, True)


def test_labels_that_single_precision_cannot_tell_apart(minidl, tmp_path):
    """The network itself is in single precision."""
    config = CONFIG.replace("kind", "y").replace("[a, b, c]", "[a]").replace("linear: 3", "linear: 2")
    (tmp_path / "c.yaml").write_text(config)
    (tmp_path / "train.csv").write_text("a,y\n" + "1,100000001\n2,100000002\n" * 10)
    run = minidl("train", tmp_path / "c.yaml", "-q").out.strip()
    report = json.loads(minidl("eval", run, "--data", "train.csv", "--json").out)["report"]["data"]
    assert {label: each["samples"] for label, each in report["classes"].items()} == {
        "100000001": 10,
        "100000002": 10,
    }


@pytest.mark.parametrize("number", ["inf", "1e30"])
def test_numbers_too_large_cannot_be_measured(minidl, runs, new, number):
    new.write_text(f"a,b,c,u\n1,2,x,3\n1,2,x,{number}\n")
    outcome = minidl("eval", runs / "numbers", "--data", new)
    assert outcome.code == 2
    assert outcome.err.startswith(f"{new}: line 3, column 'u': the number is ")


def test_networks_of_drawn_data_predict_too(minidl, small_file, tmp_path):
    run = minidl("train", small_file, "-q").out.strip()
    (tmp_path / "points.csv").write_text("x2,x1\n0.5,0.5\n0,1\n")
    found = read(minidl("predict", run, "--data", "points.csv").out)
    assert found.columns == ["class", "output_0", "output_1"]
    assert found.height == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_the_file_is_read_once(runs, tmp_path, workers):
    """Training goes on where it has been taken away since: workers map what the first process has read."""
    from minidl_cli import load_config
    from minidl_cli.sweeps import sweep as sweeping

    shutil.copy(runs / "moved.csv", tmp_path / "train.csv")
    (tmp_path / "c.yaml").write_text(CONFIG)
    config = load_config(tmp_path / "c.yaml", ["sweep.rounds=3"])
    alone = sweeping.sweep(config, runs_dir=tmp_path / "runs", workers=1)
    job = sweeping.start(config, tmp_path / "runs", workers=workers)
    (tmp_path / "train.csv").unlink()
    for _ in job.records():
        pass
    for name in ("rounds.csv", "weights/last.safetensors"):
        assert (job.run.path / name).read_bytes() == (alone.path / name).read_bytes()


def test_how_many_rows_are_predicted_at_once_changes_no_bit(runs, monkeypatch):
    """Nor how many rounds there are: a round predicts the same alone."""
    from minidl_cli.training import prediction

    numbers = np.random.default_rng(2).normal(0, 30, (1500, 5))
    expected = list(Predictor.of(runs / "classes").blocks(pl_tensor(numbers)))
    monkeypatch.setattr(prediction, "PREDICTED_NUMBERS", 3000)
    blocks = list(Predictor.of(runs / "classes").blocks(pl_tensor(numbers)))
    alone = list(Predictor.of(runs / "classes", seed=1).blocks(pl_tensor(numbers)))
    assert (len(expected), len(blocks), len(alone)) == (1, 6, 2)
    joined = np.concatenate(blocks, axis=1)
    np.testing.assert_array_equal(joined, expected[0])
    np.testing.assert_array_equal(np.concatenate(alone, axis=1)[0], joined[1])


def test_what_cannot_be_fitted_is_found_before_there_is_a_run(minidl, tmp_path):
    """A category of a single row is in the training part of some rounds only."""
    rows = [f"{'rare' if place == 0 else 'usual'},{place / 2},{'pq'[place % 2]}" for place in range(20)]
    (tmp_path / "train.csv").write_text("\n".join(["c,a,kind", *rows]) + "\n")
    (tmp_path / "c.yaml").write_text(CONFIG.replace("features: [a, b, c], missing: mean", "unseen: error"))
    outcome = minidl("sweep", "c.yaml", "--rounds", "20", "-s", "model.2.linear=2")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "no training row has 'rare'" in outcome.err
    assert not list((tmp_path / "runs").glob("*"))
