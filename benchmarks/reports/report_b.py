"""Report B: the loss of the first epochs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl_cli.display import figures

from .album import Album
from .markdown import Check, Goal, Section, agrees, listed, table
from .results import Results, Spread, over_epochs


def section(results: Results, reported: Mapping[str, Any], goals: Mapping[str, Any], album: Album) -> Section:
    losses = over_epochs(results["b_descent"].only, "train_loss")
    ours, theirs = losses / losses[:, :1], np.array(reported["loss"]) / reported["loss"][0]
    blocks = {
        "b.table": _table(ours, theirs, reported["loss"]),
        "b.figures": _draw(ours, theirs, album),
        "b.checks": listed(_late_fall(ours, theirs), _slow_start(ours, theirs), _rises(ours, theirs)),
    }
    last, most = len(theirs) - 1, goals["loss"]
    found = Spread(ours[:, last]).mean
    name = f"B, the loss of epoch {last} over that of epoch 0"
    return Section(blocks, [Goal(name, f"at most {most:g}", f"{found:.3f}", found <= most)])


def _table(ours: NDArray[np.float64], theirs: NDArray[np.float64], printed: list[float]) -> str:
    spreads = [Spread(ours[:, epoch]) for epoch in range(len(theirs))]
    columns = [
        [str(epoch), *(f"{loss:.3f}" for loss in (said, relative, found.mean)), "{:.2f} to {:.2f}".format(*found.ends)]
        for epoch, (said, relative, found) in enumerate(zip(printed, theirs, spreads, strict=True))
    ]
    for column, relative, found in zip(columns[1:], theirs[1:], spreads[1:], strict=True):
        column.append(agrees(float(relative), found))
    columns[0].append("")  # 1 by definition
    names = ["epoch", "reported", "reported, over epoch 0", "minidl, over epoch 0", "5th to 95th percentile", "agree"]
    rows = [[name, *cells] for name, cells in zip(names, zip(*columns, strict=True), strict=True)]
    return table(rows[0], rows[1:])


def _draw(ours: NDArray[np.float64], theirs: NDArray[np.float64], album: Album) -> str:
    histories = [
        figures.History("minidl", np.arange(ours.shape[1]), {"loss": ours}),
        figures.History("report B", np.arange(len(theirs)), {"loss": theirs[None]}),
    ]
    path = album.drafts / "b_descent.png"
    figures.draw_rounds(path, "b_descent", histories, [figures.Metric("loss", "training loss over that of epoch 0")])
    return album.add(path, "b_descent", "The loss over that of epoch 0, of all rounds and of report B")


def _late_fall(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Check:
    last = len(theirs) - 1
    middle = last // 2

    def late_share(loss: NDArray[np.float64]) -> float:
        return float((loss[middle] - loss[last]) / (loss[0] - loss[last]))

    mean = ours.mean(axis=0)
    return Check(
        f"At first the loss hardly moves: most of its fall until epoch {last} comes after epoch {middle}.",
        late_share(mean) > 0.5 and late_share(theirs) > 0.5,
        f"{late_share(theirs):.0%} of the reported fall, {late_share(mean):.0%} of that of our mean",
    )


def _slow_start(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Check:
    second = Spread(ours[:, 1])
    return Check(
        "Only the first step differs: the reported loss falls at once, and ours stays where it is.",
        theirs[1] < second.ends[0],
        f"epoch 1 is at {theirs[1]:.3f} of epoch 0 there, and at {second} here; what the report's settings were, "
        "we do not know",
    )


def _rises(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Check:
    rising = int((np.diff(ours) > 0).any(axis=1).sum())
    printed = int((np.diff(theirs) > 0).sum())
    return Check(
        "The loss sometimes rises from one epoch to the next.",
        rising > 0,
        f"in {rising} of our {len(ours)} rounds within {ours.shape[1]} epochs; the report says so too, though of the "
        f"{len(theirs)} values that we have of it {printed or 'none'} is above the one before",
    )
