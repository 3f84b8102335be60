"""What an optimizer is: an update of one flat vector of parameters from one flat vector of gradients."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Optimizer(ABC):
    """An update rule, element by element, for all rounds at once.

    Attributes:
        lr: the learning rate that schedules scale.
        state_names: what the rule remembers from step to step.
        state: a flat vector of the parameters' layout for each of these names, from `start` on.
    """

    lr: float
    state_names: tuple[str, ...] = ()
    state: dict[str, Tensor]

    def start(self, values: Tensor) -> None:
        """Forget all steps: make the state for parameters like `values`, `[n]`, all zeros."""
        self.state = {name: torch.zeros_like(values) for name in self.state_names}

    @abstractmethod
    def step(self, values: Tensor, gradients: Tensor, lr: float) -> None:
        """Update `values` `[n]` in place, from `gradients` `[n]`, which may be used as scratch space."""
