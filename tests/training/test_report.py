"""What is reported of the predictions of rounds."""

import json
import weakref

import numpy as np
import pytest
from sklearn import metrics

from minidl_cli.statistics import summarize
from minidl_cli.training.report import MOST_CLASSES, classification_report, predicted_classes, regression_report

NUMBERS = np.random.default_rng(0)


def classified(classes, outputs, samples=50, rounds=4, dtype=np.float32):
    """True classes, which all occur, and predictions of each round, on few values, so that there are ties."""
    true = [NUMBERS.permutation(np.arange(samples) % classes) for _ in range(rounds)]
    return [(each, (NUMBERS.integers(0, 11, (samples, outputs)) / 10).astype(dtype)) for each in true]


def assert_close(summary, values, missing=0, *, higher_is_better=True):
    expected = summarize([float(value) for value in values], missing, higher_is_better=higher_is_better)
    assert summary.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(summary[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (2, 2), (3, 3), (5, 5)])
def test_classes_are_judged_as_scikit_learn_does(classes, outputs):
    rounds = classified(classes, outputs)
    report = classification_report(iter(rounds), "abcde"[:classes], 0.5, planned=6)
    found = [predicted_classes(prediction, 0.5) for _, prediction in rounds]
    pairs = [(true, predicted) for (true, _), predicted in zip(rounds, found, strict=True)]

    metric = report["metrics"]
    assert list(metric) == ["balanced_accuracy", "precision", "recall", "f1", "roc_auc"]
    assert_close(metric["balanced_accuracy"], [metrics.balanced_accuracy_score(*pair) for pair in pairs], 2)
    macro = np.array([metrics.precision_recall_fscore_support(*pair, average="macro")[:3] for pair in pairs])
    each = np.array([metrics.precision_recall_fscore_support(*pair) for pair in pairs])
    for place, name in enumerate(("precision", "recall", "f1")):
        assert_close(metric[name], macro[:, place], 2)
        for index, label in enumerate("abcde"[:classes]):
            assert_close(report["classes"][label][name], each[:, place, index], 2)
    for index, label in enumerate("abcde"[:classes]):
        assert report["classes"][label]["samples"] == 50 // classes + (index < 50 % classes)

    matrices = [metrics.confusion_matrix(*pair) for pair in pairs]
    np.testing.assert_allclose(report["confusion"]["mean"], np.mean(matrices, axis=0))
    np.testing.assert_allclose(report["confusion"]["std"], np.std(matrices, axis=0, ddof=1))


def area_of(true, prediction):
    """ROC AUC by scikit-learn: it takes several classes one by one only, as outputs need not add up to 1."""
    outputs = prediction.astype(np.float64)
    if outputs.shape[1] == 1:
        return metrics.roc_auc_score(true, outputs[:, 0])
    if outputs.shape[1] == 2:
        return metrics.roc_auc_score(true, outputs[:, 1] - outputs[:, 0])
    return np.mean([metrics.roc_auc_score(true == index, score) for index, score in enumerate(outputs.T)])


@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (2, 2), (3, 3), (5, 5)])
def test_roc_auc_is_that_of_the_outputs(classes, outputs):
    rounds = classified(classes, outputs)
    report = classification_report(rounds, range(classes), 0.5, planned=4)
    assert_close(report["metrics"]["roc_auc"], [area_of(*each) for each in rounds])


def test_differences_of_two_outputs_are_not_rounded():
    outputs = np.array([[0.0, 1.0], [1e-9, 1.0], [0.0, 0.5]], dtype=np.float32)
    assert outputs[0, 1] - outputs[0, 0] == outputs[1, 1] - outputs[1, 0]
    report = classification_report([(np.array([1, 0, 0]), outputs)], range(2), 0.5, planned=1)
    assert report["metrics"]["roc_auc"]["mean"] == 1


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [([[0.5], [0.6], [0.4]], [0, 1, 0]), ([[1.0, 1.0], [0.0, 1.0]], [0, 1]), ([[0, 2, 2], [3, 3, 3]], [1, 0])],
)
def test_ties_go_to_the_first_class(outputs, expected):
    assert predicted_classes(np.array(outputs), 0.5).tolist() == expected


def test_the_middle_has_the_precision_of_the_prediction():
    assert predicted_classes(np.array([[0.3]], dtype=np.float32), 0.3).tolist() == [0]


def test_one_round_has_values_without_spread():
    true, prediction = np.array([0, 0, 1]), np.array([[0.1], [0.9], [0.8]])
    report = classification_report([(true, prediction)], [False, True], 0.5, planned=1)
    assert report["confusion"] == {"mean": [[1, 1], [0, 1]]}
    assert report["metrics"]["recall"] == summarize([0.75], higher_is_better=True)
    assert list(report["classes"]) == ["false", "true"]


def test_a_class_is_judged_in_the_rounds_in_which_it_occurs():
    eye = np.eye(3)
    rounds = [(np.array([0, 1, 1]), eye[[0, 1, 1]]), (np.array([0, 1, 2]), eye[[0, 1, 1]])]
    classes = classification_report(rounds, "abc", 0.5, planned=2)["classes"]
    assert [classes["c"][name]["n"] for name in ("precision", "recall", "f1")] == [1, 1, 1]
    assert classes["c"]["samples"] == summarize([0, 1], higher_is_better=True)
    assert classes["a"]["samples"] == 1
    assert classes["c"]["recall"]["mean"] == 0
    assert classes["b"]["precision"]["mean"] == 0.75


def test_a_class_that_occurs_in_no_round_has_no_scores():
    report = classification_report([(np.array([0, 1]), np.eye(3)[:2])], "abc", 0.5, planned=1)
    assert list(report["classes"]["c"]) == ["samples"]
    assert report["metrics"]["f1"]["mean"] == 1
    assert report["metrics"]["roc_auc"]["mean"] == 1


def test_samples_of_one_class_have_no_roc_auc():
    report = classification_report([(np.zeros(3, dtype=int), np.ones((3, 1)))], "ab", 0.5, planned=1)
    assert report["metrics"]["roc_auc"] == {"n": 0}
    assert report["metrics"]["balanced_accuracy"]["mean"] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_round_whose_predictions_are_no_numbers_is_missing(value):
    good, bad = classified(3, 3, rounds=2)
    bad[1][7, 1] = value
    report = classification_report([good, bad], "abc", 0.5, planned=2)
    assert report["metrics"]["f1"]["n"] == 1
    assert "median" not in report["metrics"]["f1"]
    assert classification_report([bad], "abc", 0.5, planned=1) == {}
    numbers = (np.ones((50, 3)), bad[1])
    assert regression_report([numbers, (np.ones((50, 3)), good[1])], "abc", planned=2)["metrics"]["mae"]["n"] == 1
    assert regression_report([numbers], "abc", planned=1) == {}


@pytest.mark.parametrize("classes", [MOST_CLASSES, MOST_CLASSES + 1])
def test_large_confusion_matrices_are_left_out(classes):
    report = classification_report(classified(classes, classes, samples=200), range(classes), 0.5, planned=4)
    assert ("confusion" in report) == (classes == MOST_CLASSES)
    assert len(report["classes"]) == classes


def test_predictions_are_dropped_once_they_are_judged():
    seen = []

    def rounds():
        for _ in range(5):
            prediction = NUMBERS.random((30, 3))
            seen.append(weakref.ref(prediction))
            yield np.arange(30) % 3, prediction
            assert sum(each() is not None for each in seen) == 1

    assert classification_report(rounds(), "abc", 0.5, planned=5)
    assert len(seen) == 5


@pytest.mark.parametrize("outputs", [1, 3])
def test_numbers_are_judged_as_scikit_learn_does(outputs):
    rounds = [NUMBERS.normal(100, 10, (2, 40, outputs)) for _ in range(5)]
    report = regression_report(((true, predicted) for true, predicted in rounds), "abc"[:outputs], planned=7)
    scores = {
        "rmse": metrics.root_mean_squared_error,
        "mae": metrics.mean_absolute_error,
        "r2": metrics.r2_score,
    }
    assert list(report["metrics"]) == list(scores)
    for name, score in scores.items():
        up = {"higher_is_better": name == "r2"}
        assert_close(report["metrics"][name], [score(*each) for each in rounds], 2, **up)
        each = np.array([score(*each, multioutput="raw_values") for each in rounds])
        for index, target in enumerate("abc"[:outputs] if outputs > 1 else ""):
            assert_close(report["targets"][target][name], each[:, index], 2, **up)
    assert ("targets" in report) == (outputs > 1)


def test_errors_that_are_too_large_are_left_out():
    true, predicted = np.zeros((3, 2)), np.full((3, 2), 1e200)
    report = regression_report([(true, predicted)], "ab", planned=1)
    assert "mean" not in report["metrics"]["rmse"]
    assert report["metrics"]["mae"]["mean"] == 1e200
    json.dumps(report, allow_nan=False)


def test_a_report_is_plain_data_without_nan():
    rounds = [(np.array([0, 0, 1]), np.array([[0.5], [0.5], [0.5]])), (np.array([1, 1, 1]), np.ones((3, 1)))]
    report = classification_report(rounds, ["no", "yes"], 0.5, planned=3)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    one = regression_report([(np.ones((1, 2)), np.zeros((1, 2)))], ["a", "b"], planned=1)
    assert json.loads(json.dumps(one, allow_nan=False)) == one
    assert one["metrics"]["r2"] == {"n": 0}
