"""Report C: three models, and how long sigmoids take."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from minidl_cli.display import figures
from minidl_cli.display.text import duration
from minidl_cli.nn.layer import Layer
from minidl_cli.nn.layers.sigmoid import Sigmoid
from minidl_cli.nn.layers.tanh import Tanh
from minidl_cli.sweeps.contrast import Side

from .album import Album
from .markdown import HELD_AGAINST, Check, Goal, Section, held_against, listed, stacked, table
from .results import Result, Results, final

NAMES = {"train_accuracy": "train accuracy", "test_accuracy": "test accuracy"}
# More than this no network has that tells nothing apart.
CHANCE = 0.6


def section(results: Results, reported: Mapping[str, Any], goals: Mapping[str, Any], album: Album) -> Section:
    models, sigmoids = results["c_models"], results["c_sigmoids"]
    derivatives = {"sigmoid": _derivative(Sigmoid()), "tanh": _derivative(Tanh())}
    blocks = {
        "c.table": _table(models, reported),
        "c.sigmoids": _sigmoids_table(sigmoids),
        "c.figures": stacked(
            album.add(models.path / "predictions.png", "c_predictions", "Right and wrong predictions"),
            _draw_activations(derivatives, album),
        ),
        "c.checks": listed(
            _learns_nothing(models["model 3 (sigmoids)"], "The third model does not learn"),
            _learns(sigmoids, "tanh, then sigmoids, constant rate"),
            _does_not_learn(sigmoids, "tanh, then sigmoids, falling rate"),
            _learns_nothing(sigmoids["sigmoids only, constant rate"], "A network of sigmoids alone does not converge"),
            _flat(derivatives),
        ),
    }
    reached = [
        Goal.near(f"C, {label}, test accuracy", asked, final(models[label], "test_accuracy"))
        for label, asked in goals.items()
    ]
    return Section(blocks, reached)


def _table(models: Result, reported: Mapping[str, Any]) -> str:
    rows = []
    for label, said in reported.items():
        side = models[label]
        rows += [held_against(f"{label}, {name}", said[metric], final(side, metric)) for metric, name in NAMES.items()]
        time = f"{duration(side.seconds)} for all {len(side.rows)} rounds"
        rows.append(["its time", f"{said['minutes']:g} min", time, ""])
    return table(HELD_AGAINST, rows)


def _sigmoids_table(sigmoids: Result) -> str:
    rows = []
    for side in sigmoids.sides:
        target = sigmoids.target(side.label)
        rows.append([side.label, str(final(side, "test_accuracy")), _success(target), _epochs(target)])
    reached = f"{sigmoids.target(sigmoids.sides[0].label)['success']['target']:.0%} reached"
    epochs = f"{sigmoids.sides[0].config.training.epochs:,} epochs"
    return table([epochs, "test accuracy", reached, "first at epoch (median)"], rows)


def _success(target: Mapping[str, Any]) -> str:
    success = target["success"]
    low, high = success["ci95"]
    return f"{success['successes']} of {success['n']} rounds (share: {low:.2f} to {high:.2f})"


def _epochs(target: Mapping[str, Any]) -> str:
    return f"{target['epochs']['median']:,.0f}" if "median" in target["epochs"] else "most never do"


def _learns_nothing(side: Side, claim: str) -> Check:
    found = final(side, "test_accuracy")
    epochs = f"{side.config.training.epochs:,} epochs"
    return Check(f"{claim} in {epochs}: its test accuracy stays that of chance.", found.ends[1] < CHANCE, str(found))


def _learns(sigmoids: Result, label: str) -> Check:
    low, _ = sigmoids.target(label)["success"]["ci95"]
    claim = f"{_third_model(sigmoids, label)} in most rounds if the learning rate stays constant."
    return Check(claim, low > 0.5, _success(sigmoids.target(label)))


def _does_not_learn(sigmoids: Result, label: str) -> Check:
    _, high = sigmoids.target(label)["success"]["ci95"]
    claim = f"{_third_model(sigmoids, label)} in few rounds, if any, where it falls as for the other models."
    return Check(claim, high < 0.5, _success(sigmoids.target(label)))


def _third_model(sigmoids: Result, label: str) -> str:
    target = sigmoids.target(label)["success"]["target"]
    return f"In {sigmoids[label].config.training.epochs:,} epochs the third model reaches {target:.0%}"


def _derivative(layer: Layer) -> tuple[Any, Any, Any]:
    """Return points, and the values and derivatives that a layer's own passes give there."""
    x = torch.linspace(-6, 6, 241, dtype=torch.float64).view(1, 1, -1)
    y = layer.forward(x)
    derivative = layer.backward(torch.ones_like(y))
    return x.flatten().numpy(), y.flatten().numpy(), derivative.flatten().numpy()


def _draw_activations(derivatives: Mapping[str, tuple[Any, Any, Any]], album: Album) -> str:
    path = album.drafts / "c_activations.png"
    figures.draw_activations(path, "Two activations and their derivatives", derivatives)
    return album.add(path, "c_activations", "Sigmoid and tanh with their derivatives")


def _flat(derivatives: Mapping[str, tuple[Any, Any, Any]]) -> Check:
    largest = {name: float(np.max(columns[2])) for name, columns in derivatives.items()}
    return Check(
        "A sigmoid passes back at most a quarter of a gradient, three of them in a row at most a 64th; a tanh passes "
        "back up to all of it.",
        abs(largest["sigmoid"] - 1 / 4) < 1e-3 and abs(largest["tanh"] - 1) < 1e-3,
        f"the largest derivatives are {largest['sigmoid']:.2f} and {largest['tanh']:.2f}",
    )
