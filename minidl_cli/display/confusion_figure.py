"""The figure of a confusion matrix: which class is taken for which."""

from collections.abc import Sequence
from math import ceil, inf
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from numpy.typing import NDArray

from .sheet import LINE, LITERAL, SIZE, Entry, Grid, Style, fit, label_axes, open_sheet

# Inches: a side of the matrix is what its cells take, but at least and at most so much.
_CELL, _SMALLEST, _LARGEST = 0.75, 2.4, 7.0
_ROOM_FOR_LABELS = (0.3, 0.6, 0.9, 1.2, 1.6)  # the first that holds those of all classes; longer ones are cut
_TICKS_AND_NAME, _GAP, _SCALE, _SCALE_LABELS = 0.5, 0.2, 0.2, 0.8

_SHADES = "Blues"  # from light to dark: it holds for any colour vision, and in grey
_WHITE_FROM = 0.55  # numbers on shares from here on are white
_NEVER = "0"  # in no round: without a decimal, and without a deviation
_NO_SAMPLES = "0.8"
_NO_SAMPLES_SIGN: Style = {"linestyle": "", "marker": "s", "color": _NO_SAMPLES, "markersize": 8.0}


def draw_confusion(
    path: Path, title: str, labels: Sequence[str], mean: NDArray[Any], std: NDArray[Any] | None = None
) -> None:
    """Draw how many samples of each class (rows) are taken for which (columns).

    `mean` [classes, classes] are the numbers of samples; of several rounds their means, and `std` their deviations.
    They are written into the cells where all of them fit. The colour of a cell is its share of the samples of the true
    class.

    The CSV has the columns `true,predicted,samples,std,share`.
    """
    samples = mean.sum(axis=1, keepdims=True)
    shares = np.divide(mean, samples, out=np.full(mean.shape, np.nan), where=samples > 0)
    side = float(np.clip(_CELL * len(labels), _SMALLEST, _LARGEST))
    cell = side / len(labels)
    room = next((room for room in _ROOM_FOR_LABELS if _all_fit(labels, room)), _ROOM_FOR_LABELS[-1])
    upright = not _all_fit(labels, 0.9 * cell)
    below = room - LINE if upright else 0.0
    numbers, caption = _numbers(mean, std, cell)

    left, right = room + _TICKS_AND_NAME, _GAP + _SCALE + _SCALE_LABELS
    grid = Grid(panels=1, columns=1, width=side, height=side + below, left=left, right=right)
    entries = [] if samples.all() else [Entry(_NO_SAMPLES_SIGN, "no samples of the true class")]
    sheet = open_sheet(title, grid, entries, caption)
    axes = sheet.axes(left=left, below=below, width=side, height=side)
    label_axes(axes, "predicted", "true")
    axes.set_facecolor(_NO_SAMPLES)
    image = axes.imshow(np.ma.masked_invalid(shares), cmap=_SHADES, vmin=0, vmax=1, aspect="auto")
    _write_labels(axes.yaxis, labels, room, cell)
    _write_labels(axes.xaxis, labels, room if upright else cell, cell, rotation=90 if upright else 0)
    _write_numbers(axes, numbers, shares)
    scale_axes = sheet.axes(left=left + side + _GAP, below=below, width=_SCALE, height=side)
    sheet.figure.colorbar(image, cax=scale_axes).set_label("share of the true class", size=SIZE)

    deviations = np.full(mean.shape, np.nan) if std is None else std
    rows = [
        (true, predicted, *(table[row, column].item() for table in (mean, deviations, shares)))
        for row, true in enumerate(labels)
        for column, predicted in enumerate(labels)
    ]
    sheet.save(path, ["true", "predicted", "samples", "std", "share"], rows)


def _all_fit(texts: Sequence[str], inches: float) -> bool:
    return all(fit(text, inches=inches) == fit(text, inches=inf) for text in texts)


def _write_labels(axis: Axis, labels: Sequence[str], room: float, cell: float, rotation: float = 0.0) -> None:
    """Write the classes' labels along an axis, only every so manieth where lines would overlap."""
    places = range(0, len(labels), ceil(LINE / cell))
    names = [fit(labels[place], inches=room) for place in places]
    axis.set_ticks(places, labels=names, size=SIZE, rotation=rotation, **LITERAL)


def _numbers(mean: NDArray[Any], std: NDArray[Any] | None, cell: float) -> tuple[list[list[str]], str]:
    """The text of each cell, as much as fits into all of them, and what the caption says about it."""
    if std is None:
        counts = [[f"{value:,.0f}" for value in row] for row in mean.tolist()]
        return (counts, "numbers: samples") if _cells_hold(counts, cell) else ([], "")
    means = [[_rounded(value) if value else _NEVER for value in row] for row in mean.tolist()]
    if not _cells_hold(means, cell):
        return [], "mean over rounds"
    deviations = [[f"± {_rounded(value)}" for value in row] for row in std.tolist()]
    if not _cells_hold(deviations, cell):  # which are wider than two lines are high
        return means, "numbers: samples, mean over rounds"
    both = [
        [count if count == _NEVER else f"{count}\n{deviation}" for count, deviation in zip(*rows, strict=True)]
        for rows in zip(means, deviations, strict=True)
    ]
    return both, "numbers: samples, mean and deviation over rounds"


def _cells_hold(texts: Sequence[Sequence[str]], cell: float) -> bool:
    return cell >= LINE and all(_all_fit(row, 0.9 * cell) for row in texts)


def _rounded(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _write_numbers(axes: Axes, numbers: Sequence[Sequence[str]], shares: NDArray[Any]) -> None:
    for row, texts in enumerate(numbers):
        for column, text in enumerate(texts):
            colour = "white" if shares[row, column] >= _WHITE_FROM else "black"  # a comparison with NaN is false
            axes.text(column, row, text, size=SIZE, color=colour, ha="center", va="center", **LITERAL)
