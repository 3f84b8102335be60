"""What a folder holds that compares runs: statistics, a table, and figures."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import metrics
from ..atomic import write_atomically
from ..display import figures
from ..display.contrast_tables import contrast_markdown
from ..errors import InputError
from ..runs.folder import Run
from ..statistics import median_index
from ..training.evaluation import checked_weights, chosen_weights
from .contrast import Side
from .drawing import FINAL_MSE, axis_labels, draw_clusters, final, is_plane, predictions_on_test, restore_one

# The figures over epochs have a second edition of the last share of them.
ZOOM = 0.2
# More cannot be told apart.
MOST_DRAWN = 20


def write_variants(run: Run, sides: Sequence[Side], document: Mapping[str, Any]) -> None:
    """Complete the folder of a sweep of variants, given their runs and how they compare."""
    counts: Counter[str] = Counter()
    for each in document["variants"]:
        counts.update({key: each["rounds"][key] for key in ("planned", "finished", "diverged", "failed")})
    seconds = sum(side.seconds for side in sides)
    described = [{**each, "folder": side.run.id} for each, side in zip(document["variants"], sides, strict=True)]
    document = {**document, "variants": described}
    run.write_json("summary.json", {"rounds": dict(counts), "final": {}, "seconds": seconds, **document})
    write_contrast(run.path, run.name, sides, document)


def write_comparison(folder: Path, sides: Sequence[Side], document: Mapping[str, Any]) -> None:
    """Write what compares runs into a folder of its own, which is made if it is not there.

    Raises:
        InputError: it is a run's or no folder, or it cannot be written.
    """
    if (folder / "config.yaml").exists():
        raise InputError(f"{folder}: is a run; name another folder, so that none of its files is overwritten")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        content = json.dumps(document, indent=2, allow_nan=False) + "\n"
        write_atomically(folder / "comparison.json", content)
        write_contrast(folder, " and ".join(side.label for side in sides), sides, document)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from error


def write_contrast(folder: Path, title: str, sides: Sequence[Side], document: Mapping[str, Any]) -> None:
    """Write `table.md` and the figures that hold runs side by side into a folder. `variants.png` is drawn last: where
    it is, all are.

    Args:
        folder: where to write.
        title: what stands above the figures.
        sides: the runs.
        document: how they compare.
    """
    write_atomically(folder / "table.md", contrast_markdown(document))
    if len(sides) > MOST_DRAWN:
        title = f"{title}: the first {MOST_DRAWN} of {len(sides)}"
        sides = sides[:MOST_DRAWN]
    losses = {side.config.loss.name for side in sides}
    loss_label = f"loss ({losses.pop()})" if len(losses) == 1 else "loss (of several kinds)"
    histories = [_history(side) for side in sides]
    last = max((epoch for side in sides for epoch in side.curves.epochs), default=0)
    zoom = round(last * ZOOM)
    if zoom > 1:
        figures.draw_variants(
            folder / "variants_end.png", f"{title}, the last {zoom} epochs", histories, loss_label=loss_label, zoom=zoom
        )
    headline = document["headline"]
    told = figures.Metric(headline, metrics.title(headline), metrics.metric(headline).higher_is_better)
    loss = figures.Metric("train_loss", f"training {loss_label}")
    figures.draw_rounds(folder / "all_rounds.png", title, histories, [loss, told])
    ends = (FINAL_MSE, final(headline))
    finals = [figures.Finals(side.label, {each.name: side.values(each.name) for each in ends}) for side in sides]
    figures.draw_final_points(folder / "final.png", title, finals, ends)
    draw_clusters(folder / "clusters.png", title, finals, headline)
    _draw_predictions(folder, title, sides)
    figures.draw_variants(folder / "variants.png", title, histories, loss_label=loss_label)


def _history(side: Side) -> figures.History:
    # The learning rate and the time are there even for a round that diverged.
    curves = {name: values for name, values in side.curves.values.items() if name not in ("lr", "seconds")}
    return figures.History(side.label, np.asarray(side.curves.epochs), curves)


def _draw_predictions(folder: Path, title: str, sides: Sequence[Side]) -> None:
    """Draw the predictions of each side's round of median accuracy, if all learn the same points in a plane."""
    first = sides[0]
    if not is_plane(first.columns) or any(side.config.data != first.config.data for side in sides):
        return
    panels = [_median_predictions(side) for side in sides if side.finished]
    if panels:
        figures.draw_predictions(
            folder / "predictions.png",
            f"{title}: test samples, in the round of median accuracy",
            panels,
            border=[line.numpy() for line in first.task.dataset.border()],
            axis_labels=axis_labels(first.columns),
        )


def _median_predictions(side: Side) -> figures.Predictions:
    task = side.task
    middle = side.finished[median_index([row.metrics["test_accuracy"] for row in side.finished])]
    place = [row.seed for row in side.rows].index(middle.seed)
    weights = checked_weights(side.run, side.config, task.network, len(side.rows), chosen_weights(side.config))
    network = restore_one(task, {name: values[place] for name, values in weights.items()})
    return predictions_on_test(task, network, middle.seed, side.label)
