"""The figures of data sets and predictions, and of activation functions."""

import numpy as np
import pytest

from minidl_cli.display.figures import (
    MOST_POINTS,
    Part,
    Predictions,
    draw_activations,
    draw_dataset,
    draw_predictions,
)
from tests.display.figure_examples import (
    CIRCLE,
    activations,
    assert_tidy,
    captions,
    disc,
    legend_texts,
    predictions,
    table,
)


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def test_parts_of_a_data_set_stand_side_by_side_by_class(drawn):
    parts = [Part("train", *disc(300)), Part("test", *disc(1200, 1))]
    figure = drawn(draw_dataset, "disc", parts, border=[CIRCLE])
    assert titles(figure) == ["train\n300 points", "test\n1,200 points"]
    for axes, part in zip(figure.axes, parts, strict=True):
        border, *classes = axes.lines
        np.testing.assert_array_equal(border.get_xydata(), CIRCLE)
        for label, drawn_points in enumerate(classes):
            np.testing.assert_array_equal(drawn_points.get_xydata(), part.points[part.labels == label])
        assert len({line.get_marker() for line in classes}) == 2
        assert axes.get_aspect() == 1.0
    counts = [[int(np.sum(part.labels == label)) for part in parts] for label in (0, 1)]
    expected = [f"class {label}: {train:,} train, {test:,} test" for label, (train, test) in enumerate(counts)]
    assert legend_texts(figure) == [*expected, "true border"]
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    assert_tidy(figure)


def test_a_data_set_can_be_redrawn_from_its_data(drawn, tmp_path):
    parts = [Part("train", *disc(30)), Part("test", *disc(20, 1))]
    drawn(draw_dataset, "disc", parts, border=[CIRCLE, CIRCLE + 1])
    rows = table(tmp_path / "figure.csv")
    assert list(rows[0]) == ["panel", "kind", "line", "x1", "x2", "label"]
    for part in parts:
        kept = [row for row in rows if row["panel"] == part.label]
        assert {row["kind"] for row in kept} == {"point"}
        np.testing.assert_array_equal([(row["x1"], row["x2"]) for row in kept], part.points)
        np.testing.assert_array_equal([row["label"] for row in kept], part.labels)
    for line, corners in enumerate([CIRCLE, CIRCLE + 1]):
        kept = [row for row in rows if row["kind"] == "true_border" and row["line"] == line]
        np.testing.assert_array_equal([(row["x1"], row["x2"]) for row in kept], corners)
        assert {row["panel"] for row in kept} == {None}


def test_right_is_a_plus_and_wrong_a_dot_on_top(drawn):
    models = [predictions("model 1", 400), predictions("model 2", 100, seed=1)]
    figure = drawn(draw_predictions, "test data", models, border=[CIRCLE])
    for axes, model in zip(figure.axes, models, strict=True):
        _, right, wrong = axes.lines
        assert (right.get_marker(), wrong.get_marker()) == ("+", "o")
        np.testing.assert_array_equal(right.get_xydata(), model.points[model.correct])
        np.testing.assert_array_equal(wrong.get_xydata(), model.points[~model.correct])
        accuracy, mistakes = model.correct.mean(), int(np.sum(~model.correct))
        assert mistakes > 3
        assert axes.get_title() == f"{model.label}\naccuracy {accuracy:.3f} ({mistakes} wrong)"
    assert legend_texts(figure) == ["right", "wrong", "true border"]
    assert_tidy(figure)


def test_predictions_can_be_redrawn_from_their_data(drawn, tmp_path):
    models = [predictions("model 1", 40), predictions("model 2", 10, seed=1)]
    drawn(draw_predictions, "test data", models)
    rows = table(tmp_path / "figure.csv")
    assert list(rows[0]) == ["panel", "kind", "line", "x1", "x2", "correct"]
    for model in models:
        kept = [row for row in rows if row["panel"] == model.label]
        np.testing.assert_array_equal([(row["x1"], row["x2"]) for row in kept], model.points)
        np.testing.assert_array_equal([row["correct"] for row in kept], model.correct)


@pytest.mark.parametrize(("models", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 3), (7, 3, 3)])
def test_models_wrap_into_rows_of_three(drawn, models, rows, columns):
    figure = drawn(draw_predictions, "models", [predictions(f"model {index}", 20) for index in range(models)])
    places = [axes.get_position() for axes in figure.axes]
    assert len({round(place.y0, 6) for place in places}) == rows
    assert len({round(place.x0, 6) for place in places}) == columns
    reading = [(round(-place.y0, 6), round(place.x0, 6)) for place in places]
    assert reading == sorted(reading)
    assert_tidy(figure)


def test_many_points_are_cut_and_the_cut_is_said(drawn, tmp_path):
    parts = [Part("train", *disc(MOST_POINTS + 500)), Part("test", *disc(100))]
    figure = drawn(draw_dataset, "many", parts)
    assert sum(len(line.get_xydata()) for line in figure.axes[0].lines) == MOST_POINTS
    assert captions(figure) == ["the first 2,000 of 2,500 points of each panel are drawn; the counts are of all"]
    assert titles(figure)[0] == "train\n2,500 points"
    assert len(table(tmp_path / "figure.csv")) == MOST_POINTS + 100
    assert_tidy(figure)


def test_panels_without_points_say_so(drawn):
    empty, labels = np.empty((0, 2)), np.empty(0, dtype=int)
    dataset = drawn(draw_dataset, "empty", [Part("train", *disc(5)), Part("test", empty, labels)])
    assert [text.get_text() for text in dataset.axes[1].texts] == ["no points"]
    assert not dataset.axes[0].texts
    assert_tidy(dataset)
    models = drawn(draw_predictions, "empty", [Predictions("none", empty, labels)], border=[CIRCLE])
    assert titles(models) == ["none"]
    assert_tidy(models)


@pytest.mark.parametrize("shift", [0.0, 1e6, -1e-9])
@pytest.mark.parametrize(("stretch", "aspect"), [(0.26, 1.0), (3.9, 1.0), (1000, "auto"), (0.001, "auto")])
def test_the_plane_has_one_scale_unless_its_sides_are_unlike(drawn, stretch, aspect, shift):
    places, labels = disc(50)
    places[:2] = [[0, 0], [1, 1]]
    figure = drawn(draw_dataset, "scales", [Part("train", places * [1, stretch] + shift, labels)] * 2)
    assert {axes.get_aspect() for axes in figure.axes} == {aspect}
    assert_tidy(figure)


def test_points_in_one_place_and_points_nowhere_are_no_trouble(drawn):
    places = np.full((4, 2), 0.3)
    places[3] = [np.nan, np.inf]
    figure = drawn(draw_dataset, "one place", [Part("train", places, np.array([0, 1, 0, 1]))])
    low, high = figure.axes[0].get_xlim()
    assert low < 0.3 < high
    assert_tidy(figure)


def test_each_activation_is_drawn_with_its_derivative(drawn, tmp_path):
    functions = activations("tanh") | {"sum": (np.arange(3.0), np.arange(3.0), np.array([1.0, np.nan, 1.0]))}
    figure = drawn(draw_activations, "activations", functions)
    assert titles(figure) == ["tanh", "sum"]
    rows = table(tmp_path / "figure.csv")
    assert list(rows[0]) == ["panel", "x", "value", "derivative"]
    for axes, (name, (x, value, derivative)) in zip(figure.axes, functions.items(), strict=True):
        np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.column_stack([x, value]))
        np.testing.assert_array_equal(axes.lines[1].get_xydata(), np.column_stack([x, derivative]))
        assert len({line.get_linestyle() for line in axes.lines}) == 2
        kept = [[row["x"], row["value"], row["derivative"]] for row in rows if row["panel"] == name]
        np.testing.assert_array_equal(np.array(kept, dtype=float), np.column_stack([x, value, derivative]))
    assert legend_texts(figure) == ["value", "derivative"]
    assert_tidy(figure)


@pytest.mark.parametrize("count", [1, 4, 9])
def test_activations_wrap_into_rows_of_four(drawn, count):
    figure = drawn(draw_activations, "activations", activations(*map(str, range(count))))
    assert len({round(axes.get_position().x0, 6) for axes in figure.axes}) == min(count, 4)
    assert_tidy(figure)
