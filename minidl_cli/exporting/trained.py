"""What is exported: one trained round, with all that it takes to use it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from ..config.schema import Config
from ..data.columns import Columns
from ..nn.sequential import Sequential
from ..training.measures import Judge

Form = TypeVar("Form")


@dataclass(frozen=True)
class TrainedRound:
    """One round of a run.

    Attributes:
        config: what it was trained by.
        columns: what goes in and what comes out, in terms of a table's columns.
        network: its network, a stack of this round alone.
        judge: what the network's outputs mean.
    """

    config: Config
    columns: Columns
    network: Sequential
    judge: Judge

    @property
    def dtype(self) -> torch.dtype:
        """The type of all numbers."""
        return self.network.values.dtype

    @property
    def widths(self) -> list[int]:
        """The width of the input, and of every layer's output."""
        return self.network.widths

    @property
    def middle(self) -> float | None:
        """For classes, the midpoint between the targets of a class that is absent and of one that is present."""
        return self.judge.middle

    @property
    def state(self) -> dict[str, Tensor]:
        """All parameters and buffers by name, without a dimension for rounds: `0.weight`, `inputs.center`."""
        return {name: values[0] for name, values in self.network.state().items()}

    @property
    def scaling(self) -> dict[str, Tensor]:
        """What was fitted to the training samples: centres, scales, and what takes the place of missing values."""
        return {name: each for name, each in self.state.items() if name.startswith(("inputs.", "targets."))}

    def layer_state(self, place: int) -> dict[str, Tensor]:
        """Return the parameters and buffers of the layer at a place, by their own names, such as `weight`."""
        prefix = f"{place}."
        return {name.removeprefix(prefix): each for name, each in self.state.items() if name.startswith(prefix)}

    def link(self, forms: Mapping[str, Form]) -> Form:
        """Return what makes predictions of the network's outputs, of the `forms` that a layer has, by its name.

        Raises:
            InputError: it is none of them.
        """
        name = self.judge.loss.link_name
        if name not in forms:
            problem = f"minidl knows no form of {name}, which turns its outputs into predictions"
            raise self.config.error(("loss",), f"{self.config.loss.name} cannot be exported: {problem}")
        return forms[name]
