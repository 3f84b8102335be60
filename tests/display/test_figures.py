"""What holds for every figure, and the figures of a run: its curves and the plane."""

import resource
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from minidl_cli.display.figures import MOST_POINTS, Curve, Metric, draw_curves, draw_decision, spread
from tests.display.figure_examples import (
    HOSTILE,
    KINDS,
    SOME_HOSTILE,
    assert_tidy,
    captions,
    example,
    falling,
    legend_texts,
    panels,
    plane,
    table,
)


def png_chunks(data):
    """The chunks of a PNG by name, their check sums verified."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        assert zlib.crc32(body) == struct.unpack_from(">I", data, at + 8 + length)[0]
        chunks[body[:4]] = body[4:]
        at += 12 + length
    return chunks


@pytest.mark.parametrize("kind", KINDS)
def test_writes_the_same_valid_png_and_csv_under_the_given_name_only(tmp_path, kind):
    function, arguments, named = example(kind)

    def draw():
        function(tmp_path / "figure.png", *arguments, **named)
        return [(tmp_path / name).read_bytes() for name in ("figure.png", "figure.csv")]

    image, data = draw()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.csv", "figure.png"]
    chunks = png_chunks(image)
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert width >= 800
    assert height >= 400
    assert b"IEND" in chunks
    assert not {b"tEXt", b"iTXt", b"zTXt", b"tIME"} & set(chunks)
    assert b"\r" not in data
    assert b"nan" not in data
    assert draw() == [image, data]


@pytest.mark.parametrize(("most", "renewed"), [(1_000, []), (20_000, ["figure.csv"])], ids=["table", "picture"])
def test_where_the_disk_is_full_the_old_one_stays(tmp_path, most, renewed):
    """A file may have so many bytes: fewer than the table, or than the picture."""
    path = tmp_path / "figure.png"
    draw_curves(path, *panels(5, 10))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            draw_curves(path, *panels(5, 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    after = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == renewed


@pytest.mark.parametrize("name", ["figure.partial", "figure"])
def test_it_is_png_whatever_the_ending(tmp_path, name):
    draw_curves(tmp_path / name, *panels(5, 20))
    assert png_chunks((tmp_path / name).read_bytes())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "figure.csv"])


@pytest.mark.parametrize(
    ("kind", "text"),
    [(kind, text) for kind in KINDS for text in (HOSTILE if kind == "curves" else SOME_HOSTILE)],
)
def test_any_text_is_drawn_literally_within_its_place_and_kept_in_the_data(drawn, tmp_path, kind, text):
    function, arguments, named = example(kind, text)
    figure = drawn(function, *arguments, **named)
    assert_tidy(figure)
    if "$" in text:
        assert figure.texts[0].get_text() == text
    if len(text) == 200:
        heading = figure.texts[0].get_text()
        assert heading.endswith("…") or heading.replace("\n", "") == text
    rows = table(tmp_path / "figure.csv")
    written = {row.get(column) for row in rows for column in ("label", "panel", "true")}
    if kind != "decision" and text:
        assert text.encode("utf-8", "backslashreplace").decode() in written


values = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([np.nan, np.inf, -np.inf, 1e300]))
shapes = st_numpy.array_shapes(min_dims=2, max_dims=2, max_side=8)


@settings(deadline=None)
@given(st_numpy.arrays(np.float64, shapes, elements=values))
def test_spread_is_numpys_percentiles_of_the_rounds_with_a_value(rounds):
    result = spread(rounds)
    assert result.shape == (3, rounds.shape[1])
    for epoch, column in enumerate(rounds.T):
        usable = column[np.isfinite(column) & (np.abs(column) < 1e300)]
        expected = np.percentile(usable, [5, 50, 95]) if usable.size else [np.nan] * 3
        np.testing.assert_allclose(result[:, epoch], expected, rtol=1e-9, atol=1e-9)


def test_spread_of_no_rounds_has_no_values():
    assert np.isnan(spread(np.empty((0, 4)))).all()


def test_one_round_is_its_own_line_without_a_caption(drawn):
    title, epochs, loss, accuracy = panels(1, 30)
    figure = drawn(draw_curves, title, epochs, loss, accuracy)
    for axes, curves in zip(figure.axes, (loss, accuracy), strict=True):
        for line, curve in zip(axes.lines, curves, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), epochs)
            np.testing.assert_allclose(line.get_ydata(), curve.values[0])
    assert legend_texts(figure) == ["train", "test"]
    assert captions(figure) == []


def test_several_rounds_are_median_and_band_of_those_with_a_value(drawn):
    title, epochs, loss, _ = panels(20, 30)
    loss[0].values[:3, 20:] = np.nan
    figure = drawn(draw_curves, title, epochs, loss[:1], [])
    (axes,) = figure.axes
    low, median, high = np.nanpercentile(loss[0].values, [5, 50, 95], axis=0)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), median)
    corners = axes.collections[0].get_paths()[0].vertices
    for epoch, bottom, top in zip(epochs, low, high, strict=True):
        heights = corners[corners[:, 0] == epoch, 1]
        np.testing.assert_allclose([heights.min(), heights.max()], [bottom, top])
    assert captions(figure) == ["median of 20 rounds (17 of them at epoch 30), band: 5th to 95th percentile"]


def test_rounds_that_all_reach_the_end_need_no_note(drawn):
    figure = drawn(draw_curves, *panels(100, 5))
    assert captions(figure) == ["median of 100 rounds, band: 5th to 95th percentile"]


def test_an_epoch_without_values_is_a_gap_and_a_lone_one_is_marked(drawn):
    title, epochs, loss, _ = panels(4, 40)
    loss[0].values[:, [10, 12, 30]] = np.nan
    (axes,) = drawn(draw_curves, title, epochs, loss[:1], []).axes
    line, (band, bars) = axes.lines[0], axes.collections
    assert np.flatnonzero(np.isnan(line.get_ydata())).tolist() == [10, 12, 30]
    assert 11 in line.get_markevery()
    assert not any(np.isin(path.vertices[:, 0], epochs[[10, 12, 30]]).any() for path in band.get_paths())
    assert [segment[0, 0] for segment in bars.get_segments()] == [epochs[11]]


@pytest.mark.parametrize("rounds", [1, 7])
def test_a_single_epoch_is_visible(drawn, rounds):
    figure = drawn(draw_curves, *panels(rounds, 1))
    for axes in figure.axes:
        assert all(line.get_markevery() == [0] and line.get_marker() != "None" for line in axes.lines)
        assert all(float(label.get_text()).is_integer() for label in axes.get_xticklabels())
    assert_tidy(figure)


@pytest.mark.parametrize(
    ("epochs", "note"),
    [(0, "no epochs were trained"), (3, "no values to show")],
    ids=["no epochs", "all NaN"],
)
def test_nothing_to_show_is_said_in_labelled_panels(drawn, epochs, note):
    nothing = [Curve("train", np.full((3, epochs), np.nan))]
    figure = drawn(draw_curves, "nothing", np.arange(epochs), nothing, nothing)
    assert [axes.texts[0].get_text() for axes in figure.axes] == [note, note]
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    assert_tidy(figure)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 0.5, 0.09], "log"),
        ([1.0, 0.5, 0.11], "linear"),
        ([1.0, 0.5, 0.0], "linear"),
        ([1.0, 0.01, -1.0], "linear"),
        ([1.0, np.nan, 0.01], "log"),
        ([1e-300, 1e90, 1.0], "log"),
    ],
)
def test_loss_alone_is_logarithmic_where_positive_and_over_a_decade(drawn, values, scale):
    curve = [Curve("train", np.array([values]))]
    figure = drawn(draw_curves, "scale", np.arange(1, 4), curve, curve)
    assert [axes.get_yscale() for axes in figure.axes] == [scale, "linear"]


def test_curves_differ_by_more_than_colour_and_labels_keep_their_look(drawn):
    title, epochs, _, _ = panels(1, 5)
    loss = [Curve(f"variant {index}", falling(1, 5, seed=index)) for index in range(12)]
    figure = drawn(draw_curves, title, epochs, loss, loss[::-1])

    def looks(axes):
        return [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axes.lines]

    left, right = map(looks, figure.axes)
    assert len(set(left)) == 12
    assert len({look[1:] for look in left}) == 12
    assert left == right[::-1]
    assert_tidy(figure)


def test_a_legend_of_many_rows_makes_the_figure_higher(drawn):
    title, epochs, _, _ = panels(1, 5)
    loss = [Curve(f"a variant with a long label, {index}", falling(3, 5, seed=index)) for index in range(30)]
    assert_tidy(drawn(draw_curves, title, epochs, loss, []))


def test_mathematical_signs_stand_as_they_are_in_labels(drawn):
    text = "$a_b$ and $\\frac{1$"
    _, epochs, loss, accuracy = panels(3, 10)
    figure = drawn(draw_curves, "title", epochs, [*loss, Curve(text, loss[0].values)], accuracy, loss_label=text)
    assert legend_texts(figure)[2] == figure.axes[0].get_ylabel() == text


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1.0, 1e7, 1e80], ids=lambda scale: f"{scale:g}")
def test_labels_of_any_magnitude_fit(drawn, scale):
    title, epochs, loss, accuracy = panels(3, 10)
    for values in (loss[0].values * scale, -loss[0].values * scale, scale + loss[0].values * scale * 1e-6):
        assert_tidy(drawn(draw_curves, title, epochs * 1000, [Curve("train", values)], accuracy))


def test_an_error_beside_the_loss_is_logarithmic_and_has_its_name(drawn):
    title, epochs, loss, _ = panels(3, 10)
    figure = drawn(draw_curves, title, epochs, loss, loss, metric=Metric("mae", "MAE"))
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "MAE"]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log"]


def test_curves_can_be_redrawn_from_their_data(drawn, tmp_path):
    title, epochs, loss, accuracy = panels(20, 30)
    loss[0].values[:3, 20:] = np.nan
    loss[1].values[:, 5] = np.nan
    figure = drawn(draw_curves, title, epochs, loss, accuracy, loss_label="loss (mse)")
    rows = table(tmp_path / "figure.csv")
    assert list(rows[0]) == ["panel", "label", "epoch", "q05", "median", "q95", "rounds"]
    assert len(rows) == 4 * 30
    for axes, panel in zip(figure.axes, ("loss (mse)", "accuracy"), strict=True):
        for line, label in zip(axes.lines, ("train", "test"), strict=True):
            kept = [row for row in rows if (row["panel"], row["label"]) == (panel, label)]
            np.testing.assert_array_equal(line.get_xdata(), [row["epoch"] for row in kept])
            np.testing.assert_array_equal(line.get_ydata(), np.array([row["median"] for row in kept], dtype=float))
    missing = next(row for row in rows if row["label"] == "test" and row["epoch"] == 6)
    assert [missing[name] for name in ("q05", "median", "q95", "rounds")] == [None, None, None, 0]
    low, _, high = np.percentile(loss[0].values[3:, -1], [5, 50, 95])
    thinned = next(row for row in rows if row["label"] == "train" and row["epoch"] == 30)
    np.testing.assert_allclose([thinned["q05"], thinned["q95"], thinned["rounds"]], [low, high, 17])


def test_decision_can_be_redrawn_from_its_data(drawn, tmp_path):
    given = plane()
    axes = drawn(draw_decision, "decision", **given).axes[0]
    rows = table(tmp_path / "figure.csv")
    assert list(rows[0]) == ["kind", "line", "x1", "x2", "label", "correct"]
    points = [row for row in rows if row["kind"] == "point"]
    np.testing.assert_array_equal([(row["x1"], row["x2"]) for row in points], given["points"])
    np.testing.assert_array_equal([row["label"] for row in points], given["labels"])
    np.testing.assert_array_equal([row["correct"] for row in points], given["correct"])
    border = [(row["x1"], row["x2"]) for row in rows if row["kind"] == "true_border"]
    np.testing.assert_array_equal(border, given["border"][0])
    learned = [(row["x1"], row["x2"]) for row in rows if row["kind"] == "learned_border"]
    np.testing.assert_array_equal(learned, axes.collections[1].get_paths()[0].vertices)


def test_decision_counts_every_point_once(drawn):
    given = plane(1500)
    figure = drawn(draw_decision, "decision", **given)
    right = [int(np.sum(given["correct"] & (given["labels"] == label))) for label in (0, 1)]
    wrong = int(np.sum(~given["correct"]))
    assert wrong > 10
    assert legend_texts(figure) == [
        "learned border",
        "true border",
        f"class 0, right ({right[0]})",
        f"class 1, right ({right[1]})",
        f"wrong ({wrong})",
    ]
    border, *groups = figure.axes[0].lines
    np.testing.assert_array_equal(border.get_xydata(), given["border"][0])
    assert [len(group.get_xydata()) for group in groups] == [*right, wrong]
    assert len({group.get_marker() for group in groups}) == 3
    np.testing.assert_array_equal(groups[2].get_xydata(), given["points"][~given["correct"]])
    assert captions(figure) == []
    assert_tidy(figure)


def test_many_points_are_cut_and_the_cut_is_said(drawn, tmp_path):
    given = plane(MOST_POINTS + 500)
    figure = drawn(draw_decision, "decision", **given)
    drawn_points = np.vstack([line.get_xydata() for line in figure.axes[0].lines[1:]])
    assert {tuple(point) for point in drawn_points} == {tuple(point) for point in given["points"][:MOST_POINTS]}
    assert captions(figure) == ["the first 2,000 of 2,500 points are drawn; the counts are of all"]
    assert sum(row["kind"] == "point" for row in table(tmp_path / "figure.csv")) == MOST_POINTS
    assert legend_texts(figure)[-1] == f"wrong ({np.sum(~given['correct'])})"
    assert_tidy(figure)


def test_learned_border_is_where_the_prediction_crosses_the_middle_level(drawn):
    axes = drawn(draw_decision, "decision", **plane(levels=(-1.0, 0.0, 1.0))).axes[0]
    contour = axes.collections[1].get_paths()[0].vertices
    np.testing.assert_allclose(np.hypot(*(contour.T - [[0.53], [0.5]])), 0.4, atol=2e-3)


@pytest.mark.parametrize("levels", [(0.0, 0.5, 1.0), (-1.0, 0.2, 1.0), (1.0, 0.0, -1.0)])
def test_levels_fix_the_colours_of_the_classes(drawn, levels):
    figure = drawn(draw_decision, "decision", **plane(levels=levels))
    mesh = figure.axes[0].collections[0]
    ends = [mesh.cmap(float(mesh.norm(level))) for level in levels]
    orange, pale, purple = ends
    assert orange[0] > orange[2] + 0.3
    assert purple[2] > purple[1] + 0.1
    assert min(pale[:3]) > 0.9
    scale = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert scale == [f"{levels[0]:g}\nclass 0", f"{levels[1]:g}\nborder", f"{levels[2]:g}\nclass 1"]


@pytest.mark.parametrize(("reach", "extend"), [(0.9, "neither"), (1.5, "both")])
def test_predictions_beyond_the_levels_show_on_the_scale(drawn, reach, extend):
    figure = drawn(draw_decision, "decision", **plane(reach=reach))
    assert figure.axes[0].collections[0].colorbar.extend == extend
    assert_tidy(figure)


def test_missing_parts_leave_no_entries(drawn):
    given = plane(0) | {"border": []}
    given["prediction"] = np.full_like(given["prediction"], 0.1)
    assert legend_texts(drawn(draw_decision, "decision", **given)) == ["learned border: none in view"]


@pytest.mark.parametrize("where", [np.s_[:10, :10], np.s_[:, :]], ids=["part", "all"])
def test_a_prediction_that_is_not_finite_is_left_out_and_said(drawn, where):
    given = plane()
    given["prediction"][where] = np.nan
    given["prediction"][0, 0] = np.inf
    figure = drawn(draw_decision, "decision", **given)
    assert legend_texts(figure)[-1] == "no finite score"
    assert figure.axes[0].collections[0].get_array().mask[where].all()


@pytest.mark.parametrize(("stretch", "aspect"), [(0.25, 1.0), (1, 1.0), (4, 1.0), (100, "auto"), (0.001, "auto")])
def test_the_plane_has_one_scale_unless_its_sides_are_unlike(drawn, stretch, aspect):
    given = plane() | {"border": []}
    given["y"] = given["y"] * stretch
    given["points"] = given["points"] * [1, stretch]
    figure = drawn(draw_decision, "decision", **given)
    assert figure.axes[0].get_aspect() == aspect
    assert_tidy(figure)


def test_drawing_changes_no_setting_and_chooses_no_window_system(tmp_path):
    program = """
import sys, numpy, matplotlib
from pathlib import Path
from minidl_cli.display.figures import Curve, draw_curves

def settings():  # asking for the backend would choose one
    return {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}

before = settings()
draw_curves(Path(sys.argv[1]), "title", numpy.arange(3), [Curve("train", numpy.ones((2, 3)))], [])
assert settings() == before
assert not {"matplotlib.pyplot", "torch"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "figure.png")], check=True)
