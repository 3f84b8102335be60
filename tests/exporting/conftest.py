"""Rounds to export that no training made."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from minidl_cli.data.columns import Column, Columns
from minidl_cli.exporting.trained import TrainedRound
from minidl_cli.nn.sequential import Sequential
from minidl_cli.training.build import registry
from minidl_cli.training.evaluation import predict
from minidl_cli.training.measures import Judge

PLANE = Columns((Column("x1"), Column("x2")), ("class",), (0, 1))

# Every kind of column; a name that is no identifier, and one that is an output's.
TABLE = Columns(
    (
        Column("Länge (cm)"),
        Column("2nd colour", "category", ("red", "grün", "blue")),
        Column("is new", "boolean"),
        Column("label", "category", ("a", "b")),
        Column("sold", "date"),
    ),
    ("species",),
    ("setosa", "virginica", "versicolor"),
)


@dataclass(frozen=True)
class Example:
    """A round to export."""

    trained: TrainedRound

    def predict(self, features: Tensor) -> Tensor:
        """Returns what minidl predicts, `[samples, outputs]`, for `[samples, features]`."""
        return predict(self.trained.network, self.trained.judge, features)[0]


MakeExample = Callable[..., Example]


@pytest.fixture
def example(small_config: Callable[..., Any]) -> MakeExample:
    """Returns a round of the small config with overrides: `example("loss=mse", columns=PLANE, fitted={...})`."""

    def make(
        *settings: str,
        model: Sequence[Any] = ({"linear": 7}, "tanh", {"linear": 2}),
        columns: Columns = PLANE,
        fitted: Mapping[str, Sequence[float]] | None = None,
        middle: float | None = 0.5,
    ) -> Example:
        config = small_config(f"model={json.dumps(model)}", *settings)
        layers = [registry().make("layer", layer) for layer in config.model]
        lengths = {name: len(values) for name, values in (fitted or {}).items()}
        network = Sequential(layers, len(columns.features), fitted=lengths)
        network.allocate(1, getattr(torch, config.training.dtype))
        network.initialize([1])
        _disturb(network)
        network.preprocessing.load({name: torch.tensor([values]) for name, values in (fitted or {}).items()})
        judge = Judge(registry().make("loss", config.loss), network.preprocessing, middle)
        return Example(TrainedRound(config, columns, network, judge))

    return make


def _disturb(network: Sequential) -> None:
    """Move what does not begin with random numbers, such as running statistics, away from where it begins."""
    numbers = Generator().manual_seed(0)
    for _, each in network.named_state():
        each.value += torch.empty_like(each.value).uniform_(0, 0.5, generator=numbers)
