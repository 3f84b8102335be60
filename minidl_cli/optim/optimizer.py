"""What an optimizer is: an update of one flat vector of parameters from one flat vector of gradients."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Optimizer(ABC):
    """An update rule, element by element, for all rounds at once.

    Attributes:
        lr: the learning rate that schedules start from.
        state_names: what the rule remembers from step to step.
        state: a flat vector of the parameters' layout for each of these names, from `start` on.
        steps: the number of steps since `start`, that at hand counted.
    """

    lr: float
    state_names: tuple[str, ...] = ()
    state: dict[str, Tensor]
    steps: int

    def start(self, values: Tensor) -> None:
        """Forget all steps: make the state for parameters like `values`, `[n]`, all zeros."""
        self.state = {name: torch.zeros_like(values) for name in self.state_names}
        self.steps = 0

    def step(self, values: Tensor, gradients: Tensor, lr: float) -> None:
        """Update `values` `[n]` in place, from `gradients` `[n]`, which is used up."""
        self.steps += 1
        self.update(values, gradients, self.scalars(lr, self.steps))

    def scalars(self, lr: float, step: int) -> tuple[float, ...]:
        """Return the numbers in the rule that change from step to step, which count from 1: here the learning rate."""
        return (lr,)

    @abstractmethod
    def update(self, values: Tensor, gradients: Tensor, scalars: tuple[float, ...]) -> None:
        """Do what the rule says: change `values` `[n]`, with `gradients` `[n]` as scratch space if need be.

        All that changes from step to step stands in `scalars`, none of which are computed with any further: what the
        operations are given is all that there is to a step.
        """
