"""Figures of points in a plane: a data set, predictions right and wrong, and what a network makes of the plane."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from numpy.typing import NDArray

from .sheet import LITERAL, SIZE, Entry, Grid, Sheet, Style, fit, head_panel, label_axes, open_sheet, usable, write_note

MOST_POINTS = 2_000  # of a panel: more would hide each other, and the plane behind them

_PLANE = ("#f1a340", "#f7f7f7", "#998ec3")  # orange for class 0, purple for class 1
_UNKNOWN = "0.75"
_LEARNED: Style = {"color": "black", "linewidth": 1.8}
_TRUE: Style = {"color": "#00795a", "linewidth": 2.2, "linestyle": "--"}
_POINT: Style = {"linestyle": "", "markersize": 5.0, "markeredgecolor": "white", "markeredgewidth": 0.4}
_CLASSES = (_POINT | {"marker": "o", "color": "#a84f00"}, _POINT | {"marker": "^", "color": "#4a2080"})
_WRONG_CLASS = _POINT | {"marker": "X", "color": "white", "markersize": 7.5, "markeredgecolor": "black"}
_WRONG_CLASS["markeredgewidth"] = 1.0
_RIGHT: Style = {"linestyle": "", "marker": "+", "color": "#0072B2", "markersize": 5.0, "markeredgewidth": 0.9}
_WRONG = _POINT | {"marker": "o", "color": "#D55E00", "markersize": 6.0}

_AXIS_LABELS = ("x1", "x2")
_CLASS_NAMES = ("class 0", "class 1")


@dataclass(frozen=True)
class Part:
    """The `points` [n, 2] of a part of a data set, with their `labels` [n] in {0, 1}."""

    label: str
    points: NDArray[Any]
    labels: NDArray[Any]


@dataclass(frozen=True)
class Predictions:
    """Which predictions of a model are `correct` [n], at `points` [n, 2]."""

    label: str
    points: NDArray[Any]
    correct: NDArray[Any]


@dataclass(frozen=True)
class _Group:
    """Those `members` [n] of the points of a panel that look alike."""

    style: Style
    members: NDArray[np.bool_]


def draw_decision(
    path: Path,
    title: str,
    *,
    x: NDArray[Any],
    y: NDArray[Any],
    prediction: NDArray[Any],
    levels: tuple[float, float, float],
    border: Sequence[NDArray[Any]],
    points: NDArray[Any],
    labels: NDArray[Any],
    correct: NDArray[Any],
    axis_labels: tuple[str, str] = _AXIS_LABELS,
    class_names: tuple[str, str] = _CLASS_NAMES,
) -> None:
    """Draw the prediction over the plane, the learned and the true border, and the points right and wrong.

    `x` [nx] and `y` [ny], at least two values each, are the grid, and `prediction` [ny, nx] the score there.
    `levels` are the scores of class 0, of the border and of class 1, in rising or falling order: the ends and
    the middle of the colours; the contour of the middle one is the learned border. `border` is the true one
    as polylines [n, 2] and may be empty. `points` [n, 2] have `labels` [n] in {0, 1} and `correct` [n]. Both
    axes have one scale, unless one is over four times as long as the other.

    The CSV has the columns `kind,line,x1,x2,label,correct`: a `kind` of point for each point that is drawn, and
    learned_border and true_border for the corners of the borders, whose lines are numbered. The scores behind them
    are left out: there are too many, and the network gives them.
    """
    scores = np.ma.masked_invalid(prediction)
    crosses = bool(scores.count()) and bool(scores.min() < levels[1] < scores.max())
    correct = np.asarray(correct, dtype=bool)
    names = [*(f"{name}, right" for name in class_names), "wrong"]
    groups = [_Group(_CLASSES[label], correct & (labels == label)) for label in (0, 1)]
    groups.append(_Group(_WRONG_CLASS, ~correct))  # last, so that they lie on top

    entries = [Entry(_LEARNED, "learned border" if crosses else "learned border: none in view")]
    entries += _border_entries(border)
    if len(points):
        counted = zip(names, groups, strict=True)
        entries += [Entry(group.style, name, f"{group.members.sum():,}") for name, group in counted]
    if np.ma.is_masked(scores):
        entries.append(Entry(_POINT | {"marker": "s", "color": _UNKNOWN}, "no finite score"))

    width, height, equal = _panel_size(np.ptp(x), np.ptp(y), 5.0)
    left = 0.85 + (5.0 - width) / 2
    grid = Grid(panels=1, columns=1, width=width, height=height, left=left, right=7.4 - left - width)
    sheet = open_sheet(title, grid, entries, _cut_caption([points]))
    axes = sheet.panel(0)
    label_axes(axes, *axis_labels)
    scale = sheet.axes(left=left + width + 0.15, width=0.2, height=height)
    _draw_plane(axes, scale, x, y, scores, dict(zip(levels, (class_names[0], "border", class_names[1]), strict=True)))
    learned: list[NDArray[Any]] = []
    if crosses:
        line = {"colors": _LEARNED["color"], "linewidths": _LEARNED["linewidth"]}
        learned = list(axes.contour(x, y, scores, levels=[levels[1]], **line).allsegs[0])
    _draw_points(axes, border, points, groups)
    axes.set(xlim=(x.min(), x.max()), ylim=(y.min(), y.max()), aspect="equal" if equal else "auto")
    axes.locator_params("x", nbins=max(2, round(1.4 * width)))

    rows = [*_point_rows(points, labels.astype(int), correct.astype(int))]
    rows += [(*row, "", "") for row in [*_line_rows("learned_border", learned), *_line_rows("true_border", border)]]
    sheet.save(path, ["kind", "line", "x1", "x2", "label", "correct"], rows)


def draw_dataset(
    path: Path,
    title: str,
    parts: Sequence[Part],
    *,
    border: Sequence[NDArray[Any]] = (),
    axis_labels: tuple[str, str] = _AXIS_LABELS,
    class_names: tuple[str, str] = _CLASS_NAMES,
) -> None:
    """Draw the points of the parts of a data set side by side, by class, with the true border.

    `border` is given as polylines [n, 2]. All panels show the same section of the plane.

    The CSV has the columns `panel,kind,line,x1,x2,label`: a `kind` of point for each point that is drawn, and
    true_border, once for all panels, for the corners of the border, whose lines are numbered.
    """
    panels = [[_Group(_CLASSES[label], part.labels == label) for label in (0, 1)] for part in parts]
    entries = []
    for label, style in enumerate(_CLASSES):
        counts = [f"{np.sum(part.labels == label):,} {part.label}" for part in parts]
        entries.append(Entry(style, f"{class_names[label]}: {', '.join(counts)}"))
    headings = [(part.label, f"{len(part.points):,} points") for part in parts]
    points = [part.points for part in parts]
    sheet = _draw_panels(title, entries, headings, points, panels, border, axis_labels)
    rows = [
        (part.label, *row) for part in parts for row in _point_rows(part.points, np.asarray(part.labels).astype(int))
    ]
    rows += [("", *row, "") for row in _line_rows("true_border", border)]
    sheet.save(path, ["panel", "kind", "line", "x1", "x2", "label"], rows)


def draw_predictions(
    path: Path,
    title: str,
    models: Sequence[Predictions],
    *,
    border: Sequence[NDArray[Any]] = (),
    axis_labels: tuple[str, str] = _AXIS_LABELS,
) -> None:
    """Draw for each model where its predictions are right (a plus) and wrong (a dot), three models in a row.

    `border` is the true one as polylines [n, 2]. All panels show the same section of the plane.

    The CSV has the columns `panel,kind,line,x1,x2,correct`: a `kind` of point for each point that is drawn, and
    true_border, once for all panels, for the corners of the border, whose lines are numbered.
    """
    right = [np.asarray(model.correct, dtype=bool) for model in models]
    panels = [[_Group(_RIGHT, each), _Group(_WRONG, ~each)] for each in right]
    entries = [Entry(_RIGHT, "right"), Entry(_WRONG, "wrong")]
    headings = [(model.label, _accuracy_note(each)) for model, each in zip(models, right, strict=True)]
    points = [model.points for model in models]
    sheet = _draw_panels(title, entries, headings, points, panels, border, axis_labels)
    rows = [
        (model.label, *row)
        for model, each in zip(models, right, strict=True)
        for row in _point_rows(model.points, each.astype(int))
    ]
    rows += [("", *row, "") for row in _line_rows("true_border", border)]
    sheet.save(path, ["panel", "kind", "line", "x1", "x2", "correct"], rows)


def _draw_panels(
    title: str,
    entries: Sequence[Entry],
    headings: Sequence[tuple[str, str]],
    points: Sequence[NDArray[Any]],
    panels: Sequence[Sequence[_Group]],
    border: Sequence[NDArray[Any]],
    axis_labels: tuple[str, str],
) -> Sheet:
    """A page with the groups of `points` of each panel, which show the same section of the plane."""
    limits = _limits([*points, *border])
    width, height, equal = _panel_size(np.ptp(limits[0]), np.ptp(limits[1]), 3.3)
    grid = Grid(panels=len(panels), columns=3, width=width, height=height, gap=0.9, heading=0.4)
    sheet = open_sheet(title, grid, [*entries, *_border_entries(border)], _cut_caption(points))
    for index, (heading, places, groups) in enumerate(zip(headings, points, panels, strict=True)):
        axes = sheet.panel(index)
        label_axes(axes, *axis_labels)
        head_panel(axes, *heading)
        _draw_points(axes, border, places, groups)
        axes.set(xlim=limits[0], ylim=limits[1], aspect="equal" if equal else "auto")
        axes.locator_params("x", nbins=max(2, round(1.4 * width)))
        if not len(places):
            write_note(axes, "no points")
    return sheet


def _draw_points(axes: Axes, border: Sequence[NDArray[Any]], points: NDArray[Any], groups: Sequence[_Group]) -> None:
    """Draw the first `MOST_POINTS` of `points` [n, 2] by groups, over the true border."""
    for line in border:
        axes.plot(line[:, 0], line[:, 1], **_TRUE)
    for group in groups:
        drawn = points[:MOST_POINTS][group.members[:MOST_POINTS]]
        axes.plot(drawn[:, 0], drawn[:, 1], **group.style)


def _draw_plane(
    axes: Axes,
    scale_axes: Axes,
    x: NDArray[Any],
    y: NDArray[Any],
    scores: np.ma.MaskedArray[Any, Any],
    meanings: Mapping[float, str],
) -> None:
    """Colour the plane by `scores` [ny, nx] and explain the colours in `scale_axes`: what each level means."""
    low, border, high = sorted(meanings)
    # Where scores fall from class 0 to class 1, each class keeps its colour.
    colours = LinearSegmentedColormap.from_list("plane", _PLANE if next(iter(meanings)) == low else _PLANE[::-1])
    norm = TwoSlopeNorm(border, low, high)
    axes.set_facecolor(_UNKNOWN)
    mesh = axes.pcolormesh(x, y, scores, cmap=colours, norm=norm, shading="nearest")
    beyond = (bool(np.any(scores < low)), bool(np.any(scores > high)))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[beyond]
    figure = axes.get_figure(root=True)
    assert figure is not None
    scale = figure.colorbar(mesh, cax=scale_axes, extend=extend)
    ticks = [f"{level:g}\n{fit(meaning, inches=1.0)}" for level, meaning in meanings.items()]
    scale.set_ticks(list(meanings), labels=ticks, **LITERAL)
    scale.minorticks_off()
    scale.set_label("predicted score", size=SIZE)


def _panel_size(across: float, up: float, most: float) -> tuple[float, float, bool]:
    """Width and height in inches, and whether both axes have one scale: not where one is over four times as long."""
    ratio = up / across
    if not 0.25 <= ratio <= 4.0:
        return most, 0.8 * most, False
    return min(most, 1.1 * most / ratio), min(most * ratio, 1.1 * most), True


def _limits(places: Sequence[NDArray[Any]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The section of the plane, `(x1, x2)`, that holds all `places`, each [n, 2], with a margin around them."""
    joined = usable(np.concatenate([np.empty((0, 2)), *places]))
    joined = joined[np.isfinite(joined).all(axis=1)]
    low, high = (joined.min(axis=0), joined.max(axis=0)) if len(joined) else (np.zeros(2), np.ones(2))
    margin = np.where(high > low, 0.03 * (high - low), 0.5)
    first, second = zip((low - margin).tolist(), (high + margin).tolist(), strict=True)
    return first, second


def _accuracy_note(correct: NDArray[np.bool_]) -> str:
    return f"accuracy {correct.mean():.3f} ({np.sum(~correct):,} wrong)" if len(correct) else ""


def _border_entries(border: Sequence[NDArray[Any]]) -> list[Entry]:
    return [Entry(_TRUE, "true border")] if len(border) else []


def _cut_caption(panels: Sequence[NDArray[Any]]) -> str:
    """What is said where not all points [n, 2] of each panel are drawn."""
    most = max((len(points) for points in panels), default=0)
    if most <= MOST_POINTS:
        return ""
    where = "" if len(panels) == 1 else " of each panel"
    return f"the first {MOST_POINTS:,} of {most:,} points{where} are drawn; the counts are of all"


def _point_rows(points: NDArray[Any], *columns: NDArray[Any]) -> Iterator[tuple[object, ...]]:
    """Rows of the points that are drawn: kind, no line, x1, x2 and further `columns` [n]."""
    kept = [points[:, 0], points[:, 1], *columns]
    for cells in zip(*(column[:MOST_POINTS].tolist() for column in kept), strict=True):
        yield "point", "", *cells


def _line_rows(kind: str, lines: Sequence[NDArray[Any]]) -> Iterator[tuple[object, ...]]:
    """Rows of the corners of polylines, each [n, 2]: kind, number of the line, x1, x2."""
    for number, line in enumerate(lines):
        yield from ((kind, number, *corner) for corner in line.tolist())
