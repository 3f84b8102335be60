"""Scores of predictions, against scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from minidl_cli import scores

# scikit-learn warns of classes that do not occur, are never predicted, or are the only one.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:sklearn")

fewer = settings(max_examples=40)  # as scikit-learn takes milliseconds for each


@st.composite
def labelled(draw):
    """True and predicted classes of some samples, and how many classes there are, of which some may not occur."""
    classes, samples = draw(st.integers(2, 6)), draw(st.integers(1, 40))
    labels = arrays(np.int64, samples, elements=st.integers(0, classes - 1))
    return draw(labels), draw(labels), classes


@st.composite
def scored(draw, fewest=1, most=1):
    """True classes and scores [n, outputs], on few values, so that there are ties."""
    samples, outputs = draw(st.integers(1, 40)), draw(st.integers(fewest, most))
    true = draw(arrays(np.int64, samples, elements=st.integers(0, max(1, outputs - 1))))
    values = st.sampled_from([-1e300, -1.0, 0.0, 5e-324, 0.1, 0.3, 0.1 + 0.2, 1.0, 1e300]) | st.floats(-10, 10)
    return true, draw(arrays(np.float64, (samples, outputs), elements=values))


@st.composite
def numbers(draw):
    """True and predicted values [targets, n], some of them constant."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(2, 30)))
    values = st.sampled_from([0.0, 1.0, 3.0]) | st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
    return draw(arrays(np.float64, shape, elements=values)), draw(arrays(np.float64, shape, elements=values))


def close(value, expected):
    np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)


@fewer
@given(labelled())
def test_confusion_matrix(given):
    true, predicted, classes = given
    expected = metrics.confusion_matrix(true, predicted, labels=range(classes))
    np.testing.assert_array_equal(scores.confusion_matrix(true, predicted, classes), expected)


@fewer
@given(labelled())
def test_counts_are_the_margins_and_the_diagonal_of_the_confusion_matrix(given):
    counts, matrix = scores.count_classes(*given), scores.confusion_matrix(*given)
    np.testing.assert_array_equal(counts.samples, matrix.sum(axis=1))
    np.testing.assert_array_equal(counts.predicted, matrix.sum(axis=0))
    np.testing.assert_array_equal(counts.hits, matrix.diagonal())


@fewer
@given(labelled())
def test_balanced_accuracy(given):
    true, predicted, _ = given
    close(scores.balanced_accuracy(scores.count_classes(*given)), metrics.balanced_accuracy_score(true, predicted))


@fewer
@given(labelled())
def test_precision_recall_and_f1(given):
    true, predicted, classes = given
    counts = scores.count_classes(*given)
    of_each = metrics.precision_recall_fscore_support(true, predicted, labels=range(classes), zero_division=0)
    macro = metrics.precision_recall_fscore_support(true, predicted, average="macro", zero_division=0)
    for ours, expected, mean in zip((scores.precision, scores.recall, scores.f1), of_each, macro[:3], strict=False):
        close(ours(counts), expected)
        close(scores.macro(ours(counts), counts), mean)


def test_by_hand():
    true, predicted = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 0, 1, 1, 1, 0])
    counts = scores.count_classes(true, predicted, 4)
    assert scores.confusion_matrix(true, predicted, 4).tolist() == [[2, 1, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [0] * 4]
    assert counts.occurs.tolist() == [True, True, True, False]
    assert scores.precision(counts).tolist() == [2 / 3, 1 / 3, 0, 0]
    assert scores.recall(counts).tolist() == [2 / 3, 1, 0, 0]
    assert scores.f1(counts).tolist() == [2 / 3, 1 / 2, 0, 0]
    assert scores.balanced_accuracy(counts) == pytest.approx(5 / 9)
    assert scores.macro(scores.f1(counts), counts) == pytest.approx(7 / 18)


def test_a_predicted_class_without_samples_counts_for_macro_averages_but_not_for_balanced_accuracy():
    counts = scores.count_classes(np.array([0, 0, 1]), np.array([0, 2, 1]), 3)
    assert scores.balanced_accuracy(counts) == 3 / 4
    assert scores.macro(scores.recall(counts), counts) == 1 / 2


@fewer
@given(scored())
def test_roc_auc_of_two_classes(given):
    true, (score,) = given[0], given[1].T
    area = scores.roc_auc(true == 1, score)
    if len(np.unique(true)) < 2:
        assert math.isnan(area)
    else:
        close(area, metrics.roc_auc_score(true, score))
        close(scores.roc_auc(true == 0, score), 1 - area)


@fewer
@given(scored(fewest=3, most=5))
def test_roc_auc_of_each_class_against_the_rest(given):
    true, outputs = given
    usable = [index for index in range(outputs.shape[1]) if 0 < np.sum(true == index) < len(true)]
    area = scores.one_against_rest_roc_auc(true, outputs)
    if usable:
        close(area, np.mean([metrics.roc_auc_score(true == index, outputs[:, index]) for index in usable]))
    else:
        assert math.isnan(area)


@fewer
@given(arrays(np.float64, (30, 4), elements=st.integers(1, 9).map(float)))
def test_roc_auc_of_several_classes_is_scikit_learns_macro_average(weights):
    true, probabilities = np.arange(30) % 4, weights / weights.sum(axis=1, keepdims=True)
    expected = metrics.roc_auc_score(true, probabilities, multi_class="ovr", average="macro")
    close(scores.one_against_rest_roc_auc(true, probabilities), expected)


@pytest.mark.parametrize(
    ("score", "area"),
    [([0.1, 0.2, 0.8, 0.9], 1.0), ([0.9, 0.8, 0.2, 0.1], 0.0), ([0.5] * 4, 0.5), ([0.1, 0.5, 0.5, 0.9], 0.875)],
)
def test_roc_auc_of_perfect_reversed_and_tied_scores(score, area):
    assert scores.roc_auc(np.array([False, False, True, True]), np.array(score)) == area


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (scores.mean_squared_error, metrics.mean_squared_error),
        (scores.root_mean_squared_error, metrics.root_mean_squared_error),
        (scores.mean_absolute_error, metrics.mean_absolute_error),
        (scores.r2, metrics.r2_score),
    ],
)
@fewer
@given(numbers())
def test_scores_of_numbers(ours, theirs, given):
    true, predicted = given
    close(ours(true, predicted), theirs(true.T, predicted.T, multioutput="raw_values"))
    close(ours(true, predicted).mean(), theirs(true.T, predicted.T))


def test_r2_of_one_sample_does_not_exist():
    assert np.isnan(scores.r2(np.ones((2, 1)), np.ones((2, 1)))).tolist() == [True, True]


def test_r2_of_equal_numbers_is_one_or_zero():
    true = np.full((2, 7), 0.1)  # whose mean is not 0.1
    assert true[0].var() > 0
    predicted = np.stack([true[0], true[0] + 1])
    assert scores.r2(true, predicted).tolist() == [1.0, 0.0]
    assert scores.r2(predicted, true).tolist() == [1.0, 0.0]


def test_no_samples_have_no_scores():
    counts = scores.count_classes(np.array([], dtype=np.int64), np.array([], dtype=np.int64), 3)
    assert math.isnan(scores.balanced_accuracy(counts))
    assert math.isnan(scores.macro(scores.f1(counts), counts))
    assert math.isnan(scores.one_against_rest_roc_auc(np.array([], dtype=np.int64), np.empty((0, 3))))
    assert np.isnan(scores.r2(np.empty((2, 0)), np.empty((2, 0)))).all()
