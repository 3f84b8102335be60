import struct
import subprocess
import sys
import zlib
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from minidl_cli.display import figures
from minidl_cli.display.figures import MOST_POINTS, Curve, draw_curves, draw_decision, spread

HOSTILE = [
    "",
    "an unpaired $",
    "$a_b$ and $\\frac{1$",
    "\\alpha_{",
    "_hidden",
    "W" * 200,
    "many words " * 20,
    "i" * 100 + "W" * 100,
    "line\nbreak\tand tab",
    "\udcff surrogate, \x00 null, 日本",
]


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Calls a drawing function and gives the figure that it would have saved, drawn."""
    saved = []
    monkeypatch.setattr(figures, "_save", lambda figure, path: saved.append(figure))

    def draw(function, *arguments, **named):
        function(tmp_path / "never-written.png", *arguments, **named)
        saved[-1].canvas.draw()
        return saved[-1]

    return draw


def falling(rounds, epochs, seed=0):
    """Values [rounds, epochs] from about 1 down to about 0.005."""
    noise = np.random.default_rng(seed).normal(0, 0.1, (rounds, epochs))
    return np.geomspace(1, 0.005, max(epochs, 1))[:epochs] * np.exp(noise)


def panels(rounds, epochs):
    """The positional arguments of `draw_curves` for two curves in both panels."""
    loss = [Curve("train", falling(rounds, epochs)), Curve("test", 1.5 * falling(rounds, epochs, seed=1))]
    accuracy = [Curve(curve.label, np.exp(-curve.values)) for curve in loss]
    return "curves", np.arange(1, epochs + 1), loss, accuracy


def plane(points=300, levels=(0.0, 0.5, 1.0), reach=1.0):
    """The named arguments of `draw_decision` for a disc, learned a little too far to the right."""
    grid = np.linspace(0, 1, 60)
    place = np.random.default_rng(0).uniform(0, 1, (points, 2))
    labels = (np.hypot(*(place.T - 0.5)) < 0.4).astype(int)

    def score(x, y):
        likeness = np.tanh(10 * (0.4 - np.hypot(x - 0.53, y - 0.5))) * reach
        return levels[1] + likeness * (levels[2] - levels[0]) / 2

    angle = np.linspace(0, 2 * np.pi, 100)
    return {
        "x": grid,
        "y": grid,
        "prediction": score(*np.meshgrid(grid, grid)),
        "levels": levels,
        "border": [np.column_stack([0.5 + 0.4 * np.cos(angle), 0.5 + 0.4 * np.sin(angle)])],
        "points": place,
        "labels": labels,
        "correct": (np.hypot(*(place.T - [[0.53], [0.5]])) < 0.4) == (labels == 1),
    }


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def captions(figure):
    return [text.get_text() for text in figure.texts[1:] if text.get_text()]


def assert_tidy(figure):
    """Title, panels with their labels, legend and caption lie inside the figure and apart from each other."""
    parts = [*figure.axes, *figure.legends, *(text for text in figure.texts if text.get_text())]
    boxes = [part.get_tightbbox(figure.canvas.get_renderer()) for part in parts]
    page = figure.bbox
    for part, box in zip(parts, boxes, strict=True):
        assert box.x0 >= page.x0, part
        assert box.y0 >= page.y0, part
        assert box.x1 <= page.x1, part
        assert box.y1 <= page.y1, part
    for (one, box), (other, other_box) in combinations(zip(parts, boxes, strict=True), 2):
        assert not box.overlaps(other_box), (one, other)


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


@pytest.mark.parametrize("name", ["figure.png", "figure.partial", "figure"])
@pytest.mark.parametrize("kind", ["curves", "decision"])
def test_writes_the_same_valid_png_under_the_given_name_only(tmp_path, kind, name):
    def draw():
        if kind == "curves":
            draw_curves(tmp_path / name, *panels(5, 20))
        else:
            draw_decision(tmp_path / name, "decision", **plane())
        return (tmp_path / name).read_bytes()

    data = draw()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    chunks = png_chunks(data)
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert width >= 800
    assert height >= 400
    assert b"IEND" in chunks
    assert not {b"tEXt", b"iTXt", b"zTXt", b"tIME"} & set(chunks)
    assert draw() == data


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


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_drawn_literally_within_its_place(drawn, text):
    _, epochs, loss, accuracy = panels(3, 10)
    loss.append(Curve(text, loss[0].values))
    figure = drawn(draw_curves, text, epochs, loss, accuracy, loss_label=text)
    assert_tidy(figure)
    assert_tidy(drawn(draw_decision, text, **plane(), axis_labels=(text, text)))
    if "$" in text:
        assert figure.texts[0].get_text() == legend_texts(figure)[2] == figure.axes[0].get_ylabel() == text
    if len(text) == 200:
        assert figure.texts[0].get_text().endswith("…")


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1.0, 1e7, 1e80], ids=lambda scale: f"{scale:g}")
def test_labels_of_any_magnitude_fit(drawn, scale):
    title, epochs, loss, accuracy = panels(3, 10)
    for values in (loss[0].values * scale, -loss[0].values * scale, scale + loss[0].values * scale * 1e-6):
        assert_tidy(drawn(draw_curves, title, epochs * 1000, [Curve("train", values)], accuracy))


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


def test_many_points_are_cut_and_the_cut_is_said(drawn):
    given = plane(MOST_POINTS + 500)
    figure = drawn(draw_decision, "decision", **given)
    drawn_points = np.vstack([line.get_xydata() for line in figure.axes[0].lines[1:]])
    assert {tuple(point) for point in drawn_points} == {tuple(point) for point in given["points"][:MOST_POINTS]}
    assert captions(figure) == ["the first 2,000 of 2,500 points are drawn; the counts are of all"]
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
