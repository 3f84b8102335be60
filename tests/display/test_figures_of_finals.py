"""The figures of how all rounds ended."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl_cli.display.figures import Finals, Metric, draw_final_pairs, draw_final_points
from minidl_cli.display.final_figures import _quartiles
from minidl_cli.statistics import summarize
from tests.display.figure_examples import ACCURACY, LOSS, assert_tidy, captions, finals, legend_texts, table

BOTH = {"loss": LOSS, "metric": ACCURACY}


def strip_labels(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_every_round_is_a_point_in_the_strip_of_its_group(drawn):
    groups = [finals("relu", 10), finals("tanh", 7, seed=1)]
    figure = drawn(draw_final_points, "finals", groups, [LOSS, ACCURACY])
    assert [axes.get_xlabel() for axes in figure.axes] == ["final loss", "final accuracy"]
    for axes, metric in zip(figure.axes, ["loss", "accuracy"], strict=True):
        for strip, group in enumerate(groups):
            points, box, middle = axes.lines[3 * strip : 3 * strip + 3]
            np.testing.assert_array_equal(points.get_xdata(), group.metrics[metric])
            assert np.abs(points.get_ydata() - strip).max() < 0.4
            q1, median, q3 = np.percentile(group.metrics[metric], [25, 50, 75])
            np.testing.assert_allclose([min(box.get_xdata()), max(box.get_xdata())], [q1, q3])
            np.testing.assert_allclose(middle.get_xdata(), [median, median])
    assert strip_labels(figure.axes[0]) == ["relu\n10 rounds", "tanh\n7 rounds"]
    assert strip_labels(figure.axes[1]) == ["", ""]
    top, bottom = figure.axes[0].transData.transform([(0.05, 0), (0.05, 1)])[:, 1]
    assert top > bottom
    assert captions(figure) == []
    assert_tidy(figure)


def test_points_of_a_strip_are_apart_even_where_all_values_are_equal(drawn):
    equal = Finals("equal", {"loss": np.full(100, 0.05)})
    heights = np.sort(drawn(draw_final_points, "equal", [equal], [LOSS]).axes[0].lines[0].get_ydata())
    assert np.diff(heights).min() > 0.001
    assert heights[-1] - heights[0] > 0.5


def test_a_single_round_lies_in_the_middle_of_its_strip(drawn):
    axes = drawn(draw_final_points, "one", [finals("one", 1)], [LOSS]).axes[0]
    assert axes.lines[0].get_ydata().tolist() == [0.0]
    assert strip_labels(axes) == ["one\n1 round"]


@given(
    st.lists(st.floats(-1e6, 1e6), max_size=12),
    st.integers(0, 12),
    st.booleans(),
)
def test_quartiles_are_those_of_the_tables(values, missing, higher_is_better):
    summary = summarize(values, missing, higher_is_better=higher_is_better)
    expected = [summary.get(name, np.nan) for name in ("q1", "median", "q3")] if values else [np.nan] * 3
    found = _quartiles(np.array([*values, *[np.nan] * missing]), higher_is_better=higher_is_better)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_missing_rounds_are_said_and_count_as_the_worst(drawn):
    groups = [finals("some", 10, missing=4), finals("none", 3, missing=3)]
    figure = drawn(draw_final_points, "missing", groups, [LOSS, ACCURACY])
    assert strip_labels(figure.axes[0]) == ["some\n6 of 10 rounds", "none\n0 of 3 rounds"]
    assert captions(figure) == ["rounds without a value count as the worst"]
    for axes, metric in zip(figure.axes, (LOSS, ACCURACY), strict=True):
        known = np.sort(groups[0].metrics[metric.name][4:])
        known = known[::-1] if metric.higher_is_better else known
        np.testing.assert_allclose(axes.lines[2].get_xdata(), (known[4] + known[5]) / 2)
        box = np.asarray(axes.lines[1].get_xdata())
        assert np.isnan(box).any()
        assert np.isfinite(box).any()


def test_final_points_can_be_redrawn_from_their_data(drawn, tmp_path):
    groups = [finals("relu", 5, missing=1), finals("tanh", 3, seed=1)]
    drawn(draw_final_points, "finals", groups, [LOSS, ACCURACY])
    rows = table(tmp_path / "figure.csv")
    assert list(rows[0]) == ["panel", "label", "round", "value"]
    for metric in (LOSS, ACCURACY):
        for group in groups:
            kept = [row for row in rows if (row["panel"], row["label"]) == (metric.label, group.label)]
            assert [row["round"] for row in kept] == list(range(len(kept)))
            np.testing.assert_array_equal(np.array([row["value"] for row in kept], float), group.metrics[metric.name])


def test_a_metric_that_a_group_does_not_have_leaves_its_strip_empty(drawn):
    regression = Finals("regression", {"loss": np.array([0.1, 0.2])})
    figure = drawn(draw_final_points, "mixed", [finals("disc", 5), regression], [LOSS, ACCURACY])
    assert np.isnan(figure.axes[1].lines[3].get_xdata()).all()
    assert strip_labels(figure.axes[0])[1] == "regression\n2 rounds"


def test_losses_over_a_decade_are_logarithmic_and_accuracies_never_are(drawn):
    groups = [Finals("wide", {"loss": np.array([0.001, 0.5]), "accuracy": np.array([0.01, 0.9])})]
    figure = drawn(draw_final_points, "wide", groups, [LOSS, ACCURACY])
    assert [axes.get_xscale() for axes in figure.axes] == ["log", "linear"]
    assert drawn(draw_final_pairs, "wide", groups, **BOTH).axes[0].get_xscale() == "log"


@pytest.mark.parametrize("groups", [1, 2, 12, 30])
def test_strips_of_long_labels_are_readable(drawn, groups):
    long = [finals(f"optimizer.lr=0.0{index}, model.activation=leaky_relu", 8, index) for index in range(groups)]
    figure = drawn(draw_final_points, "long", long, [LOSS, ACCURACY])
    labels = figure.axes[0].get_yticklabels()
    assert labels[0].get_text() == "optimizer.lr=0.00,\nmodel.activation=leaky_relu\n8 rounds"
    boxes = [label.get_window_extent() for label in labels]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))
    assert_tidy(figure)


def test_loss_against_accuracy_has_a_sign_for_each_group_and_marks_medians(drawn, tmp_path):
    groups = [finals("minidl", 100), finals("torch", 50, seed=1, missing=1)]
    figure = drawn(draw_final_pairs, "clusters", groups, **BOTH)
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("final loss", "final accuracy")
    for group, points, middle in zip(groups, axes.lines[:2], axes.lines[2:], strict=True):
        np.testing.assert_array_equal(points.get_xdata(), group.metrics["loss"])
        np.testing.assert_array_equal(points.get_ydata(), group.metrics["accuracy"])
        assert middle.get_markersize() > 1.5 * points.get_markersize()
    median = [np.median(groups[0].metrics[name]) for name in ("loss", "accuracy")]
    np.testing.assert_allclose(axes.lines[2].get_xydata(), [median])
    assert legend_texts(figure) == ["minidl (100 rounds)", "torch (49 of 50 rounds)"]
    rows = table(tmp_path / "figure.csv")
    assert list(rows[0]) == ["label", "round", "loss", "accuracy"]
    for group in groups:
        kept = [row for row in rows if row["label"] == group.label]
        for name in ("loss", "accuracy"):
            np.testing.assert_array_equal(np.array([row[name] for row in kept], float), group.metrics[name])
    assert_tidy(figure)


def test_error_over_loss_is_logarithmic_both_ways_and_its_median_is_that_of_errors(drawn, tmp_path):
    values = {"loss": np.array([0.5, 0.001, np.nan]), "error": np.array([0.02, 0.7, np.nan])}
    error = Metric("error", "final test MSE")
    (axes,) = drawn(draw_final_pairs, "errors", [Finals("surface", values)], loss=LOSS, metric=error).axes
    assert (axes.get_ylabel(), axes.get_xscale(), axes.get_yscale()) == ("final test MSE", "log", "log")
    # A missing round is worse than any error, not better.
    assert axes.lines[1].get_xydata().tolist() == [[0.5, 0.7]]
    assert list(table(tmp_path / "figure.csv")[0]) == ["label", "round", "loss", "error"]


def test_identical_points_of_two_groups_are_both_visible(drawn):
    ours = finals("minidl", 40)
    figure = drawn(draw_final_pairs, "same", [ours, Finals("torch", ours.metrics)], **BOTH)
    circle, cross, circle_median, cross_median = figure.axes[0].lines
    assert (circle.get_marker(), circle.get_fillstyle(), cross.get_marker()) == ("o", "none", "x")
    assert circle_median.get_markersize() > cross_median.get_markersize()
    pixels = {colour: count_pixels(figure, colour) for colour in (circle.get_color(), cross.get_color())}
    alone = count_pixels(drawn(draw_final_pairs, "same", [ours], **BOTH), circle.get_color())
    assert pixels[circle.get_color()] > 0.3 * alone
    assert pixels[cross.get_color()] > 0.3 * alone


def count_pixels(figure, colour):
    """How many pixels of a drawn figure have a colour like `#0072B2`."""
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    image = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    return int((np.abs(image - wanted).max(axis=-1) <= 3).sum())


def test_ten_groups_have_signs_of_their_own(drawn):
    figure = drawn(draw_final_pairs, "ten", [finals(str(seed), 5, seed) for seed in range(10)], **BOTH)
    signs = [(line.get_marker(), line.get_color()) for line in figure.axes[0].lines[:10]]
    assert len(set(signs)) == 10
    assert_tidy(figure)


@pytest.mark.parametrize("values", [np.empty(0), np.full(3, np.nan), np.full(2, 1e300)], ids=["empty", "NaN", "huge"])
def test_nothing_to_show_is_said(drawn, values):
    nothing = [Finals("nothing", {"loss": values, "accuracy": values})]
    points = drawn(draw_final_points, "nothing", nothing, [LOSS, ACCURACY])
    assert [axes.texts[0].get_text() for axes in points.axes] == ["no values to show"] * 2
    assert strip_labels(points.axes[0])[0].startswith("nothing\n")
    clusters = drawn(draw_final_pairs, "nothing", nothing, **BOTH)
    assert clusters.axes[0].texts[0].get_text() == "no values to show"
    for figure in (points, clusters):
        assert_tidy(figure)


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1e7, 1e80], ids=lambda scale: f"{scale:g}")
@pytest.mark.parametrize("spread", [0.0, 1e-6, 3.0])
def test_labels_of_any_magnitude_fit(drawn, scale, spread):
    values = scale * (1 + spread * np.arange(9))
    group = [Finals("a", {"loss": values, "accuracy": -values})]
    three = [LOSS, Metric("loss", "loss"), ACCURACY]
    assert_tidy(drawn(draw_final_points, "scale", group, three))
    assert_tidy(drawn(draw_final_pairs, "scale", group, **BOTH))
