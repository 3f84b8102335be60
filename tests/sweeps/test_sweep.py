"""Run folders: what is in them, and that they do not depend on chunks and workers."""

import json
import math
import os
import resource

import pytest
import torch
from safetensors.torch import load_file

from minidl_cli import evaluate, load_config, sweep, train
from minidl_cli.errors import InputError, MinidlWarning, TrainingError
from minidl_cli.registry import Component
from minidl_cli.statistics import summarize
from minidl_cli.sweeps import workers
from minidl_cli.sweeps.sweep import start
from minidl_cli.training.build import build
from minidl_cli.training.trainers import Trainers
from tests.sweeps import dying
from tests.sweeps.contents import read_table, results

pytestmark = pytest.mark.usefixtures("no_figures")

DIVERGING = ["model=[linear: 7, linear: 5, linear: 2]", "optimizer.sgd.lr=0.8", "training.epochs=4"]


@pytest.fixture
def config(small_config):
    return small_config("sweep.rounds=5")


@pytest.mark.parametrize("chunk", [1, 2, 5, 100])
def test_chunks_change_nothing(config, tmp_path, chunk):
    expected = results(sweep(config, runs_dir=tmp_path, workers=1))
    assert results(sweep(config, runs_dir=tmp_path, workers=1, chunk=chunk)) == expected


@pytest.mark.usefixtures("forked_workers")
def test_workers_change_nothing(config, tmp_path):
    expected = results(sweep(config, runs_dir=tmp_path, workers=1))
    assert results(sweep(config, runs_dir=tmp_path, workers=2, chunk=1)) == expected


def test_many_rounds_need_few_open_files(small_config, tmp_path):
    """In workers that are started as they are for users."""
    config = small_config("sweep.rounds=200", "training.epochs=1")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        run = sweep(config, runs_dir=tmp_path, workers=2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(run.rounds()) == 200
    assert results(run) == results(sweep(config, runs_dir=tmp_path, workers=1))


@pytest.mark.usefixtures("forked_workers")
def test_rounds_whose_workers_die_again_and_again_failed(config, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "work", dying.at_work)
    job = start(config, tmp_path, workers=2)
    with pytest.raises(TrainingError, match=r"^no round finished \(.*small-.* has the records\)$"):
        list(job.records())
    failures = job.run.summary()["rounds"].pop("failures")
    assert sorted(seed for failure in failures for seed in failure["seeds"]) == [0, 1, 2, 3, 4]
    assert {failure["reason"] for failure in failures} == {"their worker was killed by SIGKILL, 3 times"}


def test_worker_that_dies_at_its_start_is_told(config, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "work", dying.at_the_start)
    problem = "3 workers in a row died while they started; the last one was killed by SIGKILL"
    with pytest.raises(TrainingError, match=f"^{problem}$"):
        sweep(config, runs_dir=tmp_path, workers=2)


def test_train_gives_the_round_of_the_sweep(config, small_config, tmp_path):
    together = sweep(config, runs_dir=tmp_path, workers=1)
    alone = train(small_config("seed=3"), runs_dir=tmp_path)
    rows = [row for row in read_table(together.path / "metrics.csv") if row["seed"] == "3"]
    for row, same in zip(rows, read_table(alone.path / "metrics.csv"), strict=True):
        assert row | {"seconds": ""} == same | {"seconds": ""}
    stacked, lone = together.weights(), alone.weights()
    assert all(torch.equal(stacked[name][3], lone[name][0]) for name in lone)
    assert read_table(together.path / "rounds.csv")[3] == read_table(alone.path / "rounds.csv")[0]


def test_resolved_config_repeats_the_run(config, tmp_path):
    run = sweep(config, runs_dir=tmp_path, workers=1)
    assert results(sweep(load_config(run.config_path), runs_dir=tmp_path, workers=1)) == results(run)


@pytest.mark.figures
def test_folder(config, tmp_path):
    run = sweep(config, runs_dir=tmp_path / "new/runs", workers=1)
    names = sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*"))
    assert names == [
        "checkpoint",
        "checkpoint/0.checkpoint",
        "clusters.csv",
        "clusters.png",
        "columns.json",
        "config.yaml",
        "confusion.csv",
        "confusion.png",
        "curves.csv",
        "curves.png",
        "data.csv",
        "data.png",
        "decision.csv",
        "decision.png",
        "environment.json",
        "metrics.csv",
        "rounds.csv",
        "summary.json",
        "weights",
        "weights/last.safetensors",
    ]
    assert [path.name for path in (tmp_path / "new/runs").iterdir()] == [run.id]


def test_metrics(config, tmp_path):
    run = sweep(config, runs_dir=tmp_path, workers=1, chunk=2)
    rows = read_table(run.metrics_path)
    expected = "seed,epoch,lr,train_loss,train_mse,train_accuracy,test_loss,test_mse,test_accuracy,seconds"
    assert ",".join(rows[0]) == expected
    assert [(int(row["seed"]), int(row["epoch"])) for row in rows] == [(s, e) for s in range(5) for e in (1, 2, 3)]
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())


def test_rounds_and_summary_fit(config, tmp_path):
    run = sweep(config, runs_dir=tmp_path, workers=1)
    rounds, summary = read_table(run.path / "rounds.csv"), run.summary()
    assert [int(row["seed"]) for row in rounds] == list(range(5))
    assert {(row["status"], row["epochs"]) for row in rounds} == {("finished", "3")}
    missing = {"diverged": 0, "failed": 0, "diverged_seeds": [], "failed_seeds": []}
    assert summary["rounds"] == {"planned": 5, "finished": 5, **missing}
    assert summary["steps"] == 5 * 3 * 5
    for name in ("train_loss", "train_mse", "train_accuracy", "test_loss", "test_mse", "test_accuracy"):
        values = [float(row[name]) for row in rounds]
        assert summary["final"][name] == summarize(values, higher_is_better="accuracy" in name)
    # What is measured after the last epoch is what the last row of the epochs says of the test set.
    last = [row for row in read_table(run.metrics_path) if row["epoch"] == "3"]
    logged, final = ([float(row["test_mse"]) for row in table] for table in (last, rounds))
    assert final == pytest.approx(logged, rel=1e-6)  # measured by other operations


def test_weights(config, tmp_path):
    run = sweep(config, runs_dir=tmp_path, workers=1)
    weights = load_file(run.path / "weights/last.safetensors")
    shapes = {name: tuple(values.shape) for name, values in weights.items()}
    assert shapes == {
        "0.weight": (5, 7, 2),
        "0.bias": (5, 7),
        "2.weight": (5, 5, 7),
        "2.bias": (5, 5),
        "4.weight": (5, 2, 5),
        "4.bias": (5, 2),
    }


def test_environment(config, tmp_path):
    found = sweep(config, runs_dir=tmp_path, workers=1).environment()
    assert found["packages"]["torch"] == torch.__version__
    assert (found["workers"], found["device"], found["mkl_cbwr"]) == (1, "cpu", os.environ["MKL_CBWR"])


@pytest.mark.parametrize("settings", [[], ["data_seed=round"], ["model.4.linear=1"], DIVERGING], ids=str)
def test_evaluation_gives_exactly_the_numbers_of_the_summary(small_config, tmp_path, settings):
    run = sweep(small_config(*settings, "sweep.rounds=60"), runs_dir=tmp_path, workers=1)
    assert evaluate(run) == run.summary()["final"]
    assert evaluate(run.path) == run.summary()["final"]
    test = {name: values for name, values in run.summary()["final"].items() if name.startswith("test_")}
    assert evaluate(run, "test") == test


@pytest.mark.figures
def test_diverged_rounds_are_counted(small_config, tmp_path):
    run = sweep(small_config(*DIVERGING, "sweep.rounds=11"), runs_dir=tmp_path, workers=1)
    summary, rounds = run.summary(), read_table(run.path / "rounds.csv")
    assert summary["rounds"] == {
        "planned": 11,
        "finished": 7,
        "diverged": 4,
        "failed": 0,
        "diverged_seeds": [2, 4, 6, 8],
        "failed_seeds": [],
    }
    finished = [float(row["test_mse"]) for row in rounds if row["status"] == "finished"]
    assert summary["final"]["test_mse"] == summarize(finished, 4, higher_is_better=False)
    assert summary["final"]["test_mse"]["n"] == 7
    assert [row["test_mse"] for row in rounds if row["status"] == "diverged"] == [""] * 4
    assert "NaN" not in (run.path / "summary.json").read_text()
    cells = {value for row in read_table(run.metrics_path) for value in row.values()}
    assert not {"nan", "inf"} & cells
    assert "" in cells


@pytest.mark.figures
def test_every_round_diverges(small_config, tmp_path):
    with pytest.raises(TrainingError, match="every round diverged"):
        sweep(small_config(*DIVERGING, "seed=2"), runs_dir=tmp_path)
    (path,) = tmp_path.glob("small-*")
    assert json.loads((path / "summary.json").read_text())["final"] == {}


def test_zero_epochs(small_config, tmp_path):
    run = train(small_config("training.epochs=0"), runs_dir=tmp_path)
    assert read_table(run.metrics_path) == []
    assert evaluate(run) == run.summary()["final"]


def test_a_batch_larger_than_the_data_is_one_batch(small_config, tmp_path):
    with pytest.warns(MinidlWarning, match="batch_size is 100, but there are 47 samples"):
        run = train(small_config("training.batch_size=100", "training.compiled=never"), runs_dir=tmp_path)
    assert run.summary()["steps"] == 3


def test_too_large_a_model_is_refused_before_anything_is_made(small_config, tmp_path):
    config = small_config("model=[linear: 1000000, linear: 1000000, linear: 2]")
    with pytest.raises(InputError, match=r"this would take about \d.* TB of memory, .*but this machine has"):
        train(config, runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_runs_folder_that_cannot_be_written(small_config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a run cannot be written there"):
        train(small_config(), runs_dir=tmp_path / "file")


def test_only_the_first_round_is_trained(small_config, tmp_path):
    run = train(small_config("seed=9", "sweep.rounds=4"), runs_dir=tmp_path)
    assert [row["seed"] for row in read_table(run.path / "rounds.csv")] == ["9"]


def test_config_of_a_train_run_is_of_one_round(small_config, tmp_path):
    run = train(small_config("sweep.rounds=4"), runs_dir=tmp_path)
    again = sweep(load_config(run.config_path), runs_dir=tmp_path, workers=1)
    assert results(again) == results(run)


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize("workers", [1, 2])
def test_error_is_the_same_in_a_worker(small_config, tmp_path, workers):
    config = small_config("sweep.rounds=2")
    job = start(config, tmp_path, workers=workers, chunk=1)
    # As nothing but a defect could make it:
    wrong = config.model_copy(update={"loss": Component("mse", {"reduction": "none"})})
    job.planned.trainers = Trainers(wrong, job.planned.task.dataset)
    job.planned.trainers.step = "nobody"
    with pytest.raises(KeyError, match="none"):
        list(job.records())


def test_full_disk_is_told(small_config, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    job = start(small_config(), tmp_path)
    monkeypatch.setattr("minidl_cli.runs.metrics.MetricsLog.write", full)
    with pytest.raises(TrainingError, match=r"small-.*: cannot be written: No space left on device"):
        list(job.records())
    assert not job.run.is_finished


@pytest.mark.figures
def test_final_metrics_that_are_no_numbers_are_divergence(small_config, tmp_path):
    huge = "model.0.linear={out_features: 7, init: {normal: 1.0e+30}}"
    config = small_config(huge, "model.1=identity", "model.3=identity", "training.epochs=0", "sweep.rounds=2")
    with pytest.raises(TrainingError, match="every round diverged"):
        sweep(config, runs_dir=tmp_path)


def test_size_of_the_training_set_does_not_move_the_test_set(small_config):
    one, other = (build(small_config(f"data.disc.train={size}")).samples([0])["test"] for size in (47, 48))
    assert torch.equal(one.inputs, other.inputs)


def test_products_that_depend_on_the_stack_are_a_warning(small_config, tmp_path, monkeypatch):
    run = train(small_config(), runs_dir=tmp_path)
    monkeypatch.setattr("minidl_cli.training.exactness.stacking_is_exact", lambda dtype: False)
    with pytest.warns(MinidlWarning, match="import minidl_cli first"):
        train(small_config(), runs_dir=tmp_path)
    with pytest.warns(MinidlWarning, match="import minidl_cli first"):
        evaluate(run)
