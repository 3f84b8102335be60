"""Figures of how all rounds ended: final values side by side, and final loss against another metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from .epoch_figures import Metric
from .sheet import (
    COLOURS,
    LITERAL,
    SIZE,
    Entry,
    Grid,
    Style,
    draw_grid,
    fit,
    label_axes,
    line_style,
    open_sheet,
    scale_by_decades,
    usable,
    write_note,
)

_LABELS, _STRIP = 2.6, 0.58  # inches: the width of the labels of strips, and the height of a strip
_HALF_BOX, _HALF_CLOUD = 0.38, 0.28  # of a strip
_BEYOND = 1e200  # stands for the worst value there is; what is interpolated with it cannot be drawn
_GOLDEN = (5**0.5 - 1) / 2  # its multiples modulo 1 lie evenly, and neighbours far from each other

_DOT: Style = {"linestyle": "", "markersize": 4.5, "markeredgewidth": 0.4, "markeredgecolor": "white", "alpha": 0.8}
_BOX: Style = {"color": "black", "linewidth": 1.0, "solid_capstyle": "butt"}
_MEDIAN = _BOX | {"linewidth": 2.6}

# Open signs, so that one shows through another in the same place; and filled ones for medians.
_SIGNS = (("o", 7.0), ("x", 5.5), ("s", 8.5), ("+", 8.0), ("^", 7.0))
_MEDIAN_SIGNS = (("o", 16.0), ("X", 12.0), ("s", 12.0), ("P", 12.0), ("^", 12.0))


@dataclass(frozen=True)
class Finals:
    """The final metrics of some rounds, such as those of a variant or of a framework.

    Each of `metrics` is [rounds], all in the same order, NaN where a round has no value: it diverged or failed.
    """

    label: str
    metrics: Mapping[str, NDArray[np.float64]]


def draw_final_points(path: Path, title: str, groups: Sequence[Finals], metrics: Sequence[Metric]) -> None:
    """Draw the final values of all rounds as points, a strip for each group and a panel for each of `metrics`.

    Median and quartiles are marked; rounds without a value count as the worst, and a quartile that is one of them
    is left out. An axis is logarithmic where lower is better, and all that is drawn is positive and spans more than
    a decade. Points are moved apart within their strip, which means nothing.

    The CSV has the columns `panel,label,round,value`; rounds count from 0.
    """
    entries = [
        Entry(_DOT | {"marker": "o", "color": "0.4"}, "one round"),
        Entry(_MEDIAN | {"marker": "|", "linestyle": "", "markersize": 12.0, "markeredgewidth": 2.6}, "median"),
        Entry(_BOX | {"marker": "s", "linestyle": "", "markersize": 10.0, "fillstyle": "none"}, "quartiles"),
    ]
    missing = any(np.isnan(_values(group, metric.name)).any() for group in groups for metric in metrics)
    caption = "rounds without a value count as the worst" if missing else ""
    height = _STRIP * max(len(groups), 2)
    grid = Grid(panels=len(metrics), columns=len(metrics), width=3.4, height=height, left=_LABELS, gap=0.4)
    sheet = open_sheet(title, grid, entries, caption)
    for index, metric in enumerate(metrics):
        axes = sheet.panel(index)
        finals = [_values(group, metric.name) for group in groups]
        label_axes(axes, metric.label, "")
        axes.ticklabel_format(axis="x", scilimits=(-3, 4))
        axes.locator_params("x", nbins=5, min_n_ticks=3)
        if not metric.higher_is_better:
            scale_by_decades(axes.xaxis, finals)
        draw_grid(axes)
        for strip, values in enumerate(finals):
            _draw_strip(axes, strip, values, metric)
        if not any(np.isfinite(values).any() for values in finals):
            write_note(axes, "no values to show")
        names = [_strip_label(group) for group in groups] if index == 0 else [""] * len(groups)
        axes.set_yticks(range(len(groups)), labels=names, size=SIZE, **LITERAL)
        axes.tick_params(axis="y", length=0.0)
        axes.set_ylim(max(len(groups), 1) - 0.5, -0.5)  # the first on top
    rows = [
        (metric.label, group.label, number, value)
        for metric in metrics
        for group in groups
        for number, value in enumerate(_values(group, metric.name).tolist())
    ]
    sheet.save(path, ["panel", "label", "round", "value"], rows)


def draw_final_pairs(path: Path, title: str, groups: Sequence[Finals], *, loss: Metric, metric: Metric) -> None:
    """Draw the final accuracy, or error, of every round over its final loss, with a sign for each group.

    A large filled sign is at the medians of both metrics, where rounds without a value count as the worst. Signs of
    several groups in one place can all be seen. An axis is logarithmic where lower is better, and all that is drawn is
    positive and spans more than a decade.

    The CSV has the columns `label,round,loss,accuracy`, or `label,round,loss,error` where lower is better; rounds
    count from 0.
    """
    entries = [Entry(_sign(index), group.label, _note(group)) for index, group in enumerate(groups)]
    grid = Grid(panels=1, columns=1, width=5.4, height=4.2)
    sheet = open_sheet(title, grid, entries, "large filled signs: medians")
    axes = sheet.panel(0)
    label_axes(axes, loss.label, metric.label)
    axes.ticklabel_format(axis="x", scilimits=(-3, 4))
    pairs = [(_values(group, loss.name), _values(group, metric.name)) for group in groups]
    scale_by_decades(axes.xaxis, [losses for losses, _ in pairs])
    if not metric.higher_is_better:
        scale_by_decades(axes.yaxis, [values for _, values in pairs])
    draw_grid(axes)
    for index, (losses, values) in enumerate(pairs):
        axes.plot(losses, values, **_sign(index))
    for index, pair in enumerate(pairs):
        middle = [
            _quartiles(values, higher_is_better=each.higher_is_better)[1]
            for values, each in zip(pair, (loss, metric), strict=True)
        ]
        axes.plot(*middle, **_median_sign(index))
    if not any(np.isfinite(losses + values).any() for losses, values in pairs):
        write_note(axes, "no values to show")
    rows = [
        (group.label, number, *values)
        for group, pair in zip(groups, pairs, strict=True)
        for number, values in enumerate(zip(*(each.tolist() for each in pair), strict=True))
    ]
    sheet.save(path, ["label", "round", "loss", "accuracy" if metric.higher_is_better else "error"], rows)


def _draw_strip(axes: Axes, strip: int, values: NDArray[np.float64], metric: Metric) -> None:
    """Draw one group, with its median and quartiles over the points."""
    look = line_style(strip)
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    offsets = _HALF_CLOUD * (2 * ((0.5 + rank * _GOLDEN) % 1) - 1)
    axes.plot(values, strip + offsets, **_DOT, color=look["color"], marker=look["marker"])
    q1, median, q3 = _quartiles(values, higher_is_better=metric.higher_is_better)
    low, high = strip - _HALF_BOX, strip + _HALF_BOX
    axes.plot([q1, q1, q3, q3, q1], [low, high, high, low, low], **_BOX)
    axes.plot([median, median], [low, high], **_MEDIAN)


def _quartiles(values: NDArray[np.float64], *, higher_is_better: bool) -> list[float]:
    """The quartiles of `values` [rounds], those without a value being the worst; NaN for one that is such a round."""
    if not len(values):
        return [np.nan] * 3
    worst = -_BEYOND if higher_is_better else _BEYOND
    quartiles = np.quantile(np.where(np.isfinite(values), values, worst), (0.25, 0.5, 0.75))
    return [float(value) for value in usable(quartiles)]


def _values(group: Finals, metric: str) -> NDArray[np.float64]:
    """A metric of all rounds [rounds]; all are NaN where the group does not have it."""
    return usable(group.metrics.get(metric, np.full(_rounds(group), np.nan)))


def _rounds(group: Finals) -> int:
    return max((len(values) for values in group.metrics.values()), default=0)


def _note(group: Finals) -> str:
    """How many rounds there are, and how many of them have a value."""
    rounds = _rounds(group)
    finished = int(np.any([np.isfinite(usable(values)) for values in group.metrics.values()], axis=0).sum())
    share = f"{rounds:,}" if finished == rounds else f"{finished:,} of {rounds:,}"
    return f"{share} {'round' if rounds == 1 else 'rounds'}"


def _strip_label(group: Finals) -> str:
    return f"{fit(group.label, inches=_LABELS - 0.2, lines=2)}\n{_note(group)}"


def _sign(index: int) -> Style:
    marker, size = _SIGNS[index % len(_SIGNS)]
    colour = COLOURS[index % len(COLOURS)]
    return {"linestyle": "", "marker": marker, "markersize": size, "color": colour, "fillstyle": "none"}


def _median_sign(index: int) -> Style:
    marker, size = _MEDIAN_SIGNS[index % len(_MEDIAN_SIGNS)]
    style = {"linestyle": "", "marker": marker, "markersize": size, "color": COLOURS[index % len(COLOURS)]}
    return style | {"markeredgecolor": "black", "markeredgewidth": 1.2}
