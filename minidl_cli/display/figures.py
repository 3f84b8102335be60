"""The figures of a run, drawn from plain arrays and written as PNG.

Every part of a figure (title, panels, legend, caption) has a place of its own, measured in inches: nothing
overlaps, and no automatic layout has to run. Text from outside is never read as mathematics.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

MOST_POINTS = 2_000  # more would hide the plane behind them

_DPI = 150
_SIZE, _TITLE_SIZE = 10.0, 12.0  # points
_LINE, _TITLE_LINE, _TICKS_AND_LABEL, _LEGEND_HANDLE = 0.21, 0.24, 0.6, 0.75  # inches
_LITERAL: dict[str, Any] = {"parse_math": False, "usetex": False}
_LARGEST = 1e100  # beyond it a value has diverged, and would overflow the arithmetic of the axes

# Okabe and Ito's palette holds for any colour vision; dashes and markers also tell lines apart in grey.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v")

_PLANE = ("#f1a340", "#f7f7f7", "#998ec3")  # orange for class 0, purple for class 1
_UNKNOWN = "0.75"
_LEARNED: dict[str, Any] = {"color": "black", "linewidth": 1.8}
_TRUE: dict[str, Any] = {"color": "#00795a", "linewidth": 2.2, "linestyle": "--"}
_POINT: dict[str, Any] = {
    "linestyle": "",
    "markersize": 5.0,
    "markeredgecolor": "white",
    "markeredgewidth": 0.4,
}
_RIGHT = (_POINT | {"marker": "o", "color": "#a84f00"}, _POINT | {"marker": "^", "color": "#4a2080"})
_WRONG = _POINT | {"marker": "X", "color": "white", "markersize": 7.5, "markeredgecolor": "black"}
_WRONG["markeredgewidth"] = 1.0


@dataclass(frozen=True)
class Curve:
    """One line of a panel.

    `values` [rounds, epochs] is NaN where a round has no value: it stopped or diverged, or the epoch was not
    logged.
    """

    label: str
    values: NDArray[np.float64]


def draw_curves(
    path: Path,
    title: str,
    epochs: NDArray[Any],
    loss: Sequence[Curve],
    accuracy: Sequence[Curve],
    *,
    loss_label: str = "loss",
) -> None:
    """Draw loss and, where there is any, accuracy over `epochs` [epochs], side by side.

    All curves hold the same rounds. One round is a line; several are the line of their median and the band
    between their 5th and 95th percentile. A label looks the same in both panels. The loss axis is logarithmic
    where all that is drawn is positive and spans more than a decade.
    """
    panels = [(loss_label, loss), ("accuracy", accuracy)] if accuracy else [(loss_label, loss)]
    names = list(dict.fromkeys(curve.label for _, curves in panels for curve in curves))
    styles = {name: _line_style(index) for index, name in enumerate(names)}
    sheet = _sheet(
        title,
        width=9.0 if accuracy else 6.5,
        body=3.3,
        entries=[(style, name) for name, style in styles.items()],
        caption=_rounds_caption(epochs, [*loss, *accuracy]),
    )
    for column, (label, curves) in enumerate(panels):
        axes = sheet.axes(left=0.9 + 4.5 * column, width=3.4 if accuracy else 5.4, height=3.3)
        _label_axes(axes, "epoch", label)
        spreads = [spread(curve.values) for curve in curves]
        if column == 0:
            _scale_by_decades(axes, spreads)
        _draw_panel(axes, epochs, spreads, [styles[curve.label] for curve in curves])
    _save(sheet.figure, path)


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
    axis_labels: tuple[str, str] = ("x1", "x2"),
) -> None:
    """Draw the prediction over the plane, the learned and the true border, and the points right and wrong.

    `x` [nx] and `y` [ny], at least two values each, are the grid, and `prediction` [ny, nx] the score there.
    `levels` are the scores of class 0, of the border and of class 1, in rising or falling order: the ends and
    the middle of the colours; the contour of the middle one is the learned border. `border` is the true one
    as polylines [n, 2] and may be empty. `points` [n, 2] have `labels` [n] in {0, 1} and `correct` [n]. Both
    axes have one scale, unless one is over four times as long as the other.
    """
    scores = np.ma.masked_invalid(prediction)
    crosses = bool(scores.count()) and bool(scores.min() < levels[1] < scores.max())
    correct = np.asarray(correct, dtype=bool)
    groups = [(_RIGHT[label], f"class {label}, right", correct & (labels == label)) for label in (0, 1)]
    groups.append((_WRONG, "wrong", ~correct))  # last, so that they lie on top

    entries = [(_LEARNED, "learned border" if crosses else "learned border: none in view")]
    entries += [(_TRUE, "true border")] if len(border) else []
    entries += [(style, f"{name} ({members.sum():,})") for style, name, members in groups if len(points)]
    if np.ma.is_masked(scores):
        entries.append((_POINT | {"marker": "s", "color": _UNKNOWN}, "no finite score"))

    ratio = float(np.ptp(y) / np.ptp(x))
    equal = 0.25 <= ratio <= 4.0
    width, height = (min(5.0, 5.5 / ratio), min(5.0 * ratio, 5.5)) if equal else (5.0, 4.0)
    few = f"the first {MOST_POINTS:,} of {len(points):,} points are drawn; the counts are of all"
    caption = few if len(points) > MOST_POINTS else ""
    sheet = _sheet(title, width=7.4, body=height, entries=entries, caption=caption)
    left = 0.85 + (5.0 - width) / 2
    axes = sheet.axes(left=left, width=width, height=height)
    _label_axes(axes, *axis_labels)
    _draw_plane(axes, sheet.axes(left=left + width + 0.15, width=0.2, height=height), x, y, scores, levels)
    if crosses:
        axes.contour(x, y, scores, levels=[levels[1]], colors=_LEARNED["color"], linewidths=_LEARNED["linewidth"])
    for line in border:
        axes.plot(line[:, 0], line[:, 1], **_TRUE)
    for style, _, members in groups:
        drawn = points[:MOST_POINTS][members[:MOST_POINTS]]
        axes.plot(drawn[:, 0], drawn[:, 1], **style)
    axes.set(xlim=(x.min(), x.max()), ylim=(y.min(), y.max()), aspect="equal" if equal else "auto")
    axes.locator_params("x", nbins=max(2, round(1.4 * width)))
    _save(sheet.figure, path)


def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 5th, 50th and 95th percentile [3, epochs] of `values` [rounds, epochs] over rounds with a value.

    `numpy.nanpercentile` gives the same, but goes through the epochs one by one and warns of empty ones.
    """
    usable = np.where(np.abs(values) <= _LARGEST, values, np.nan)  # a comparison with NaN is false
    ordered = np.sort(np.vstack([usable, np.full(values.shape[1], np.nan)]), axis=0)  # NaN comes last
    last = np.maximum(np.isfinite(ordered).sum(axis=0) - 1, 0)
    position = np.outer((0.05, 0.5, 0.95), last)
    below = position.astype(np.intp)
    lower = np.take_along_axis(ordered, below, axis=0)
    upper = np.take_along_axis(ordered, np.minimum(below + 1, last), axis=0)
    result: NDArray[np.float64] = lower + (position - below) * (upper - lower)
    return result


@dataclass(frozen=True)
class _Sheet:
    """A figure with title, legend and caption in place, and room for panels `floor` inches above its foot."""

    figure: Figure
    floor: float

    def axes(self, *, left: float, width: float, height: float) -> Axes:
        across, up = self.figure.get_size_inches()
        return self.figure.add_axes((left / across, self.floor / up, width / across, height / up))


def _sheet(
    title: str, *, width: float, body: float, entries: Sequence[tuple[dict[str, Any], str]], caption: str
) -> _Sheet:
    """A figure of `width` inches whose height follows from its parts."""
    figure = Figure(figsize=(width, 1.0), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)  # becomes the figure's canvas; it measures text without drawing first
    heading = _fit(figure, title, _TITLE_SIZE, inches=width - 0.4, lines=2)
    names = [_fit(figure, name, _SIZE, inches=width / 2 - _LEGEND_HANDLE - 0.2) for _, name in entries]
    widest = max((_length(figure, name, _SIZE) for name in names), default=0.0)
    columns = max(1, min(len(names), int((width - 0.2) / (widest + _LEGEND_HANDLE))))

    legend_top = 0.15 + (1.5 * _LINE if caption else 0.0) + _LINE * ceil(len(names) / columns)
    floor = legend_top + _TICKS_AND_LABEL
    height = floor + body + 0.25 + _TITLE_LINE * (heading.count("\n") + 1)
    figure.set_size_inches(width, height)

    figure.text(0.5, 1 - 0.1 / height, heading, size=_TITLE_SIZE, ha="center", va="top", **_LITERAL)
    figure.text(0.5, 0.1 / height, caption, size=_SIZE, ha="center", va="bottom", color="0.25")
    legend = figure.legend(
        [Line2D([], [], **style) for style, _ in entries],
        names,
        loc="upper center",
        bbox_to_anchor=(0.5, legend_top / height),
        ncols=columns,
        frameon=False,
        fontsize=_SIZE,
        handlelength=2.4,
        borderpad=0.0,
        borderaxespad=0.0,
    )
    for text in legend.get_texts():
        text.update(_LITERAL)
    return _Sheet(figure, floor)


def _fit(figure: Figure, text: str, size: float, *, inches: float, lines: int = 1) -> str:
    """`text` in at most `lines` lines of at most `inches`, cut with an ellipsis where it is longer."""
    text = "".join(sign if ord(sign) in _known_signs() else "?" for sign in " ".join(text.split()))
    columns = len(text)
    while columns > 0:
        wrapped = textwrap.wrap(text, columns)
        if len(wrapped) > lines:
            wrapped = [*wrapped[: lines - 1], wrapped[lines - 1][: columns - 1] + "…"]
        if all(_length(figure, line, size) <= inches for line in wrapped):
            return "\n".join(wrapped)
        columns = columns * 9 // 10
    return ""


@cache
def _known_signs() -> frozenset[int]:
    """The code points the font can draw: matplotlib warns of others, and fails at halves of surrogates."""
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def _length(figure: Figure, line: str, size: float) -> float:
    """The width of a line of text in inches."""
    return float(Text(0, 0, line, size=size, figure=figure, **_LITERAL).get_window_extent().width / _DPI)


def _label_axes(axes: Axes, across: str, up: str) -> None:
    figure, room = axes.get_figure(root=True), axes.get_window_extent()
    assert figure is not None
    axes.set_xlabel(_fit(figure, across, _SIZE, inches=room.width / _DPI), size=_SIZE, **_LITERAL)
    axes.set_ylabel(_fit(figure, up, _SIZE, inches=room.height / _DPI), size=_SIZE, **_LITERAL)
    axes.ticklabel_format(axis="y", scilimits=(-3, 4))  # longer numbers would push the label off the page


def _line_style(index: int) -> dict[str, Any]:
    colour, dash, marker = (choice[index % len(choice)] for choice in (_COLOURS, _DASHES, _MARKERS))
    return {"color": colour, "linestyle": dash, "marker": marker, "linewidth": 1.6, "markersize": 4.0}


def _draw_panel(
    axes: Axes, epochs: NDArray[Any], spreads: Sequence[NDArray[np.float64]], styles: Sequence[dict[str, Any]]
) -> None:
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)  # room for whole numbers, the only ones an epoch can be
    for (low, median, high), style in zip(spreads, styles, strict=True):
        known = np.pad(np.isfinite(median), 1)
        alone = known[1:-1] & ~known[:-2] & ~known[2:]  # no neighbour to draw a line and a band to
        now_and_then = np.arange(len(epochs)) % ceil(len(epochs) / 10 or 1) == 0
        axes.plot(epochs, median, markevery=np.flatnonzero(alone | now_and_then).tolist(), **style)
        axes.fill_between(epochs, low, high, color=style["color"], alpha=0.2, linewidth=0)
        axes.vlines(epochs[alone], low[alone], high[alone], color=style["color"], alpha=0.4, linewidth=4)
    if not np.isfinite(spreads).any():
        note = "no values to show" if len(epochs) else "no epochs were trained"
        axes.text(0.5, 0.5, note, transform=axes.transAxes, ha="center", va="center", size=_SIZE)
        axes.set(xticks=[], yticks=[])


def _scale_by_decades(axes: Axes, spreads: Sequence[NDArray[np.float64]]) -> None:
    """Make y logarithmic where `spreads`, each [3, epochs], are positive and span more than a decade."""
    drawn = np.asarray(spreads)
    drawn = drawn[np.isfinite(drawn)]
    if not drawn.size or drawn.min() <= 0 or drawn.max() <= 10 * drawn.min():
        return
    axes.set_yscale("log")
    decades = np.log10(drawn.max()) - np.log10(drawn.min())
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)))
    # Plain numbers read as well as powers of ten, and typesetting those takes longer than all else.
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _rounds_caption(epochs: NDArray[Any], curves: Sequence[Curve]) -> str:
    """What lines and bands of several rounds are, and how many rounds reach the end; nothing for one."""
    rounds = len(curves[0].values) if curves else 0
    if rounds < 2 or not len(epochs):
        return ""
    present = np.any([np.isfinite(curve.values) for curve in curves], axis=0)
    known = np.flatnonzero(present.any(axis=0))
    finishing = present[:, known[-1]].sum() if known.size else rounds
    note = f" ({finishing:,} of them at epoch {epochs[known[-1]]:g})" if finishing < rounds else ""
    return f"median of {rounds:,} rounds{note}, band: 5th to 95th percentile"


def _draw_plane(
    axes: Axes,
    scale_axes: Axes,
    x: NDArray[Any],
    y: NDArray[Any],
    scores: np.ma.MaskedArray[Any, Any],
    levels: tuple[float, float, float],
) -> None:
    """Colour the plane by `scores` [ny, nx] and explain the colours in `scale_axes`."""
    low, border, high = sorted(levels)
    # Where scores fall from class 0 to class 1, each class keeps its colour.
    colours = LinearSegmentedColormap.from_list("plane", _PLANE if levels[0] == low else _PLANE[::-1])
    norm = TwoSlopeNorm(border, low, high)
    axes.set_facecolor(_UNKNOWN)
    mesh = axes.pcolormesh(x, y, scores, cmap=colours, norm=norm, shading="nearest")
    beyond = (bool(np.any(scores < low)), bool(np.any(scores > high)))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[beyond]
    figure = axes.get_figure(root=True)
    assert figure is not None
    scale = figure.colorbar(mesh, cax=scale_axes, extend=extend)
    meanings = zip(levels, ("class 0", "border", "class 1"), strict=True)
    scale.set_ticks(list(levels), labels=[f"{level:g}\n{meaning}" for level, meaning in meanings])
    scale.minorticks_off()
    scale.set_label("predicted score", size=_SIZE)


def _save(figure: Figure, path: Path) -> None:
    """Write `figure` as PNG, whatever the ending of `path`; equal figures give equal bytes."""
    figure.savefig(path, format="png", dpi=_DPI, metadata={"Software": None})
