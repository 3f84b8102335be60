"""What an optimizer is: an update of one flat vector of parameters from one flat vector of gradients."""

from abc import ABC, abstractmethod

from torch import Tensor


class Optimizer(ABC):
    """An update rule, element by element, for all rounds at once.

    Attributes:
        lr: the learning rate that schedules scale.
        state: what the rule remembers from step to step: flat vectors of the parameters' layout, by name.
    """

    lr: float

    def __init__(self) -> None:
        self.state: dict[str, Tensor] = {}

    @abstractmethod
    def start(self, values: Tensor) -> None:
        """Forget all steps: set up the state for parameters like `values`, `[n]`."""

    @abstractmethod
    def step(self, values: Tensor, gradients: Tensor, lr: float) -> None:
        """Update `values` `[n]` in place, from `gradients` `[n]`, which may be used as scratch space."""
