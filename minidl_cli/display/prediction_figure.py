"""The figure of predicted numbers against true ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..scores import r2, root_mean_squared_error
from .plane_figures import MOST_POINTS
from .sheet import COLOURS, Entry, Grid, Style, draw_grid, head_panel, label_axes, open_sheet, usable, write_note

_POINT: Style = {"linestyle": "", "marker": "o", "color": COLOURS[0], "markersize": 4.0}
_POINT |= {"markeredgewidth": 0.3, "markeredgecolor": "white", "alpha": 0.7}
_DIAGONAL: Style = {"color": "black", "linewidth": 1.2, "linestyle": "--"}

_SIDE = 3.4  # of a panel, in inches


@dataclass(frozen=True)
class Target:
    """The `true` values [n] of a target column, and those `predicted` [n]."""

    label: str
    true: NDArray[Any]
    predicted: NDArray[Any]


def draw_true_against_predicted(path: Path, title: str, targets: Sequence[Target]) -> None:
    """Draw the predicted over the true values, a panel for each target, three in a row.

    On the diagonal predictions are perfect. Of more than `MOST_POINTS` values only so many are drawn, which lie evenly
    in their order; RMSE and R² are those of all.

    The CSV has the columns `panel,true,predicted`, a row for each point that is drawn.
    """
    drawn = [_thinned(target) for target in targets]
    grid = Grid(panels=len(targets), columns=3, width=_SIDE, height=_SIDE, heading=0.4)
    entries = [Entry(_POINT, "sample"), Entry(_DIAGONAL, "perfect prediction")]
    sheet = open_sheet(title, grid, entries, _caption(targets))
    for index, (target, (true, predicted)) in enumerate(zip(targets, drawn, strict=True)):
        axes = sheet.panel(index)
        label_axes(axes, "true", "predicted")
        axes.ticklabel_format(axis="x", scilimits=(-3, 4))
        axes.locator_params(nbins=5)
        head_panel(axes, target.label, _note(target))
        draw_grid(axes)
        axes.plot(true, predicted, **_POINT)
        axes.axline((0, 0), slope=1, **_DIAGONAL)
        limits = _limits(np.concatenate([true, predicted]))
        axes.set(xlim=limits, ylim=limits, aspect="equal")
        if not len(true):
            write_note(axes, "no points")
    rows = [
        (target.label, *cells)
        for target, columns in zip(targets, drawn, strict=True)
        for cells in zip(*(column.tolist() for column in columns), strict=True)
    ]
    sheet.save(path, ["panel", "true", "predicted"], rows)


def _thinned(target: Target) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most `MOST_POINTS` true and predicted values, NaN where one cannot be drawn."""
    n = len(target.true)
    places = np.arange(n) if n <= MOST_POINTS else np.linspace(0, n - 1, MOST_POINTS).astype(np.int64)
    return _numbers(target.true[places]), _numbers(target.predicted[places])


def _numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    return usable(values.astype(np.float64))


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """The ends of both axes: they hold all `values` [n], with a margin around them."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _note(target: Target) -> str:
    true, predicted = _numbers(target.true), _numbers(target.predicted)
    if not (len(true) and np.isfinite(true + predicted).all()):
        return ""
    return f"RMSE {float(root_mean_squared_error(true, predicted)):.4g}, R² {float(r2(true, predicted)):.3f}"


def _caption(targets: Sequence[Target]) -> str:
    most = max((len(target.true) for target in targets), default=0)
    if most <= MOST_POINTS:
        return ""
    where = "" if len(targets) == 1 else " of each panel"
    return f"{MOST_POINTS:,} of {most:,} points{where} are drawn; RMSE and R² are those of all"
