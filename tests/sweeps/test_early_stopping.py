"""What a run folder holds of a validation part, of early stopping and of schedules."""

import pytest
import torch
from safetensors.torch import load_file

from minidl_cli import evaluate, load_config, sweep
from minidl_cli.errors import InputError, TrainingError
from minidl_cli.sweeps.sweep import start
from tests.sweeps.contents import read_table, results

PARTS = ("train", "validation", "test")
VALIDATION = ["training.validation=0.3", "training.epochs=15", "optimizer={adam: 0.05}", "sweep.rounds=5"]
STOPPING = [*VALIDATION, "training.early_stopping={patience: 3}"]


@pytest.fixture
def make(small_config, tmp_path, no_figures):
    """Returns the run of the small config with overrides."""

    def make(*settings, **options):
        return sweep(small_config(*settings), runs_dir=tmp_path, **({"workers": 1} | options))

    return make


def test_files_and_columns(make):
    run = make(*STOPPING)
    metrics = [f"{part}_{measure}" for part in PARTS for measure in ("loss", "mse", "accuracy")]
    assert list(read_table(run.metrics_path)[0]) == ["seed", "epoch", "lr", *metrics, "seconds"]
    assert list(read_table(run.path / "rounds.csv")[0]) == ["seed", "status", "epochs", "best_epoch", *metrics]
    assert list(run.summary()["final"]) == metrics
    assert {path.name for path in (run.path / "weights").iterdir()} == {"last.safetensors", "best.safetensors"}


def test_rounds_stop_by_themselves(make):
    run = make(*STOPPING)
    rounds, logged = read_table(run.path / "rounds.csv"), read_table(run.metrics_path)
    assert len({row["epochs"] for row in rounds}) > 1
    for row in rounds:
        assert int(row["epochs"]) == min(int(row["best_epoch"]) + 3, 15)
        own = {int(each["epoch"]): each for each in logged if each["seed"] == row["seed"]}
        assert list(own) == list(range(1, int(row["epochs"]) + 1))
        # The final figures are those of the best weights.
        best = own[int(row["best_epoch"])]
        for name in ("validation_loss", "test_mse", "test_accuracy"):
            assert float(row[name]) == pytest.approx(float(best[name]), rel=1e-6)  # measured by other operations
        assert best["validation_loss"] == min((each["validation_loss"] for each in own.values()), key=float)
    assert run.summary()["steps"] == 4 * sum(int(row["epochs"]) for row in rounds)  # 33 samples in batches of 10


def test_evaluation_takes_the_weights_that_training_ends_with(make):
    stopping, going_on = make(*STOPPING), make(*VALIDATION)
    for run, chosen, other in [(stopping, "best", "last"), (going_on, "last", "best")]:
        final = run.summary()["final"]
        assert evaluate(run) == evaluate(run, weights=chosen) == final
        assert evaluate(run, weights=other) != final
        assert evaluate(run, "validation") == {key: final[key] for key in final if key.startswith("validation_")}


def test_best_and_last_weights(make):
    run = make(*STOPPING)
    best, last = (load_file(run.path / f"weights/{name}.safetensors") for name in ("best", "last"))
    assert {name: values.shape for name, values in best.items()} == {
        name: values.shape for name, values in last.items()
    }
    for index, row in enumerate(read_table(run.path / "rounds.csv")):
        alike = all(torch.equal(best[name][index], last[name][index]) for name in best)
        assert alike == (row["best_epoch"] == row["epochs"])


def test_no_best_weights_without_validation(make):
    run = make()
    with pytest.raises(InputError, match="has no best weights, as there was no validation part; use the last"):
        evaluate(run, weights="best")
    assert "best_epoch" not in read_table(run.path / "rounds.csv")[0]


def test_no_such_part(make):
    with pytest.raises(InputError, match="'validation' is no part of the data; there are train, test"):
        evaluate(make(), "validation")


def test_chunks_change_nothing(make):
    assert results(make(*STOPPING, chunk=2)) == results(make(*STOPPING))


def test_resolved_config_repeats_the_run(make, tmp_path):
    more = ["init={normal: 0.5}", "training.clip_norm=1", "training.compiled=never"]
    run = make(*STOPPING, "training.schedule={piecewise: {2: 0.01}}", *more)
    assert results(sweep(load_config(run.config_path), runs_dir=tmp_path, workers=1)) == results(run)


@pytest.mark.parametrize(
    ("settings", "steps"),
    [([], 5), (["training.accumulate=2"], 3), (["training.accumulate=5"], 1), (["training.validation=0.3"], 4)],
    ids=str,
)
def test_steps(make, settings, steps):
    brief = ["training.epochs=2", "sweep.rounds=3", "training.compiled=never"]
    assert make(*brief, *settings).summary()["steps"] == 3 * 2 * steps


def test_logged_learning_rates(make):
    run = make("training.epochs=6", "training.schedule={piecewise: {2: 0.03, 4: 0.01}}", "training.log_every=2")
    assert [(row["epoch"], row["lr"]) for row in read_table(run.metrics_path)] == [
        ("2", "0.1"),
        ("4", "0.03"),
        ("6", "0.01"),
    ]


def test_buffers_and_noise_are_saved_and_repeated(make):
    settings = ["model=[linear: 7, batch_norm, dropout: 0.2, linear: 2]", "sweep.rounds=3", "training.compiled=never"]
    run = make(*settings)
    weights = run.weights()
    assert weights["1.running_mean"].shape == weights["1.running_var"].shape == (3, 7)
    assert evaluate(run) == run.summary()["final"]
    assert results(make(*settings, chunk=1)) == results(run)


@pytest.mark.parametrize("monitor", ["validation_loss", "validation_accuracy"])
def test_a_round_that_diverges_does_not_pass_for_stopped(make, monitor):
    """Its only step makes all weights infinite, and outputs that are no numbers have no accuracy."""
    rule = f"training.early_stopping={{monitor: {monitor}, patience: 1}}"
    with pytest.raises(TrainingError, match="every round diverged"):
        make("optimizer.sgd={lr: 1.0e30}", "training.batch_size=33", "training.validation=0.3", rule)


def test_epochs_that_need_not_be_trained_count_as_done(make, small_config, tmp_path):
    job = start(small_config(*STOPPING), tmp_path, workers=1)
    assert sum(len(record.seeds) + record.spared for record in job.records()) == job.epochs
