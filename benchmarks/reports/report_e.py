"""Report E: activations, optimizers, losses, and PyTorch."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from minidl_cli.display import figures
from minidl_cli.display.text import duration
from minidl_cli.sweeps.contrast import Side

from .album import Album
from .markdown import Check, Goal, Section, agrees, equivalence, listed, stacked, table
from .results import Result, Results, Spread, final, over_epochs

NAMES = {"train_accuracy": "train accuracy", "test_accuracy": "test accuracy"}
ZOOM = 0.2  # the share of the epochs that are the last ones
STUCK = 0.4  # an error rate that only a network has which tells nothing apart


def section(results: Results, reported: Mapping[str, Any], goals: Mapping[str, Any], album: Album) -> Section:
    activations, optimizers, losses, frameworks = (
        results[f"e_{name}"] for name in ("activations", "optimizers", "losses", "torch")
    )
    ahead = [_ahead(optimizers, "SGD", "RMSprop"), _ahead(optimizers, "SGD", "Adam"), _ahead(losses, "MSE", "BCE")]
    blocks = {
        "e.activations": _activations_table(activations, reported["error"]),
        "e.others": stacked(_others_table(optimizers), _others_table(losses)),
        "e.torch": _torch_table(frameworks, reported),
        "e.figures": table(
            ["test error over all epochs", "and over the last ones"],
            [_draw(result, album) for result in (activations, optimizers, losses)],
        ),
        "e.checks": listed(
            _same_epoch(activations, reported["error"]),
            _relu_at_the_end(activations),
            *ahead,
            _equivalent(frameworks),
        ),
    }
    reached = [Goal(f"E: {check.claim.rstrip('.')}", "p < 0.05", check.found, check.holds) for check in ahead]
    return Section(blocks, reached)


def errors(side: Side) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the test error of all rounds at all epochs, `[rounds, epochs]`."""
    return 1 - over_epochs(side, "test_accuracy")


def _draw(result: Result, album: Album) -> list[str]:
    """Draw the test error of all variants over all epochs, and over the last ones."""
    epochs = np.array(result.sides[0].curves.epochs)
    name, last = result.experiment.name, max(1, round(ZOOM * len(epochs)))
    shown = []
    for kind, first in {"all": 0, "end": len(epochs) - last}.items():
        path = album.drafts / f"{name}_{kind}.png"
        curves = [figures.Curve(side.label, errors(side)[:, first:]) for side in result.sides]
        figures.draw_curves(path, name, epochs[first:], curves, [], loss_label="test error")
        shown.append(album.add(path, f"{name}_{kind}", f"Test error, {name}, {kind}"))
    return shown


def _activations_table(activations: Result, reported: Mapping[str, float]) -> str:
    epoch = _epoch_of_relu(activations, reported["relu"])
    rows = []
    for side in activations.sides:
        said, found = reported.get(side.label), Spread(errors(side)[:, epoch - 1])
        rows.append(
            [
                side.label,
                "" if said is None else f"{said:.0%}",
                str(found),
                agrees(said, found),
                _epochs(activations, side.label),
                str(Spread(errors(side)[:, -1])),
            ]
        )
    target = 1 - activations.target("relu")["success"]["target"]
    last = activations.sides[0].config.training.epochs
    headings = ["test error", "reported", f"minidl at epoch {epoch}", "agree", f"epochs to {target:.0%}"]
    return table([*headings, f"at epoch {last}"], rows)


def _epoch_of_relu(activations: Result, error: float) -> int:
    """Return the first epoch at which ReLU's mean error is no more than `error`; the last one if there is none."""
    mean = errors(activations["relu"]).mean(axis=0)
    reached = np.flatnonzero(mean <= error)
    return int(reached[0]) + 1 if reached.size else len(mean)


def _epochs(result: Result, label: str) -> str:
    epochs = result.target(label)["epochs"]
    q1, median, q3 = (f"{epochs[key]:.0f}" if key in epochs else "never" for key in ("q1", "median", "q3"))
    return f"{median} ({q1} to {q3})"


def _others_table(result: Result) -> str:
    target = 1 - result.target(result.sides[0].label)["success"]["target"]
    rows = [
        [
            side.label,
            str(Spread(errors(side)[:, -1])),
            _epochs(result, side.label),
            duration(side.seconds),
        ]
        for side in result.sides
    ]
    epochs = result.sides[0].config.training.epochs
    return table([f"test error after {epochs} epochs", "minidl", f"epochs to {target:.0%}", "time, all rounds"], rows)


def _torch_table(frameworks: Result, reported: Mapping[str, Any]) -> str:
    sides = {"own": frameworks["minidl"], "torch": frameworks["torch"]}
    rows = []
    for metric, name in NAMES.items():
        row = [name]
        for framework, side in sides.items():
            said, found = reported[framework][metric], final(side, metric)
            row += [f"{said:g}", str(found), agrees(said, found)]
        rows.append(row)
    row = ["the one less the other"]
    for framework, side in sides.items():
        train, test = (final(side, metric) for metric in NAMES)
        said = reported[framework]["train_accuracy"] - reported[framework]["test_accuracy"]
        gap = Spread(train.values - test.values)
        row += [f"{said:.3f}", str(gap), agrees(said, gap)]
    rows.append(row)
    row = ["time"]
    for framework, side in sides.items():
        row += [f"{reported[framework]['seconds']:g} s", f"{duration(side.seconds)}, all rounds", ""]
    headings = ["", "report: own", f"minidl, {len(sides['own'].finished)} rounds", "agree", "report: PyTorch"]
    headings += [f"PyTorch, {len(sides['torch'].finished)} rounds", "agree"]
    return table(headings, [*rows, row])


def _same_epoch(activations: Result, reported: Mapping[str, float]) -> Check:
    family = [label for label in reported if reported[label] == reported["relu"]]
    inside = []
    for column, epoch in enumerate(activations["relu"].curves.epochs):
        spreads = [Spread(errors(activations[label])[:, column]) for label in family]
        if all(spread.contains(reported["relu"]) for spread in spreads):
            inside.append(epoch)
    means = {label: errors(activations[label]).mean(axis=0) for label in family}
    ends = ", ".join(f"{label} {mean[-1]:.3f}" for label, mean in means.items())
    seen = f"at {len(inside)} of the epochs {inside[0]} to {inside[-1]}" if inside else "at no epoch"
    return Check(
        f"{', '.join(family)} have about {reported['relu']:.0%} error at one and the same epoch.",
        bool(inside),
        f"it lies inside the spreads of all of them {seen}; but they get there at different times (see the table), "
        f"and go on from there: the means at the end are {ends}",
    )


def _relu_at_the_end(activations: Result) -> Check:
    bare, cut = (errors(activations[label])[:, -1] for label in ("tanh", "tanh, relu at the end"))
    stuck, free = int((cut > STUCK).sum()), cut[cut <= STUCK]
    rest = f", and the mean error of the others is {free.mean():.3f}" if free.size else ""
    return Check(
        "It is the ReLU after the output that spoils tanh: it kills whole networks.",
        stuck > int((bare > STUCK).sum()) and cut.mean() > bare.mean(),
        f"mean error {cut.mean():.3f} with it, {bare.mean():.3f} without; with it {stuck} of {len(cut)} rounds tell "
        f"nothing apart at the end, without it {int((bare > STUCK).sum())}{rest}",
    )


def _ahead(result: Result, behind: str, ahead: str) -> Check:
    comparison = result.comparison(ahead, "test_accuracy")
    p, pairs = comparison.get("p", 1.0), comparison["n_a"]
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    means = [float(errors(result[label])[:, -1].mean()) for label in (ahead, behind)]
    found = f"{means[0]:.4f} against {means[1]:.4f} ({pairs} pairs, {shown})"
    return Check(f"{ahead} has a lower test error than {behind}.", comparison["difference"] > 0 and p < 0.05, found)


def _equivalent(frameworks: Result) -> Check:
    return equivalence(
        "minidl and PyTorch are equivalent in test accuracy; the report's gap in train accuracy comes of something "
        "other than the framework.",
        frameworks.comparison("torch", "test_accuracy"),
        ("minidl", "PyTorch"),
    )
