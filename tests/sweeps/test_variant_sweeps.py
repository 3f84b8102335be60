"""A sweep of variants: each is the run of its own config, and the folder above compares them."""

import json
from functools import partial

import pytest

from minidl_cli import evaluate, load_config, sweep, train
from minidl_cli.display import figures
from minidl_cli.errors import InputError, MinidlWarning, TrainingError
from minidl_cli.runs.folder import Run
from minidl_cli.sweeps.contrast import contrast, find_sides
from minidl_cli.training.build import variants
from tests.conftest import SMALL, leave_out_figures
from tests.sweeps.contents import read_table, results

VARY = "sweep.vary={model.1: [relu, sigmoid], optimizer.sgd.lr: [0.1, 0.3]}"
FOLDERS = ["relu-lr=0.1", "relu-lr=0.3", "sigmoid-lr=0.1", "sigmoid-lr=0.3"]
LINEAR = ["model=[linear: 7, linear: 5, linear: 2]", "training.epochs=30"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run of four variants of three rounds each, which no test changes."""
    folder = tmp_path_factory.mktemp("variants")
    (folder / "small.yaml").write_text(SMALL)
    settings = [VARY, "sweep.rounds=3", "sweep.target={test_accuracy: 0.4, test_mse: 0.3}"]
    with pytest.MonkeyPatch.context() as patched:
        leave_out_figures(patched)
        return sweep(load_config(folder / "small.yaml", settings), runs_dir=folder / "runs", workers=1)


def test_folder(run):
    assert isinstance(run, Run)
    assert run.has_variants
    assert run.is_finished
    files = {path.name for path in run.path.iterdir()}
    assert files == {"config.yaml", "environment.json", "summary.json", "table.md", "variants"}
    assert sorted(path.name for path in (run.path / "variants").iterdir()) == FOLDERS
    for folder in FOLDERS:
        names = {path.name for path in run.variant(folder).path.iterdir()}
        tables = {"metrics.csv", "rounds.csv"}
        assert (
            names
            == {"columns.json", "config.yaml", "environment.json", "summary.json", "weights", "checkpoint"} | tables
        )


def test_figures(small_config, tmp_path):
    run = sweep(small_config("sweep.vary={seed: [0, 1]}", "training.epochs=10"), runs_dir=tmp_path, workers=1)
    names = {"variants", "variants_end", "all_rounds", "final", "clusters", "predictions"}
    assert {path.name for path in run.path.glob("*.png")} == {f"{name}.png" for name in names}
    assert {path.name for path in run.path.glob("*.csv")} == {f"{name}.csv" for name in names}
    assert (run.variant("seed=0").path / "curves.png").is_file()


def test_variant_is_the_run_of_its_own_config(run, tmp_path, no_figures):
    for folder in FOLDERS:
        variant = run.variant(folder)
        again = sweep(load_config(variant.config_path), runs_dir=tmp_path / "again", workers=1)
        assert results(again) == results(variant)
        assert evaluate(variant) == variant.summary()["final"]


def test_variant_is_the_run_of_a_file_with_its_values(run, small_config, tmp_path, no_figures):
    settings = ["model.1=sigmoid", "optimizer.sgd.lr=0.3", "sweep.rounds=3", "name=small-sigmoid-lr=0.3"]
    config = small_config(*settings, "sweep.target={test_accuracy: 0.4, test_mse: 0.3}")
    assert results(sweep(config, runs_dir=tmp_path / "again", workers=1)) == results(run.variant("sigmoid-lr=0.3"))


def test_resolved_config_repeats_the_sweep(run, tmp_path, no_figures):
    again = sweep(load_config(run.config_path), runs_dir=tmp_path / "again", workers=1)
    assert again.config_path.read_bytes() == run.config_path.read_bytes()
    for folder in FOLDERS:
        assert results(again.variant(folder)) == results(run.variant(folder))


def test_workers_change_nothing(small_config, tmp_path, no_figures, forked_workers):
    """They are started once, and stay for all variants."""
    settings = ["training.validation=0.2", "training.epochs=8", "training.early_stopping={patience: 1}"]
    config = small_config("sweep.vary={model.1: [relu, batch_norm]}", "sweep.rounds=4", *settings)
    runs = [sweep(config, runs_dir=tmp_path, **options) for options in ({"workers": 1}, {"workers": 2, "chunk": 2})]
    for variant in variants(config):
        one, other = (run.variant(variant.folder) for run in runs)
        assert results(one) == results(other)


def test_summary_holds_the_comparison(run):
    summary = run.summary()
    assert summary["rounds"] == {"planned": 12, "finished": 12, "diverged": 0, "failed": 0}
    assert summary["final"] == {}
    assert [each["label"] for each in summary["variants"]] == [
        each.label for each in variants(load_config(run.config_path))
    ]
    for each, folder in zip(summary["variants"], FOLDERS, strict=True):
        own = run.variant(folder).summary()
        assert {key: each[key] for key in ("final", "rounds", "targets", "seconds")} == {
            key: own[key] for key in ("final", "rounds", "targets", "seconds")
        }
        assert each["run"] == str(run.variant(folder).path)
    # Each of the others against the first, by three metrics, in pairs of the same seeds.
    assert len(summary["comparisons"]) == 9
    assert all(each["paired"] and each["a"] == "relu, lr=0.1" for each in summary["comparisons"])
    assert summary["differences"].keys() == {"model.1", "optimizer.sgd.lr"}
    assert summary["seconds"] == sum(each["seconds"] for each in summary["variants"])
    assert [each.pop("folder") for each in summary["variants"]] == FOLDERS
    compared = contrast(find_sides([str(run.path)], run.path.parent))
    assert json.loads(json.dumps(compared)) == {key: summary[key] for key in compared}


def test_table_has_a_row_for_each_variant_in_order(run):
    rows = [line.split("|")[1].strip() for line in (run.path / "table.md").read_text().splitlines() if "|" in line]
    labels = [each["label"] for each in run.summary()["variants"]]
    assert rows == ["", "---", *labels, "test accuracy", "---", *labels, "", "---", *labels, "", "---", *labels]


def test_variants_may_differ_in_what_they_have(small_config, tmp_path, no_figures):
    """In their parts of the data, their epochs, their seeds and their data."""
    vary = "training.validation: [0, 0.2], training.epochs: [2, 5], seed: [0, 7], data_seed: [0, round]"
    run = sweep(small_config(f"sweep.vary={{{vary}}}"), runs_dir=tmp_path, workers=1)
    summary = run.summary()
    assert len(summary["variants"]) == 16
    assert {len(each["final"]) for each in summary["variants"]} == {6, 9}
    assert {each["paired"] for each in summary["comparisons"]} == {True, False}


def test_train_varies_nothing(small_config, tmp_path, no_figures):
    with pytest.warns(MinidlWarning, match=r"without the values of sweep\.vary \(relu, lr=0\.1; .*` trains them all"):
        run = train(small_config(VARY, "sweep.rounds=3"), runs_dir=tmp_path)
    assert not run.has_variants
    assert [seed for seed, _ in run.rounds()] == [0]
    assert load_config(run.config_path).sweep.vary == {}


def test_variant_that_diverges_leaves_the_others(small_config, tmp_path, no_figures):
    config = small_config(*LINEAR, "sweep.vary={optimizer.sgd.lr: [0.1, 9, 0.2]}", "sweep.rounds=3")
    run = sweep(config, runs_dir=tmp_path, workers=1)
    summary = run.summary()
    assert [each["rounds"]["finished"] for each in summary["variants"]] == [3, 0, 3]
    assert summary["rounds"] == {"planned": 9, "finished": 6, "diverged": 3, "failed": 0}
    assert {(each["a"], each["b"]) for each in summary["comparisons"]} == {("lr=0.1", "lr=0.2")}
    assert "| lr=9 | 0/3 | - |" in (run.path / "table.md").read_text()
    healthy = sweep(load_config(run.variant("lr=0.2").config_path), runs_dir=tmp_path, workers=1)
    assert results(healthy) == results(run.variant("lr=0.2"))


def test_all_variants_diverge(small_config, tmp_path):
    config = small_config(*LINEAR, "sweep.vary={optimizer.sgd.lr: [8, 9]}")
    with pytest.raises(TrainingError, match=r"^every round of every variant diverged \(.*small-.* has the records\)$"):
        sweep(config, runs_dir=tmp_path, workers=1)
    (run,) = Run.all(tmp_path)
    assert run.summary()["rounds"]["finished"] == 0


@pytest.mark.parametrize(
    ("vary", "problem"),
    [
        (
            "{training.validation: [0.2, 0.9999]}",
            "training.validation: 0.9999 of 47 samples leaves a part without",
        ),
        ("{loss: [mse, bce]}", "model.4: bce takes outputs between 0 and 1, but the last layer is linear"),
        ("{model.0.linear: [7, 1000000000]}", "this would take about"),
        ("{framework: [minidl, torch], init: [zeros, nothing]}", "init: no such initializer: 'nothing'"),
    ],
)
def test_nothing_is_made_if_a_variant_is_wrong(small_config, tmp_path, vary, problem):
    with pytest.raises(InputError) as caught:
        sweep(small_config(f"sweep.vary={vary}"), runs_dir=tmp_path / "runs")
    (line,) = caught.value.problems
    assert problem in line
    assert not (tmp_path / "runs").exists()


def test_versus_torch(small_config, tmp_path, no_figures):
    config = small_config("training.dtype=float64", "sweep.vary={framework: [minidl, torch]}", "sweep.rounds=3")
    run = sweep(config, runs_dir=tmp_path, workers=1)
    ours, theirs = (run.variant(folder).summary()["final"] for folder in ("minidl", "torch"))
    assert ours["test_mse"]["mean"] == pytest.approx(theirs["test_mse"]["mean"], rel=1e-9)
    assert run.summary()["differences"] == {"framework": {"minidl": "minidl", "torch": "torch"}}
    assert all(each["paired"] for each in run.summary()["comparisons"])


class TestTargets:
    def test_success_and_epochs_of_a_plain_sweep(self, small_config, tmp_path, no_figures):
        settings = ["sweep.rounds=8", "training.epochs=40", "optimizer={adam: 0.05}"]
        target = "sweep.target={test_accuracy: 0.6, train_mse: 0.1}"
        run = sweep(small_config(*settings, target), runs_dir=tmp_path, workers=1)
        found = run.summary()["targets"]
        rows, ends = read_table(run.metrics_path), read_table(run.path / "rounds.csv")
        assert list(found) == ["test_accuracy", "train_mse"]
        for metric, reaches in [("test_accuracy", lambda x: x >= 0.6), ("train_mse", lambda x: x <= 0.1)]:
            successes = sum(reaches(float(row[metric])) for row in ends)
            first = {}
            for row in rows:
                if reaches(float(row[metric])):
                    first.setdefault(row["seed"], int(row["epoch"]))
            assert 0 < len(first) < 8
            assert (found[metric]["success"]["successes"], found[metric]["success"]["n"]) == (successes, 8)
            assert (found[metric]["epochs"]["reached"], found[metric]["epochs"]["n"]) == (len(first), 8)
            assert ("q1" in found[metric]["epochs"]) == (len(first) > 2)

    def test_rounds_that_diverged_do_not_reach_it(self, small_config, tmp_path, no_figures):
        settings = [LINEAR[0], "optimizer.sgd.lr=0.8", "training.epochs=4", "sweep.rounds=11"]
        run = sweep(small_config(*settings, "sweep.target={train_mse: 1000}"), runs_dir=tmp_path, workers=1)
        found = run.summary()["targets"]["train_mse"]
        assert (found["success"]["successes"], found["success"]["n"]) == (7, 11)
        assert found["epochs"]["reached"] == 7

    def test_no_epochs(self, small_config, tmp_path, no_figures):
        settings = ["training.epochs=0", "sweep.vary={seed: [0, 1]}", "sweep.target={test_accuracy: 0.1}"]
        run = sweep(small_config(*settings), runs_dir=tmp_path, workers=1)
        for each in run.summary()["variants"]:
            assert each["targets"]["test_accuracy"]["success"]["successes"] == 1
            assert each["targets"]["test_accuracy"]["epochs"]["reached"] == 0

    def test_without_targets_nothing_is_said(self, small_config, tmp_path, no_figures):
        assert "targets" not in train(small_config(), runs_dir=tmp_path).summary()


def test_the_variant_that_is_wrong_is_named(small_config, tmp_path):
    config = small_config("sweep.vary={model.4.linear: [2, 3, 4]}")
    with pytest.raises(InputError) as caught:
        sweep(config, runs_dir=tmp_path / "none")
    assert [line.rpartition(" (in the variant ")[2] for line in caught.value.problems] == ["linear=3)", "linear=4)"]
    assert not (tmp_path / "none").exists()


def test_only_as_many_as_can_be_told_apart_are_drawn(small_config, tmp_path, monkeypatch):
    drawn = {}
    for name in ("draw_variants", "draw_rounds", "draw_final_points", "draw_final_pairs", "draw_predictions"):
        keep = partial(lambda name, path, title, groups, *_, **__: drawn.update({name: (title, len(groups))}), name)
        monkeypatch.setattr(figures, name, keep)
    monkeypatch.setattr("minidl_cli.sweeps.drawing.draw_figures", lambda *_: None)
    config = small_config("training.epochs=1", f"sweep.vary={{seed: {list(range(22))}}}")
    assert len(sweep(config, runs_dir=tmp_path, workers=1).variants()) == 22
    assert {count for _, count in drawn.values()} == {20}
    assert all(": the first 20 of 22" in title for title, _ in drawn.values())
