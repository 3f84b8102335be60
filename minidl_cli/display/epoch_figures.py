"""Figures of metrics over epochs: of one run, of variants side by side, of every single round."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .sheet import (
    Entry,
    Grid,
    Style,
    draw_grid,
    label_axes,
    line_style,
    open_sheet,
    scale_by_decades,
    usable,
    write_note,
)

MOST_EPOCHS = 100  # of single rounds: more would show no more

_PARTS = ("train", "test")


@dataclass(frozen=True)
class Curve:
    """One line of a panel.

    `values` [rounds, epochs] is NaN where a round has no value: it stopped, diverged or failed, or the epoch was not
    logged.
    """

    label: str
    values: NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """The metrics of some rounds over epochs, such as those of a variant or of a framework.

    `epochs` [epochs] are those that were logged, ascending; each of `metrics` is [rounds, epochs], NaN where a round
    has no value.
    """

    label: str
    epochs: NDArray[Any]
    metrics: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Metric:
    """A metric by its name in the data, and what the axis of a panel calls it."""

    name: str
    label: str
    higher_is_better: bool = False


_ACCURACY = Metric("accuracy", "accuracy", higher_is_better=True)


@dataclass(frozen=True)
class _Line:
    """A curve as it is drawn: `values` [rounds, epochs] over `epochs` [epochs]."""

    label: str
    epochs: NDArray[Any]
    values: NDArray[np.float64]
    style: Style


@dataclass(frozen=True)
class _Panel:
    label: str
    lines: Sequence[_Line]
    by_decades: bool = True  # where the values allow it


def draw_curves(
    path: Path,
    title: str,
    epochs: NDArray[Any],
    loss: Sequence[Curve],
    measured: Sequence[Curve],
    *,
    loss_label: str = "loss",
    metric: Metric = _ACCURACY,
) -> None:
    """Draw loss and, where it was measured, another metric over `epochs` [epochs], side by side.

    All curves hold the same rounds. One round is a line; several are the line of their median and the band
    between their 5th and 95th percentile. A label looks the same in both panels. An axis is logarithmic where lower
    is better, and all that is drawn is positive and spans more than a decade.

    The CSV has the columns `panel,label,epoch,q05,median,q95,rounds`; `rounds` counts those with a value.
    """
    labels = list(dict.fromkeys(curve.label for curve in [*loss, *measured]))
    styles = {label: line_style(index) for index, label in enumerate(labels)}

    def lines(curves: Sequence[Curve]) -> list[_Line]:
        return [_Line(curve.label, epochs, curve.values, styles[curve.label]) for curve in curves]

    panels = [_Panel(loss_label, lines(loss))]
    panels += [_Panel(metric.label, lines(measured), by_decades=not metric.higher_is_better)] if measured else []
    entries = [Entry(style, label) for label, style in styles.items()]
    grid = Grid(panels=len(panels), columns=2, width=3.4 if measured else 5.4, height=3.3)
    _draw_spreads(path, title, grid, panels, entries, _rounds_caption(epochs, [*loss, *measured]))


def draw_variants(
    path: Path, title: str, variants: Sequence[History], *, loss_label: str = "loss", zoom: int | None = None
) -> None:
    """Draw loss and other metrics over epochs for each variant, on training data and below on test data.

    Those of classes are error rate, loss and accuracy, from `train_loss`, `train_accuracy` and so on. Those of numbers
    are loss, MSE and MAE, from `train_mse`, `train_mae` and so on, without the MSE where it is the loss of all
    variants. Where there is only the loss, its two panels stand side by side. Each variant is the line of the median
    over its rounds and the band between their 5th and 95th percentile. The axes of all but accuracy are logarithmic
    where all that is drawn is positive and spans more than a decade.

    Args:
        path: the file to write; the CSV beside it has the columns `panel,label,epoch,q05,median,q95,rounds`.
        title: what stands above.
        variants: up to 20 can be told apart.
        loss_label: what the loss is called.
        zoom: draw only so many epochs, counted back from the last one of any variant.
    """
    last = max((variant.epochs[-1] for variant in variants if len(variant.epochs)), default=0)
    after = last - zoom if zoom else -np.inf
    measures = _measures(variants, loss_label)
    panels = []
    for part in _PARTS:
        for name, metric, complement in measures:
            lines = _lines(variants, f"{part}_{metric}", after, complement=complement)
            panels.append(_Panel(f"{part} {name}", lines, by_decades=complement or metric != "accuracy"))
    notes = ["line: median over rounds, band: 5th to 95th percentile"] if _most_rounds(variants) > 1 else []
    notes += [f"the last {zoom:,} epochs"] if zoom else []
    columns = len(measures) if len(measures) > 1 else len(_PARTS)  # the loss alone stands in one row
    grid = Grid(panels=len(panels), columns=columns, width=3.0, height=2.5)
    _draw_spreads(path, title, grid, panels, _history_entries(variants), "; ".join(notes))


def _measures(variants: Sequence[History], loss_label: str) -> list[tuple[str, str, bool]]:
    """What to draw of each part: the label, the metric, and whether it is its complement to 1."""
    known = {name.partition("_")[2] for variant in variants for name in variant.metrics}
    measures = [("error rate", "accuracy", True), (loss_label, "loss", False), ("accuracy", "accuracy", False)]
    if "mae" in known:
        measures += [] if all(map(_learns_mse, variants)) else [("MSE", "mse", False)]
        measures.append(("MAE", "mae", False))
    return [each for each in measures if each[1] in known]


def _learns_mse(variant: History) -> bool:
    """Whether the loss is the MSE."""
    losses, errors = (variant.metrics.get(f"test_{name}") for name in ("loss", "mse"))
    return losses is not None and errors is not None and np.array_equal(losses, errors, equal_nan=True)


def draw_rounds(path: Path, title: str, groups: Sequence[History], metrics: Sequence[Metric]) -> None:
    """Draw every round of each group as a thin line, and the median of the group as a thick one.

    There is a panel for each of `metrics`. Its axis is logarithmic where lower is better, and all that is drawn is
    positive and spans more than a decade. Of more than `MOST_EPOCHS` epochs, so many are drawn, evenly chosen.

    The CSV has the columns `panel,label,round,epoch,value`; rounds count from 0.
    """
    thinned = [_thinned(group) for group in groups]
    panels = [
        _Panel(metric.label, _lines(thinned, metric.name), by_decades=not metric.higher_is_better) for metric in metrics
    ]
    notes = ["thin: each round; thick: their median"] if _most_rounds(groups) > 1 else []
    epochs = max((len(group.epochs) for group in groups), default=0)
    notes += [f"{MOST_EPOCHS} of {epochs:,} epochs are drawn"] if epochs > MOST_EPOCHS else []
    grid = Grid(panels=len(panels), columns=2, width=3.9 if len(panels) > 1 else 5.4, height=3.6)
    sheet = open_sheet(title, grid, _history_entries(groups), "; ".join(notes))
    for index, panel in enumerate(panels):
        _draw_all_rounds(sheet.panel(index), panel)
    sheet.save(path, ["panel", "label", "round", "epoch", "value"], _round_rows(panels))


def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 5th, 50th and 95th percentile [3, epochs] of `values` [rounds, epochs] over rounds with a value.

    `numpy.nanpercentile` gives the same, but goes through the epochs one by one and warns of empty ones.
    """
    ordered = np.sort(np.vstack([usable(values), np.full(values.shape[1], np.nan)]), axis=0)  # NaN comes last
    last = np.maximum(np.isfinite(ordered).sum(axis=0) - 1, 0)
    position = np.outer((0.05, 0.5, 0.95), last)
    below = position.astype(np.intp)
    lower = np.take_along_axis(ordered, below, axis=0)
    upper = np.take_along_axis(ordered, np.minimum(below + 1, last), axis=0)
    result: NDArray[np.float64] = lower + (position - below) * (upper - lower)
    return result


def _draw_spreads(
    path: Path, title: str, grid: Grid, panels: Sequence[_Panel], entries: Sequence[Entry], caption: str
) -> None:
    """Draw each line as its median and band, and write them down."""
    sheet = open_sheet(title, grid, entries, caption)
    rows: list[Sequence[object]] = []
    for index, panel in enumerate(panels):
        axes = sheet.panel(index)
        spreads = [spread(line.values) for line in panel.lines]
        _prepare_panel(axes, panel, spreads)
        for line, (low, median, high) in zip(panel.lines, spreads, strict=True):
            opacity = 0.2 if len(panel.lines) <= 4 else 0.1  # many bands lie on top of each other
            _draw_band(axes, line.epochs, low, high, line.style["color"], opacity)
            _draw_line(axes, line.epochs, median, line.style)
            counts = np.isfinite(usable(line.values)).sum(axis=0)
            columns = (line.epochs, low, median, high, counts)
            cells = zip(*(column.tolist() for column in columns), strict=True)
            rows += [(panel.label, line.label, *numbers) for numbers in cells]
    sheet.save(path, ["panel", "label", "epoch", "q05", "median", "q95", "rounds"], rows)


def _prepare_panel(axes: Axes, panel: _Panel, drawn: Sequence[NDArray[np.float64]]) -> None:
    """Set up the axes of a panel that is to hold the values `drawn`; say so where there are none."""
    label_axes(axes, "epoch", panel.label)
    if panel.by_decades:
        scale_by_decades(axes.yaxis, drawn)
    draw_grid(axes)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    epochs = sorted({epoch for line in panel.lines for epoch in line.epochs.tolist()})
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)  # room for whole numbers, the only ones an epoch can be
    if not any(np.isfinite(values).any() for values in drawn):
        write_note(axes, "no epochs were trained" if panel.lines and not epochs else "no values to show")


def _draw_line(axes: Axes, epochs: NDArray[Any], values: NDArray[np.float64], style: Style) -> None:
    """Draw `values` [epochs] with a marker now and then, and wherever a value stands alone."""
    now_and_then = np.arange(len(epochs)) % ceil(len(epochs) / 10 or 1) == 0
    marked = np.flatnonzero(_alone(np.isfinite(values)) | now_and_then).tolist()
    axes.plot(epochs, values, markevery=marked, **style)


def _draw_band(
    axes: Axes, epochs: NDArray[Any], low: NDArray[Any], high: NDArray[Any], colour: str, opacity: float
) -> None:
    alone = _alone(np.isfinite(low))
    axes.fill_between(epochs, low, high, color=colour, alpha=opacity, linewidth=0)
    axes.vlines(epochs[alone], low[alone], high[alone], color=colour, alpha=2 * opacity, linewidth=4)


def _draw_all_rounds(axes: Axes, panel: _Panel) -> None:
    """Draw the rounds of all lines, then their medians, set off from the rounds by a white edge."""
    _prepare_panel(axes, panel, [line.values for line in panel.lines])
    for line in panel.lines:
        _draw_each_round(axes, line)
    medians = [spread(line.values)[1] for line in panel.lines]
    for line, median in zip(panel.lines, medians, strict=True):
        axes.plot(line.epochs, median, color="white", linewidth=4.5)
    for line, median in zip(panel.lines, medians, strict=True):
        _draw_line(axes, line.epochs, median, line.style | {"linewidth": 2.4, "markersize": 5.0})


def _draw_each_round(axes: Axes, line: _Line) -> None:
    colour = line.style["color"]
    rounds = [np.column_stack([line.epochs, values]) for values in line.values]
    axes.add_collection(LineCollection(rounds, colors=colour, alpha=0.3, linewidth=0.5))
    alone = _alone(np.isfinite(line.values))
    epochs = np.broadcast_to(line.epochs, line.values.shape)
    axes.plot(epochs[alone], line.values[alone], linestyle="", marker=".", markersize=3.0, color=colour, alpha=0.3)


def _alone(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where in `known` [..., epochs] there is no neighbour to draw a line to."""
    padded = np.pad(known, [(0, 0)] * (known.ndim - 1) + [(1, 1)])
    alone: NDArray[np.bool_] = known & ~padded[..., :-2] & ~padded[..., 2:]
    return alone


def _rounds_caption(epochs: NDArray[Any], curves: Sequence[Curve]) -> str:
    """What lines and bands of several rounds are, and how many rounds reach the end; nothing for one."""
    rounds = len(curves[0].values) if curves else 0
    if rounds < 2 or not len(epochs):
        return ""
    finishing, last = _reaching(epochs, [curve.values for curve in curves])
    note = f" ({finishing:,} of them at epoch {last:g})" if finishing < rounds else ""
    return f"median of {rounds:,} rounds{note}, band: 5th to 95th percentile"


def _reaching(epochs: NDArray[Any], values: Sequence[NDArray[np.float64]]) -> tuple[int, float]:
    """How many rounds have any of `values`, each [rounds, epochs], at the last epoch with one; and this epoch."""
    present = np.any([np.isfinite(each) for each in values], axis=0)
    known = np.flatnonzero(present.any(axis=0))
    return (int(present[:, known[-1]].sum()), epochs[known[-1]]) if known.size else (0, epochs[-1])


def _history_entries(histories: Sequence[History]) -> list[Entry]:
    """The legend of `histories`: how many rounds there are, and how many of them reach the end."""
    return [Entry(line_style(index), history.label, _rounds_note(history)) for index, history in enumerate(histories)]


def _rounds_note(history: History) -> str:
    rounds = _most_rounds([history])
    if rounds < 2 or not len(history.epochs):
        return ""
    finishing, last = _reaching(history.epochs, list(history.metrics.values()))
    return f"{rounds:,} rounds" if finishing == rounds else f"{finishing:,} of {rounds:,} rounds at epoch {last:g}"


def _most_rounds(histories: Sequence[History]) -> int:
    return max((len(values) for history in histories for values in history.metrics.values()), default=0)


def _lines(
    histories: Sequence[History], metric: str, after: float = -np.inf, *, complement: bool = False
) -> list[_Line]:
    """A metric, or its complement to 1, of each history that has it, in the epochs after `after`."""
    lines = []
    for index, history in enumerate(histories):
        if metric in history.metrics:
            shown = history.epochs > after
            values = usable(history.metrics[metric][:, shown])
            values = 1.0 - values if complement else values
            lines.append(_Line(history.label, history.epochs[shown], values, line_style(index)))
    return lines


def _thinned(history: History) -> History:
    """`history` with at most `MOST_EPOCHS` of its epochs, the first and the last among them."""
    epochs = len(history.epochs)
    kept = np.linspace(0, epochs - 1, min(epochs, MOST_EPOCHS)).round().astype(np.intp)
    metrics = {name: values[:, kept] for name, values in history.metrics.items()}
    return History(history.label, history.epochs[kept], metrics)


def _round_rows(panels: Sequence[_Panel]) -> Iterator[Sequence[object]]:
    for panel in panels:
        for line in panel.lines:
            epochs = line.epochs.tolist()
            for number, values in enumerate(line.values.tolist()):
                yield from ((panel.label, line.label, number, *cells) for cells in zip(epochs, values, strict=True))
