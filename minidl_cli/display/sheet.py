"""The page that every figure is drawn on: title, panels, legend and caption, saved as PNG with its data as CSV.

Every part of a page has a place of its own, measured in inches: nothing overlaps, and no automatic layout has to
run. Text from outside is never read as mathematics.
"""

import csv
import io
import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from ..atomic import write_atomically

Style = dict[str, Any]  # how matplotlib's Line2D looks

SIZE = 10.0  # of all text but the title, in points
LINE = 0.21  # the height of a line of it in inches
LITERAL: dict[str, Any] = {"parse_math": False, "usetex": False}

# Okabe and Ito's palette holds for any colour vision; dashes and markers also tell lines apart in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v")

_DPI = 150
_TITLE_SIZE = 12.0  # points
_TITLE_LINE, _TICKS_AND_LABEL, _LEGEND_HANDLE, _BETWEEN_ROWS = 0.24, 0.6, 0.75, 0.2  # inches
_NARROWEST = 5.5  # a page in inches: titles, legends and captions need room
_LARGEST = 1e100  # beyond it a value has diverged, and would overflow the arithmetic of the axes


@dataclass(frozen=True)
class Entry:
    """A line of the legend. Where it is too long, `label` is cut and `note` is kept."""

    style: Style
    label: str
    note: str = ""


@dataclass(frozen=True)
class Grid:
    """Places for panels of `width` × `height`, row by row; all lengths are in inches.

    `left` has room for the ticks and the label of y, `gap` is as much between two columns, `right` is the margin, and
    `heading` is room for a title above each panel.
    """

    panels: int
    columns: int
    width: float
    height: float
    left: float = 0.9
    gap: float = 1.1
    right: float = 0.2
    heading: float = 0.0

    @property
    def across(self) -> float:
        """The width of the page."""
        columns = max(1, min(self.columns, self.panels))
        return self.left + columns * self.width + (columns - 1) * self.gap + self.right

    @property
    def up(self) -> float:
        """The height of all rows, without what stands below the last."""
        return self._rows * self._pitch - _TICKS_AND_LABEL - _BETWEEN_ROWS

    def place(self, index: int) -> tuple[float, float]:
        """The left and the lower edge of a panel, from those of the grid."""
        row, column = divmod(index, self.columns)
        return self.left + column * (self.width + self.gap), (self._rows - 1 - row) * self._pitch

    @property
    def _rows(self) -> int:
        return max(1, ceil(self.panels / self.columns))

    @property
    def _pitch(self) -> float:
        return self.height + self.heading + _TICKS_AND_LABEL + _BETWEEN_ROWS


@dataclass(frozen=True)
class Sheet:
    """A page with title, legend and caption in place, and room for the panels of `grid` from `left` and `floor`."""

    figure: Figure
    grid: Grid
    left: float
    floor: float

    def panel(self, index: int) -> Axes:
        """Add the axes of a panel of the grid."""
        left, below = self.grid.place(index)
        return self.axes(left=left, below=below, width=self.grid.width, height=self.grid.height)

    def axes(self, *, left: float, width: float, height: float, below: float = 0.0) -> Axes:
        """Add axes anywhere on the grid."""
        across, up = self.figure.get_size_inches()
        place = ((self.left + left) / across, (self.floor + below) / up, width / across, height / up)
        return self.figure.add_axes(place)

    def save(self, path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write the figure as PNG, whatever the ending of `path`, and what it shows as CSV beside it.

        `curves.csv` stands beside `curves.png`, and is written before it: where the figure is, its data are. Numbers
        have all their digits; those that are not finite are empty cells. Equal figures give equal bytes.

        Raises:
            OSError: the disk is full, or the folder cannot be written; each file is the old or the new one, whole.
        """
        table, image = io.StringIO(), io.BytesIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_cell(value) for value in row] for row in rows)
        # The highest levels make files hardly smaller, in up to twice the time.
        compression = {"compress_level": 3}
        self.figure.savefig(image, format="png", dpi=_DPI, metadata={"Software": None}, pil_kwargs=compression)
        write_atomically(path.with_suffix(".csv"), table.getvalue().encode(errors="backslashreplace"))
        write_atomically(path, image.getvalue())


def open_sheet(title: str, grid: Grid, entries: Sequence[Entry], caption: str = "") -> Sheet:
    """Lay out a page whose size follows from its parts."""
    width = max(grid.across, _NARROWEST)
    figure = Figure(figsize=(width, 1.0), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)  # becomes the figure's canvas
    heading = _wrapped(title, _TITLE_SIZE, inches=width - 0.4, lines=2)
    caption = _wrapped(caption, SIZE, inches=width - 0.4, lines=2)
    names = [_entry_text(entry, width - _LEGEND_HANDLE - 0.2) for entry in entries]
    widest = max((_length(name, SIZE) for name in names), default=0.0)
    columns = max(1, min(len(names), int((width - 0.2) / (widest + _LEGEND_HANDLE))))

    caption_lines = (caption.count("\n") + 1.5) if caption else 0.0
    legend_top = 0.15 + LINE * (caption_lines + ceil(len(names) / columns))
    floor = legend_top + _TICKS_AND_LABEL
    height = floor + grid.up + 0.25 + _TITLE_LINE * (heading.count("\n") + 1)
    figure.set_size_inches(width, height)

    figure.text(0.5, 1 - 0.1 / height, heading, size=_TITLE_SIZE, ha="center", va="top", **LITERAL)
    figure.text(0.5, 0.1 / height, caption, size=SIZE, ha="center", va="bottom", color="0.25", **LITERAL)
    legend = figure.legend(
        [Line2D([], [], **entry.style) for entry in entries],
        names,
        loc="upper center",
        bbox_to_anchor=(0.5, legend_top / height),
        ncols=columns,
        frameon=False,
        fontsize=SIZE,
        handlelength=2.4,
        borderpad=0.0,
        borderaxespad=0.0,
    )
    for text in legend.get_texts():
        text.update(LITERAL)
    return Sheet(figure, grid, (width - grid.across) / 2, floor)


def line_style(index: int) -> Style:
    """The look of the line of the label at `index`; the first 20 differ even in grey."""
    colour, dash, marker = (choice[index % len(choice)] for choice in (COLOURS, _DASHES, _MARKERS))
    return {"color": colour, "linestyle": dash, "marker": marker, "linewidth": 1.6, "markersize": 4.0}


def label_axes(axes: Axes, across: str, up: str) -> None:
    """Name both axes."""
    room = axes.get_window_extent()
    axes.set_xlabel(_wrapped(across, SIZE, inches=room.width / _DPI - 1.0), size=SIZE, **LITERAL)
    axes.set_ylabel(_wrapped(up, SIZE, inches=room.height / _DPI), size=SIZE, **LITERAL)
    axes.ticklabel_format(axis="y", scilimits=(-3, 4))  # longer numbers would push the label off the page


def head_panel(axes: Axes, label: str, note: str = "") -> None:
    """Write a title of one line above a panel, and a note in a line of its own below it."""
    heading = fit(label, inches=axes.get_window_extent().width / _DPI)
    axes.set_title(f"{heading}\n{note}" if note else heading, size=SIZE, **LITERAL)


def fit(text: str, *, inches: float, lines: int = 1) -> str:
    """`text` in at most `lines` lines of at most `inches`, cut with an ellipsis where it is longer."""
    return _wrapped(text, SIZE, inches=inches, lines=lines)


def scale_by_decades(axis: Axis, drawn: Iterable[NDArray[np.float64]]) -> None:
    """Make an axis logarithmic where the values in `drawn`, of any shapes, are positive and span over a decade."""
    values = np.concatenate([each.ravel() for each in drawn] or [np.empty(0)])
    values = values[np.isfinite(values)]
    if not values.size or values.min() <= 0 or values.max() <= 10 * values.min():
        return
    decades = np.log10(values.max()) - np.log10(values.min())
    if isinstance(axis, XAxis):  # whose numbers stand side by side
        axis.axes.set_xscale("log")
        subdivisions: tuple[float, ...] = (1.0, 3.0) if decades < 2 else (1.0,)
    else:
        axis.axes.set_yscale("log")
        subdivisions = (1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subdivisions))
    # Plain numbers read as well as powers of ten, and typesetting those takes longer than all else.
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def draw_grid(axes: Axes) -> None:
    """Draw thin lines behind all else."""
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)


def write_note(axes: Axes, note: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.text(0.5, 0.5, note, transform=axes.transAxes, ha="center", va="center", size=SIZE)
    axes.set(xticks=[], yticks=[])


def usable(values: NDArray[Any]) -> NDArray[np.float64]:
    """`values` with NaN in place of what cannot be drawn: it is not finite, or too large."""
    kept: NDArray[np.float64] = np.where(np.abs(values) <= _LARGEST, values, np.nan)  # a comparison with NaN is false
    return kept


def _entry_text(entry: Entry, inches: float) -> str:
    if not entry.note:
        return _wrapped(entry.label, SIZE, inches=inches)
    note = f" ({entry.note})"
    return _wrapped(entry.label, SIZE, inches=inches - _length(note, SIZE)) + note


def _wrapped(text: str, size: float, *, inches: float, lines: int = 1) -> str:
    text = "".join(sign if ord(sign) in _known_signs() else "?" for sign in " ".join(text.split()))
    columns = len(text)
    while columns > 0:
        wrapped = textwrap.wrap(text, columns)
        if len(wrapped) > lines:
            wrapped[lines - 1 :] = [" ".join(wrapped[lines - 1 :])[: columns - 1] + "…"]
        if all(_length(line, size) <= inches for line in wrapped):
            return "\n".join(wrapped)
        columns = columns * 9 // 10
    return ""


@cache
def _known_signs() -> frozenset[int]:
    """The code points the font can draw: matplotlib warns of others, and fails at halves of surrogates."""
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


@lru_cache(maxsize=1000)
def _length(line: str, size: float) -> float:
    """The width of a line of text in inches."""
    return float(Text(0, 0, line, size=size, figure=_ruler(), **LITERAL).get_window_extent().width / _DPI)


@cache
def _ruler() -> Figure:
    """A small page to measure text on."""
    figure = Figure(figsize=(1.0, 1.0), dpi=_DPI)
    FigureCanvasAgg(figure)  # becomes the figure's canvas; it measures text without drawing first
    return figure


def _cell(value: object) -> object:
    return "" if isinstance(value, float) and not math.isfinite(value) else value
