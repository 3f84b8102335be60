"""What is exported: one trained round, with all that it takes to use it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config.schema import Config
from ..data.columns import Columns

# What the outputs of a network that was trained by a loss go through to be predictions: a layer, by its name.
LINKS = {
    "mse": "identity",
    "l1": "identity",
    "huber": "identity",
    "bce": "identity",
    "bce_with_logits": "sigmoid",
    "cross_entropy": "softmax",
}

# What was fitted to the training samples and is needed to predict.
SCALING = ("inputs.center", "inputs.scale", "inputs.fill", "targets.center", "targets.scale")


@dataclass(frozen=True)
class TrainedRound:
    """One round of a run.

    Attributes:
        config: what it was trained by.
        columns: what goes in and what comes out, in terms of a table's columns.
        middle: for classes, the midpoint between the targets of a class that is absent and of one that is present.
        state: all parameters and buffers by name, without a dimension for rounds: `0.weight`, `inputs.center`.
    """

    config: Config
    columns: Columns
    middle: float | None
    state: Mapping[str, Tensor]

    @property
    def dtype(self) -> torch.dtype:
        """The type of all numbers."""
        found: torch.dtype = getattr(torch, self.config.training.dtype)
        return found

    @property
    def widths(self) -> list[int]:
        """The width of the input, and of every layer's output."""
        widths = [len(self.columns.features)]
        for layer in self.config.model:
            widths.append(layer.arguments.get("out_features", widths[-1]))
        return widths

    @property
    def link(self) -> str:
        """The layer that makes predictions of the network's outputs.

        Raises:
            InputError: it is not known for the config's loss.
        """
        name = self.config.loss.name
        if name not in LINKS:
            raise self.config.error(("loss",), f"{name} cannot be exported: what turns its outputs into predictions?")
        return LINKS[name]

    @property
    def scaling(self) -> dict[str, Tensor]:
        """What was fitted to the training samples: centres, scales, and what takes the place of missing values."""
        return {name: self.state[name] for name in SCALING if name in self.state}

    def layer_state(self, place: int) -> dict[str, Tensor]:
        """Return the parameters and buffers of the layer at a place, by their own names, such as `weight`."""
        prefix = f"{place}."
        return {name.removeprefix(prefix): each for name, each in self.state.items() if name.startswith(prefix)}
