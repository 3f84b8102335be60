"""An example of every figure, and what must hold for each."""

import csv
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from minidl_cli.display.figures import (
    Curve,
    Finals,
    History,
    Metric,
    Part,
    Predictions,
    Target,
    draw_activations,
    draw_confusion,
    draw_curves,
    draw_dataset,
    draw_decision,
    draw_final_pairs,
    draw_final_points,
    draw_predictions,
    draw_rounds,
    draw_true_against_predicted,
    draw_variants,
)

Draw = Callable[..., Figure]

HOSTILE = [
    "an unpaired $",
    "\\alpha_{",
    "_hidden",
    "many words " * 20,
    "line\nbreak\tand tab",
    "",
    "$a_b$ and $\\frac{1$",
    "W" * 200,
    "i" * 100 + "W" * 100,
    "\udcff surrogate, \x00 null, 日本",
]
# What each text of the others is like, for figures that differ little in what they do with text.
SOME_HOSTILE = ["$a_b$ and $\\frac{1$", "W" * 200, "\udcff surrogate, \x00 null, 日本"]

LOSS, ACCURACY = Metric("loss", "final loss"), Metric("accuracy", "final accuracy", higher_is_better=True)
TRAIN_LOSS = Metric("train_loss", "train loss")
TEST_ACCURACY = Metric("test_accuracy", "test accuracy", higher_is_better=True)

ANGLES = np.linspace(0, 2 * np.pi, 100)
CIRCLE = np.column_stack([0.5 + 0.4 * np.cos(ANGLES), 0.5 + 0.4 * np.sin(ANGLES)])


def falling(rounds, epochs, seed=0):
    """Values [rounds, epochs] from about 1 down to about 0.005."""
    noise = np.random.default_rng(seed).normal(0, 0.1, (rounds, epochs))
    return np.geomspace(1, 0.005, max(epochs, 1))[:epochs] * np.exp(noise)


def panels(rounds, epochs):
    """The positional arguments of `draw_curves` for two curves in both panels."""
    loss = [Curve("train", falling(rounds, epochs)), Curve("test", 1.5 * falling(rounds, epochs, seed=1))]
    accuracy = [Curve(curve.label, np.exp(-curve.values)) for curve in loss]
    return "curves", np.arange(1, epochs + 1), loss, accuracy


def plane(points=300, levels=(0.0, 0.5, 1.0), reach=1.0):
    """The named arguments of `draw_decision` for a disc, learned a little too far to the right."""
    grid = np.linspace(0, 1, 60)
    place, labels = disc(points)

    def score(x, y):
        likeness = np.tanh(10 * (0.4 - np.hypot(x - 0.53, y - 0.5))) * reach
        return levels[1] + likeness * (levels[2] - levels[0]) / 2

    return {
        "x": grid,
        "y": grid,
        "prediction": score(*np.meshgrid(grid, grid)),
        "levels": levels,
        "border": [CIRCLE],
        "points": place,
        "labels": labels,
        "correct": (np.hypot(*(place.T - [[0.53], [0.5]])) < 0.4) == (labels == 1),
    }


def disc(points, seed=0):
    """Points [n, 2] in the unit square, and whether they lie in a disc [n]."""
    place = np.random.default_rng(seed).uniform(0, 1, (points, 2))
    return place, (np.hypot(*(place.T - 0.5)) < 0.4).astype(int)


def history(label, rounds, epochs, seed=0, every=1):
    """Losses and accuracies of some rounds, logged now and then."""
    logged = np.arange(every, epochs + 1, every)
    loss = falling(rounds, len(logged), seed)
    metrics = {"train_loss": loss, "train_accuracy": np.exp(-loss)}
    metrics |= {"test_loss": 1.5 * loss, "test_accuracy": np.exp(-1.5 * loss)}
    return History(label, logged, metrics)


def finals(label, rounds, seed=0, missing=0):
    """The final loss and accuracy of some rounds, of which the first have none."""
    loss = 0.05 * np.exp(np.random.default_rng(seed).normal(0, 0.2, rounds))
    loss[:missing] = np.nan
    return Finals(label, {"loss": loss, "accuracy": np.round(1 - loss, 3)})


def predictions(label, points=200, seed=0):
    place, labels = disc(points, seed)
    return Predictions(label, place, (np.hypot(*(place.T - [[0.55], [0.5]])) < 0.4) == (labels == 1))


def confusion(classes, samples=1000.0, seed=0):
    """How many samples of each class are taken for which [classes, classes], mean and deviation over rounds."""
    noise = np.random.default_rng(seed).uniform(0, samples / 10, (2, classes, classes))
    return np.eye(classes) * samples + noise[0], noise[1]


def target(label, points=200, seed=0):
    true, noise = np.random.default_rng(seed).normal(0, 1, (2, points))
    return Target(label, true, true + 0.2 * noise)


def activations(*names):
    x = np.linspace(-5, 5, 41)
    return {name: (x, np.tanh(x), 1 - np.tanh(x) ** 2) for name in names}


def example(kind: str, text: str = "text") -> tuple[Callable[..., None], tuple[Any, ...], dict[str, Any]]:
    """A drawing function with arguments for it that say `text` wherever a text can be given."""
    x1x2 = {"border": [CIRCLE], "axis_labels": (text, text)}
    metrics = [Metric("loss", text), Metric("accuracy", text, higher_is_better=True)]
    over_epochs = [Metric("train_loss", text), Metric("test_accuracy", text, higher_is_better=True)]
    curve = Curve(text, falling(4, 20))
    examples = {
        "curves": (draw_curves, (text, np.arange(20), [curve], [curve]), {"loss_label": text}),
        "decision": (draw_decision, (text,), plane() | {"axis_labels": (text, text)}),
        "variants": (draw_variants, (text, [history(text, 4, 30), history("b", 3, 40, 1, 4)]), {"loss_label": text}),
        "rounds": (draw_rounds, (text, [history(text, 4, 30), history("b", 3, 40, 1, 4)], over_epochs), {}),
        "final points": (draw_final_points, (text, [finals(text, 9, missing=2), finals("b", 9, 1)], metrics), {}),
        "clusters": (
            draw_final_pairs,
            (text, [finals(text, 9, missing=2), finals("b", 9, 1)]),
            {"loss": metrics[0], "metric": metrics[1]},
        ),
        "dataset": (draw_dataset, (text, [Part(text, *disc(200)), Part("test", *disc(50, 1))]), x1x2),
        "predictions": (draw_predictions, (text, [predictions(text), *map(predictions, "bcde")]), x1x2),
        "confusion": (draw_confusion, (text, [text, "b", "c"], *confusion(3)), {}),
        "true against predicted": (draw_true_against_predicted, (text, [target(text), *map(target, "bcd")]), {}),
        "activations": (draw_activations, (text, activations(text, *"bcdef")), {}),
    }
    return examples[kind]


KINDS = [
    "curves",
    "decision",
    "variants",
    "rounds",
    "final points",
    "clusters",
    "dataset",
    "predictions",
    "confusion",
    "true against predicted",
    "activations",
]


def table(path: Path) -> list[dict[str, Any]]:
    """The rows of the CSV beside a figure, numbers as numbers, empty cells as None."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: _parsed(cell) for name, cell in row.items()} for row in csv.DictReader(file)]


def _parsed(cell: str) -> Any:
    if re.fullmatch(r"-?\d+", cell):
        return int(cell)
    return float(cell) if re.fullmatch(r"-?\d.*\d", cell) else cell or None


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def captions(figure):
    return [text.get_text() for text in figure.texts[1:] if text.get_text()]


def assert_tidy(figure):
    """Title, panels with their labels, legend and caption lie inside the figure and apart from each other."""
    parts = [*figure.axes, *figure.legends, *(text for text in figure.texts if text.get_text())]
    boxes = [part.get_tightbbox(figure.canvas.get_renderer()) for part in parts]
    page = figure.bbox
    for part, box in zip(parts, boxes, strict=True):
        assert box.x0 >= page.x0, part
        assert box.y0 >= page.y0, part
        assert box.x1 <= page.x1, part
        assert box.y1 <= page.y1, part
    for (one, box), (other, other_box) in combinations(zip(parts, boxes, strict=True), 2):
        assert not box.overlaps(other_box), (one, other)
