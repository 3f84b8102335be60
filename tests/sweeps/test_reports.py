"""The report of a run: the same in its summary, in its figures and from its folder, and what scikit-learn says."""

import csv
import json

import numpy as np
import pytest
from sklearn import metrics

from minidl_cli.display import figures
from minidl_cli.errors import InputError, TrainingError
from minidl_cli.statistics import summarize
from minidl_cli.sweeps.sweep import sweep
from minidl_cli.training import evaluation
from minidl_cli.training.build import load_config
from minidl_cli.training.evaluation import Trained

pytestmark = pytest.mark.usefixtures("no_figures")

REGRESSION = """
data:
  regression_2d: {train: 60, test: 40}
data_seed: round
model: [linear: 7, tanh, linear: 1]
loss: mse
optimizer: {adam: 0.02}
training: {epochs: 4, batch_size: 20}
sweep: {rounds: 3}
"""


# Of eleven rounds, four.
DIVERGING = ["model=[linear: 7, linear: 5, linear: 2]", "optimizer.sgd.lr=0.8", "training.epochs=4"]


@pytest.fixture
def run(small_config, tmp_path):
    """Five rounds on data of their own."""
    config = small_config("sweep.rounds=5", "data_seed=round", "training.epochs=30")
    return sweep(config, runs_dir=tmp_path, workers=1)


@pytest.fixture
def of_numbers(tmp_path):
    (tmp_path / "numbers.yaml").write_text(REGRESSION)
    return sweep(load_config(tmp_path / "numbers.yaml"), runs_dir=tmp_path, workers=1)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def predicted(run, part="test"):
    """True classes or numbers and predictions of each round, sample by sample."""
    trained = Trained.of(run)
    for place, seed in enumerate(trained.seeds):
        samples = trained.task.samples([seed])[part]
        network = evaluation.restore(
            trained.task.network, {name: values[[place]] for name, values in trained.weights.items()}
        )
        outputs = evaluation.predict(network, trained.task.judge, samples.inputs[0].T)[0].numpy()
        yield samples.targets[0].T.numpy(), outputs.astype(np.float64)


def classes(run, part="test"):
    """True and predicted classes of each round."""
    return [(targets.argmax(axis=1), outputs.argmax(axis=1)) for targets, outputs in predicted(run, part)]


def close(summary, values, missing=0, *, higher_is_better=True):
    expected = summarize([float(each) for each in values], missing, higher_is_better=higher_is_better)
    assert summary.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(summary[name], value, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("part", ["test", "train"])
def test_scores_of_classes_are_scikit_learns(run, part):
    report = Trained.of(run).reports(part)[part]
    pairs = classes(run, part)
    f1 = [metrics.f1_score(*pair, average="macro") for pair in pairs]
    balanced = [metrics.balanced_accuracy_score(*pair) for pair in pairs]
    areas = [
        metrics.roc_auc_score(targets[:, 1], outputs[:, 1] - outputs[:, 0]) for targets, outputs in predicted(run, part)
    ]
    for name, values in {"f1": f1, "balanced_accuracy": balanced, "roc_auc": areas}.items():
        close(report["metrics"][name], values)
    np.testing.assert_allclose(
        report["confusion"]["mean"], np.mean([metrics.confusion_matrix(*pair) for pair in pairs], axis=0)
    )
    assert list(report["classes"]) == ["0", "1"]


def test_scores_of_numbers_are_scikit_learns(of_numbers):
    report = of_numbers.summary()["report"]["test"]
    pairs = list(predicted(of_numbers))
    close(report["metrics"]["r2"], [metrics.r2_score(*pair) for pair in pairs])
    errors = [metrics.root_mean_squared_error(true.astype(np.float64), outputs) for true, outputs in pairs]
    close(report["metrics"]["rmse"], errors, higher_is_better=False)


@pytest.mark.parametrize(
    "settings",
    [[], ["model.4.linear=1"], ["model.4.linear=1", "loss=bce_with_logits"], ["loss=cross_entropy"]],
    ids=str,
)
def test_the_confusion_matrix_has_the_final_accuracy(small_config, tmp_path, settings):
    config = small_config("sweep.rounds=5", "data_seed=round", "training.epochs=30", *settings)
    summary = sweep(config, runs_dir=tmp_path, workers=1).summary()
    confusion = np.array(summary["report"]["test"]["confusion"]["mean"])
    accuracy = confusion.trace() / confusion.sum()
    assert accuracy == pytest.approx(summary["final"]["test_accuracy"]["mean"], rel=1e-12)


def test_errors_are_the_final_ones(of_numbers):
    summary = of_numbers.summary()
    found = summary["report"]["test"]["metrics"]["mae"]
    assert found["mean"] == pytest.approx(summary["final"]["test_mae"]["mean"], rel=1e-6)


def test_a_part_that_there_is_not(run):
    with pytest.raises(InputError, match="'tset' is no part of the data; there are train, test"):
        Trained.of(run).reports("tset")


def test_a_run_repeats_the_report_of_its_summary(run, of_numbers):
    for each in (run, of_numbers):
        assert Trained.of(each).reports() == each.summary()["report"]


def test_the_report_is_that_of_the_weights_the_training_ends_with(small_config, tmp_path):
    settings = ["training.validation=0.3", "training.early_stopping={patience: 2}", "training.epochs=40"]
    run = sweep(small_config("sweep.rounds=3", "optimizer.sgd.lr=2", *settings), runs_dir=tmp_path, workers=1)
    assert list(run.summary()["report"]) == ["test"]
    assert Trained.of(run).reports() == Trained.of(run, "best").reports() == run.summary()["report"]
    assert Trained.of(run, "last").reports() != run.summary()["report"]


@pytest.mark.parametrize("numbers", [1, 130])
def test_how_many_rounds_predict_at_once_changes_nothing(run, monkeypatch, numbers):
    stacks = []
    restore = evaluation.restore

    def counting(network, weights):
        stacks.append(len(next(iter(weights.values()))))
        return restore(network, weights)

    monkeypatch.setattr(evaluation, "restore", counting)
    monkeypatch.setattr(evaluation, "PREDICTED_NUMBERS", numbers)
    assert Trained.of(run).reports() == run.summary()["report"]
    assert stacks == {1: [1] * 5, 130: [2, 2, 1]}[numbers]


def test_rounds_that_diverged_are_the_worst(small_config, tmp_path):
    run = sweep(small_config(*DIVERGING, "sweep.rounds=11"), runs_dir=tmp_path, workers=1)
    assert run.summary()["rounds"]["diverged"] == 4
    f1 = [metrics.f1_score(*each, average="macro") for each in classes(run)]
    close(run.summary()["report"]["test"]["metrics"]["f1"], f1, missing=4)


@pytest.mark.figures
def test_of_no_finished_round_there_is_no_report(small_config, tmp_path):
    with pytest.raises(TrainingError, match="every round diverged"):
        sweep(small_config(*DIVERGING, "seed=2"), runs_dir=tmp_path)
    (path,) = tmp_path.glob("small-*")
    assert json.loads((path / "summary.json").read_text())["report"] == {}
    assert not (path / "confusion.png").exists()
    assert Trained.of(path).reports() == {}


@pytest.mark.figures
def test_the_confusion_matrix_is_drawn(run):
    confusion = run.summary()["report"]["test"]["confusion"]
    mean, std = (np.ravel(confusion[name]).tolist() for name in ("mean", "std"))
    assert [float(row["samples"]) for row in rows(run.path / "confusion.csv")] == mean
    assert [float(row["std"]) for row in rows(run.path / "confusion.csv")] == std
    assert not (run.path / "predicted.png").exists()


@pytest.mark.figures
def test_predictions_of_numbers_are_those_of_the_median_round(of_numbers):
    by_error = sorted(rows(of_numbers.path / "rounds.csv"), key=lambda row: float(row["test_mse"]))
    true, outputs = list(predicted(of_numbers))[int(by_error[1]["seed"])]
    drawn = rows(of_numbers.path / "predicted.csv")
    assert {row["panel"] for row in drawn} == {"y"}
    np.testing.assert_array_equal([float(row["true"]) for row in drawn], true[:, 0])
    np.testing.assert_array_equal([float(row["predicted"]) for row in drawn], outputs[:, 0])
    assert not (of_numbers.path / "confusion.png").exists()


@pytest.mark.figures
def test_figures_say_which_round_they_show(small_config, tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr(figures, "draw_confusion", lambda path, title, *_, **__: titles.append(title))
    (tmp_path / "numbers.yaml").write_text(REGRESSION)
    sweep(small_config("seed=3"), runs_dir=tmp_path, workers=1)
    sweep(small_config("sweep.rounds=2"), runs_dir=tmp_path, workers=1)
    assert titles == ["small, seed 3: test samples", "small: test samples"]


def test_eval_prints_the_report_and_has_it_as_json(run, minidl):
    printed = minidl("eval", run.path).out
    assert "\ntest, macro " in printed
    assert "\ntrue \\ predicted " in printed
    assert json.loads(minidl("eval", run.path, "--json").out)["report"] == run.summary()["report"]


def test_eval_of_a_part_reports_that_part(run, minidl):
    assert "\ntrain, macro " in minidl("eval", run.path, "--split", "train").out
    assert list(json.loads(minidl("eval", run.path, "--split", "train", "--json").out)["report"]) == ["train"]
    refused = minidl("eval", run.path, "--split", "validation")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
