"""The figures of what predictions are worth: the confusion matrix, and predicted against true numbers."""

from itertools import pairwise

import numpy as np
import pytest

from minidl_cli.display.figures import MOST_POINTS, Target, draw_confusion, draw_true_against_predicted
from tests.display.figure_examples import assert_tidy, captions, confusion, legend_texts, table, target

COUNTS = np.array([[90, 10, 0], [5, 15, 0], [1, 2, 1]])


def numbers(figure):
    """What is written in the cells, by row and column."""
    return {
        (int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in figure.axes[0].texts
    }


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_the_numbers_of_one_round_are_written_on_their_shares_of_the_true_class(drawn):
    figure = drawn(draw_confusion, "one round", ["a", "b", "c"], COUNTS)
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert tick_labels(axes.xaxis) == tick_labels(axes.yaxis) == ["a", "b", "c"]
    assert numbers(figure) == {place: str(count) for place, count in np.ndenumerate(COUNTS)}
    np.testing.assert_allclose(axes.images[0].get_array(), COUNTS / [[100], [20], [4]])
    assert axes.images[0].get_clim() == (0, 1)
    assert axes.yaxis_inverted()  # the first class on top
    assert captions(figure) == ["numbers: samples"]
    assert_tidy(figure)


def test_several_rounds_have_means_and_deviations(drawn):
    std = np.array([[1.25, 0, 0], [2, 3, 0.04], [0, 0.1, 123.4]])
    mean = np.array([[90.2, 10, 0], [5, 1234.5, 0.04], [0, 2, 1.25]])
    figure = drawn(draw_confusion, "rounds", ["a", "b", "c"], mean, std)
    expected = [["90.2\n± 1.2", "10.0\n± 0.0", "0"], ["5.0\n± 2.0", "1,234\n± 3.0", "0.0\n± 0.0"]]
    expected.append(["0", "2.0\n± 0.1", "1.2\n± 123"])
    assert numbers(figure) == dict(np.ndenumerate(np.array(expected)))
    assert captions(figure) == ["numbers: samples, mean and deviation over rounds"]
    assert_tidy(figure)


@pytest.mark.parametrize("classes", [2, 10, 20, 100])
@pytest.mark.parametrize("label", ["{}", "class {}", "{} and a description that is longer than any other"])
def test_any_number_of_classes_is_tidy(drawn, classes, label):
    labels = [label.format(index) for index in range(classes)]
    figure = drawn(draw_confusion, "classes", labels, *confusion(classes))
    axes = figure.axes[0]
    assert_tidy(figure)
    shown = [int(place) for place in axes.get_yticks()]
    assert shown == list(range(0, classes, shown[1]))
    for axis in (axes.xaxis, axes.yaxis):
        boxes = [text.get_window_extent() for text in axis.get_ticklabels()]
        assert not any(one.overlaps(other) for one, other in pairwise(boxes))
        for place, text in zip(shown, tick_labels(axis), strict=True):
            assert labels[place].startswith(text.removesuffix("…"))
            assert text


@pytest.mark.parametrize(
    ("classes", "caption"),
    [
        (10, "numbers: samples, mean and deviation over rounds"),
        (14, "numbers: samples, mean over rounds"),
        (40, "mean over rounds"),
    ],
)
def test_as_much_is_written_as_fits_into_every_cell(drawn, classes, caption):
    figure = drawn(draw_confusion, "classes", [str(index) for index in range(classes)], *confusion(classes, 900.0))
    assert captions(figure) == [caption]
    assert len(numbers(figure)) == (0 if classes == 40 else classes**2)
    side = figure.axes[0].get_window_extent().width / classes
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert box.width < side
        assert box.height < side


def test_numbers_are_white_where_it_is_dark(drawn):
    figure = drawn(draw_confusion, "shades", ["a", "b"], np.array([[9, 1], [4, 6]]))
    assert [text.get_color() for text in figure.axes[0].texts] == ["white", "black", "black", "white"]


def test_a_class_without_samples_is_grey_and_said(drawn, tmp_path):
    figure = drawn(draw_confusion, "empty class", ["a", "b"], np.array([[9, 1], [0, 0]]))
    assert figure.axes[0].images[0].get_array().mask.tolist() == [[False, False], [True, True]]
    assert legend_texts(figure) == ["no samples of the true class"]
    assert [row["share"] for row in table(tmp_path / "figure.csv")] == [0.9, 0.1, None, None]
    assert_tidy(figure)


def test_a_confusion_matrix_can_be_redrawn_from_its_data(drawn, tmp_path):
    mean, std = confusion(3)
    drawn(draw_confusion, "confusion", ["a", "b", "c"], mean, std)
    rows = table(tmp_path / "figure.csv")
    assert list(rows[0]) == ["true", "predicted", "samples", "std", "share"]
    places = [("abc".index(row["true"]), "abc".index(row["predicted"])) for row in rows]
    assert places == [place for place, _ in np.ndenumerate(mean)]
    np.testing.assert_array_equal([row["samples"] for row in rows], mean.ravel())
    np.testing.assert_array_equal([row["std"] for row in rows], std.ravel())
    np.testing.assert_allclose([row["share"] for row in rows], (mean / mean.sum(axis=1, keepdims=True)).ravel())


def test_one_round_has_no_deviations_in_its_data(drawn, tmp_path):
    drawn(draw_confusion, "confusion", ["a", "b", "c"], COUNTS)
    rows = table(tmp_path / "figure.csv")
    assert [row["samples"] for row in rows] == COUNTS.ravel().tolist()
    assert {row["std"] for row in rows} == {None}


@pytest.mark.parametrize("panels", [1, 3, 4])
def test_predictions_are_drawn_over_true_values_around_the_diagonal(drawn, panels):
    targets = [target(f"target {index}", seed=index) for index in range(panels)]
    figure = drawn(draw_true_against_predicted, "numbers", targets)
    assert len(figure.axes) == panels
    for axes, each in zip(figure.axes, targets, strict=True):
        points, diagonal = axes.lines
        np.testing.assert_array_equal(points.get_xydata(), np.column_stack([each.true, each.predicted]))
        assert (diagonal.get_slope(), diagonal.get_xy1()) == (1, (0, 0))
        assert axes.get_aspect() == 1.0
        assert axes.get_xlim() == axes.get_ylim()
        low, high = axes.get_xlim()
        assert low < min(each.true.min(), each.predicted.min())
        assert high > max(each.true.max(), each.predicted.max())
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("true", "predicted")
    assert legend_texts(figure) == ["sample", "perfect prediction"]
    assert captions(figure) == []
    assert_tidy(figure)


def test_a_panel_says_how_good_its_predictions_are(drawn):
    figure = drawn(draw_true_against_predicted, "numbers", [Target("y", np.array([1, 2, 3]), np.array([1, 2, 5]))])
    assert figure.axes[0].get_title() == "y\nRMSE 1.155, R² -1.000"


@pytest.mark.parametrize("kind", ["float32", "int64"])
def test_numbers_may_be_of_any_type(drawn, kind):
    values = np.array([0, 2, 3], dtype=kind)
    figure = drawn(draw_true_against_predicted, "numbers", [Target("y", values, values)])
    assert figure.axes[0].get_title() == "y\nRMSE 0, R² 1.000"


def test_predictions_can_be_redrawn_from_their_data(drawn, tmp_path):
    targets = [target("a", 40), target("b", 10, seed=1)]
    drawn(draw_true_against_predicted, "numbers", targets)
    rows = table(tmp_path / "figure.csv")
    assert list(rows[0]) == ["panel", "true", "predicted"]
    for each in targets:
        kept = [row for row in rows if row["panel"] == each.label]
        np.testing.assert_array_equal([row["true"] for row in kept], each.true)
        np.testing.assert_array_equal([row["predicted"] for row in kept], each.predicted)


def test_many_points_are_thinned_evenly_and_that_is_said(drawn, tmp_path):
    line = np.arange(10.0 * MOST_POINTS)
    figure = drawn(draw_true_against_predicted, "many", [Target("y", line, line + 1), target("few", 10)])
    true, predicted = figure.axes[0].lines[0].get_xydata().T
    assert (len(true), true[0], true[-1]) == (MOST_POINTS, 0, line[-1])
    assert set(np.diff(true)) <= {10, 11}
    np.testing.assert_array_equal(predicted, true + 1)
    assert captions(figure) == ["2,000 of 20,000 points of each panel are drawn; RMSE and R² are those of all"]
    assert figure.axes[0].get_title().startswith("y\nRMSE 1, ")
    assert len(table(tmp_path / "figure.csv")) == MOST_POINTS + 10
    assert_tidy(figure)


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1.0, 2e4, 3e5, 1e7, 1e80], ids=lambda scale: f"{scale:g}")
@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_numbers_of_any_magnitude_fit_and_both_axes_have_the_same(drawn, scale, shift):
    each = target("y")
    given = Target("y", (each.true + shift) * scale, (each.predicted + shift) * scale)
    figure = drawn(draw_true_against_predicted, "scales", [given] * 3)
    assert_tidy(figure)
    axes = figure.axes[0]
    assert tick_labels(axes.xaxis) == tick_labels(axes.yaxis)
    assert axes.xaxis.get_offset_text().get_text() == axes.yaxis.get_offset_text().get_text()


@pytest.mark.parametrize(
    "predicted", [[1.0, 1.0, 1.0], [np.nan, 1.0, 2.0], [1e200, 1.0, 2.0], [np.inf, np.nan, -np.inf]], ids=str
)
def test_what_cannot_be_drawn_is_no_trouble(drawn, predicted):
    figure = drawn(draw_true_against_predicted, "odd", [Target("y", np.ones(3), np.array(predicted))])
    assert figure.axes[0].get_title() == ("y\nRMSE 0, R² 1.000" if predicted[0] == 1 else "y")
    assert_tidy(figure)


def test_a_panel_without_points_says_so(drawn):
    figure = drawn(draw_true_against_predicted, "empty", [Target("y", np.empty(0), np.empty(0))])
    assert [text.get_text() for text in figure.axes[0].texts] == ["no points"]
    assert_tidy(figure)
