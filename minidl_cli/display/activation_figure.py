"""The figure of activation functions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .sheet import COLOURS, Entry, Grid, Style, draw_grid, head_panel, label_axes, open_sheet, usable

_VALUE: Style = {"color": COLOURS[0], "linewidth": 1.8}
_DERIVATIVE: Style = {"color": COLOURS[1], "linewidth": 1.8, "linestyle": "--"}


def draw_activations(
    path: Path, title: str, functions: Mapping[str, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]
) -> None:
    """Draw each function with its derivative in a panel of its own, four in a row.

    `functions` gives `x`, `y` and `dy/dx`, each [n], by name. The CSV has the columns
    `panel,x,value,derivative`.
    """
    entries = [Entry(_VALUE, "value"), Entry(_DERIVATIVE, "derivative")]
    grid = Grid(panels=len(functions), columns=4, width=2.6, height=2.2, left=0.75, gap=0.75, heading=0.2)
    sheet = open_sheet(title, grid, entries)
    for index, (name, (x, value, derivative)) in enumerate(functions.items()):
        axes = sheet.panel(index)
        label_axes(axes, "x", "")
        head_panel(axes, name)
        draw_grid(axes)
        axes.plot(x, usable(value), **_VALUE)
        axes.plot(x, usable(derivative), **_DERIVATIVE)
    rows = [
        (name, *cells)
        for name, columns in functions.items()
        for cells in zip(*(usable(column).tolist() for column in columns), strict=True)
    ]
    sheet.save(path, ["panel", "x", "value", "derivative"], rows)
