"""The figures of variants and of all rounds over epochs."""

import numpy as np
import pytest

from minidl_cli.display.figures import MOST_EPOCHS, History, Metric, draw_rounds, draw_variants, spread
from tests.display.figure_examples import (
    TEST_ACCURACY,
    TRAIN_LOSS,
    assert_tidy,
    captions,
    falling,
    history,
    legend_texts,
    table,
)

PARTS = ("train", "test")
SIX = ["train error rate", "train loss", "train accuracy", "test error rate", "test loss", "test accuracy"]


def looks(axes):
    return [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axes.lines]


def test_variants_are_medians_with_bands_over_their_own_epochs(drawn):
    variants = [history("relu", 20, 40), history("tanh", 12, 60, seed=1, every=5)]
    figure = drawn(draw_variants, "variants", variants)
    assert [axes.get_ylabel() for axes in figure.axes] == SIX
    for axes, metric in zip(figure.axes, ["train_accuracy", "train_loss", "train_accuracy"], strict=False):
        for line, band, variant in zip(axes.lines, axes.collections[::2], variants, strict=True):
            values = variant.metrics[metric]
            low, median, high = np.percentile(
                1 - values if "error" in axes.get_ylabel() else values, [5, 50, 95], axis=0
            )
            np.testing.assert_array_equal(line.get_xdata(), variant.epochs)
            np.testing.assert_allclose(line.get_ydata(), median)
            corners = band.get_paths()[0].vertices
            at_end = corners[corners[:, 0] == variant.epochs[-1], 1]
            np.testing.assert_allclose([at_end.min(), at_end.max()], [low[-1], high[-1]])
    assert legend_texts(figure) == ["relu (20 rounds)", "tanh (12 rounds)"]
    assert captions(figure) == ["line: median over rounds, band: 5th to 95th percentile"]
    assert_tidy(figure)


def test_variants_can_be_redrawn_from_their_data(drawn, tmp_path):
    variants = [history("relu", 20, 40), history("tanh", 12, 60, seed=1, every=5)]
    variants[0].metrics["test_loss"][:2, 30:] = np.nan
    figure = drawn(draw_variants, "variants", variants)
    rows = table(tmp_path / "figure.csv")
    assert len(rows) == len(SIX) * (40 + 12)
    for axes in figure.axes:
        for line, variant in zip(axes.lines, variants, strict=True):
            kept = [row for row in rows if (row["panel"], row["label"]) == (axes.get_ylabel(), variant.label)]
            np.testing.assert_array_equal(line.get_xdata(), [row["epoch"] for row in kept])
            np.testing.assert_array_equal(line.get_ydata(), [row["median"] for row in kept])
    assert {row["rounds"] for row in rows if (row["panel"], row["label"]) == ("test loss", "relu")} == {20, 18}
    assert {row["rounds"] for row in rows if row["label"] == "tanh"} == {12}


def test_error_rate_and_loss_are_logarithmic_over_a_decade_and_accuracy_never_is(drawn):
    figure = drawn(draw_variants, "variants", [history("relu", 5, 40)])
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log", "linear"] * 2


def test_a_loss_that_is_called_error_rate_stays_a_loss(drawn):
    variant = history("relu", 5, 40)
    axes = drawn(draw_variants, "variants", [variant], loss_label="error rate").axes[1]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), np.median(variant.metrics["train_loss"], axis=0))


def test_rounds_that_do_not_reach_the_end_are_counted_in_the_legend(drawn):
    variants = [history("all", 20, 40), history("some", 20, 40), history("none", 3, 40)]
    for values in variants[1].metrics.values():
        values[:5, 10:] = np.nan
    for values in variants[2].metrics.values():
        values[:] = np.nan
    figure = drawn(draw_variants, "variants", variants)
    counted = ["all (20 rounds)", "some (15 of 20 rounds at epoch 40)", "none (0 of 3 rounds at epoch 40)"]
    assert legend_texts(figure) == counted


def test_zoom_shows_the_last_epochs_of_the_longest_variant(drawn, tmp_path):
    variants = [history("long", 5, 100), history("thin", 5, 100, every=10), history("short", 5, 70)]
    figure = drawn(draw_variants, "variants", variants, zoom=20)
    for axes in figure.axes:
        shown = [line.get_xdata().tolist() for line in axes.lines]
        assert shown == [list(range(81, 101)), [90, 100], []]
    assert captions(figure)[0].endswith("; the last 20 epochs")
    assert len(legend_texts(figure)) == 3
    assert {row["epoch"] for row in table(tmp_path / "figure.csv")} == set(range(81, 101))
    assert_tidy(figure)


def test_twelve_variants_differ_by_more_than_colour_and_look_alike_in_all_panels(drawn):
    names = [f"optimizer={kind}, optimizer.lr={lr}" for kind in ("sgd", "adam", "rmsprop") for lr in (1, 2, 3, 4)]
    figure = drawn(draw_variants, "variants", [history(name, 3, 30, seed) for seed, name in enumerate(names)])
    assert len({look[1:] for look in looks(figure.axes[0])}) == 12
    assert all(looks(axes) == looks(figure.axes[0]) for axes in figure.axes)
    assert [text.partition(" (")[0] for text in legend_texts(figure)] == names
    assert_tidy(figure)


def test_single_rounds_are_lines_that_need_no_note(drawn):
    figure = drawn(draw_variants, "variants", [history("a", 1, 30), history("b", 1, 30, 1)])
    assert legend_texts(figure) == ["a", "b"]
    assert captions(figure) == []


def test_without_an_accuracy_the_losses_stand_side_by_side(drawn):
    variant = history("regression", 5, 30)
    losses = {name: values for name, values in variant.metrics.items() if "loss" in name}
    figure = drawn(draw_variants, "variants", [History("regression", variant.epochs, losses)])
    assert [axes.get_ylabel() for axes in figure.axes] == ["train loss", "test loss"]
    left, right = (axes.get_position() for axes in figure.axes)
    assert left.y0 == right.y0
    assert_tidy(figure)


def of_numbers(label, scale=1.0):
    """The history of a regression whose loss is so many times the MSE."""
    errors = falling(4, 30)
    metrics = {"loss": scale * errors, "mse": errors, "mae": np.sqrt(errors)}
    both = {f"{part}_{name}": values.copy() for part in ("train", "test") for name, values in metrics.items()}
    return History(label, np.arange(1, 31), both)


@pytest.mark.parametrize(("scale", "measures"), [(1.0, ["loss", "MAE"]), (0.5, ["loss", "MSE", "MAE"])])
def test_of_numbers_the_mse_is_left_out_where_it_is_the_loss_of_all(drawn, scale, measures):
    variants = [of_numbers("a"), of_numbers("b", scale)]
    for name in ("test_loss", "test_mse"):
        variants[0].metrics[name][0, 3] = np.nan
    figure = drawn(draw_variants, "numbers", variants)
    assert [axes.get_ylabel() for axes in figure.axes] == [f"{part} {name}" for part in PARTS for name in measures]
    assert {axes.get_yscale() for axes in figure.axes} == {"log"}
    for axes, name in zip(figure.axes, measures, strict=False):
        median = np.median(variants[1].metrics[f"train_{name.lower()}"], axis=0)
        np.testing.assert_allclose(axes.lines[1].get_ydata(), median)
    assert_tidy(figure)


def test_classes_and_numbers_side_by_side(drawn):
    figure = drawn(draw_variants, "both", [history("disc", 5, 30), of_numbers("surface")])
    lines = {axes.get_ylabel(): len(axes.lines) for axes in figure.axes}
    expected = {"error rate": 1, "loss": 2, "accuracy": 1, "MSE": 1, "MAE": 1}
    assert lines == {f"{part} {name}": count for part in PARTS for name, count in expected.items()}
    assert_tidy(figure)


@pytest.mark.parametrize("draw", ["variants", "rounds"])
@pytest.mark.parametrize(
    ("epochs", "note"), [(0, "no epochs were trained"), (3, "no values to show")], ids=["no epochs", "all NaN"]
)
def test_nothing_to_show_is_said(drawn, draw, epochs, note):
    metrics = {metric.name: np.full((3, epochs), np.nan) for metric in (TRAIN_LOSS, TEST_ACCURACY)}
    nothing = [History("nothing", np.arange(1, epochs + 1), metrics)]
    if draw == "rounds":
        figure = drawn(draw_rounds, "nothing", nothing, [TRAIN_LOSS, TEST_ACCURACY])
        assert [axes.texts[0].get_text() for axes in figure.axes] == [note] * 2
    else:
        figure = drawn(draw_variants, "nothing", nothing)
        assert note in {axes.texts[0].get_text() for axes in figure.axes}
    assert_tidy(figure)


def test_every_round_is_drawn_under_the_medians_of_the_groups(drawn):
    groups = [history("minidl", 30, 50), history("torch", 20, 25, seed=1, every=5)]
    figure = drawn(draw_rounds, "rounds", groups, [TRAIN_LOSS, TEST_ACCURACY])
    assert [axes.get_ylabel() for axes in figure.axes] == ["train loss", "test accuracy"]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear"]
    for axes, metric in zip(figure.axes, ["train_loss", "test_accuracy"], strict=True):
        medians = axes.lines[-2:]
        for group, thin, median in zip(groups, axes.collections, medians, strict=True):
            rounds = np.array([segment[:, 1] for segment in thin.get_segments()])
            np.testing.assert_array_equal(rounds, group.metrics[metric])
            np.testing.assert_array_equal(median.get_xdata(), group.epochs)
            np.testing.assert_allclose(median.get_ydata(), np.median(group.metrics[metric], axis=0))
            assert thin.get_zorder() <= median.get_zorder()
            assert thin.get_alpha() < 0.5
        low, high = axes.get_ylim()
        drawn_values = [group.metrics[metric] for group in groups]
        assert low <= min(map(np.min, drawn_values))
        assert high >= max(map(np.max, drawn_values))
    assert legend_texts(figure) == ["minidl (30 rounds)", "torch (20 rounds)"]
    assert captions(figure) == ["thin: each round; thick: their median"]
    assert_tidy(figure)


def test_rounds_can_be_redrawn_from_their_data(drawn, tmp_path):
    groups = [history("minidl", 3, 12), history("torch", 2, 10, seed=1, every=5)]
    groups[0].metrics["train_loss"][1, 4:] = np.nan
    drawn(draw_rounds, "rounds", groups, [TRAIN_LOSS, TEST_ACCURACY])
    rows = table(tmp_path / "figure.csv")
    assert list(rows[0]) == ["panel", "label", "round", "epoch", "value"]
    assert len(rows) == 2 * (3 * 12 + 2 * 2)
    for metric in (TRAIN_LOSS, TEST_ACCURACY):
        for group in groups:
            kept = [row for row in rows if (row["panel"], row["label"]) == (metric.label, group.label)]
            values = np.array([row["value"] for row in kept], dtype=float).reshape(-1, len(group.epochs))
            np.testing.assert_array_equal(values, group.metrics[metric.name])
            assert [row["epoch"] for row in kept] == group.epochs.tolist() * len(values)


def test_identical_medians_can_both_be_seen(drawn):
    ours = history("minidl", 5, 50)
    figure = drawn(draw_rounds, "same", [ours, History("torch", ours.epochs, ours.metrics)], [TRAIN_LOSS])
    below, above = figure.axes[0].lines[-2:]
    assert (below.get_linestyle(), above.get_linestyle()) == ("-", "--")
    assert below.get_color() != above.get_color()


def test_of_many_epochs_some_are_drawn_evenly_and_it_is_said(drawn, tmp_path):
    figure = drawn(draw_rounds, "long", [history("minidl", 3, 1000)], [TRAIN_LOSS])
    epochs = figure.axes[0].lines[-1].get_xdata()
    assert (len(epochs), epochs[0], epochs[-1]) == (MOST_EPOCHS, 1, 1000)
    assert set(np.diff(epochs)) <= {10, 11}
    assert captions(figure) == [f"thin: each round; thick: their median; {MOST_EPOCHS} of 1,000 epochs are drawn"]
    assert len(table(tmp_path / "figure.csv")) == 3 * MOST_EPOCHS


def test_a_lone_value_of_a_round_is_marked_and_a_diverged_one_is_left_out(drawn):
    rounds = history("gaps", 3, 20)
    rounds.metrics["train_loss"][0, [4, 6]] = np.nan
    rounds.metrics["train_loss"][1, 9:] = 1e300
    axes = drawn(draw_rounds, "gaps", [rounds], [TRAIN_LOSS]).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[6, rounds.metrics["train_loss"][0, 5]]]
    assert axes.get_ylim()[1] < 100


@pytest.mark.parametrize("rounds", [1, 100])
def test_a_single_epoch_of_rounds_is_visible(drawn, rounds):
    figure = drawn(draw_rounds, "one epoch", [history("one", rounds, 1)], [TRAIN_LOSS, TEST_ACCURACY])
    for axes in figure.axes:
        assert len(axes.lines[0].get_xdata()) == rounds
        assert axes.lines[-1].get_markevery() == [0]
    assert_tidy(figure)


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1e7, 1e80], ids=lambda scale: f"{scale:g}")
def test_labels_of_any_magnitude_fit_into_small_panels(drawn, scale):
    values = falling(3, 10) * scale
    metrics = {"train_loss": values, "test_loss": -values, "train_accuracy": scale + 1e-6 * values}
    variant = History("a", np.arange(1000, 11000, 1000), metrics | {"test_accuracy": values})
    assert_tidy(drawn(draw_variants, "scale", [variant]))
    assert_tidy(drawn(draw_rounds, "scale", [variant], [TRAIN_LOSS, Metric("train_accuracy", "accuracy", True)]))


def test_the_median_of_the_rounds_is_that_of_the_spread(drawn):
    rounds = history("odd", 4, 20)
    rounds.metrics["train_loss"][0, 5:] = np.nan
    line = drawn(draw_rounds, "odd", [rounds], [TRAIN_LOSS]).axes[0].lines[-1]
    np.testing.assert_array_equal(line.get_ydata(), spread(rounds.metrics["train_loss"])[1])
