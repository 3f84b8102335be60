"""What a layer is: a forward pass, a derived backward pass, and the parameters it declares."""

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor


class Initializer(ABC):
    """A distribution of initial values."""

    @abstractmethod
    def draw(
        self, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: torch.dtype, generator: Generator
    ) -> Tensor:
        """Draw the initial values of one round's parameter.

        Args:
            shape: the parameter's shape, without the rounds.
            fan_in: how many inputs each output of the layer depends on.
            fan_out: how many outputs each input of the layer contributes to.
            dtype: the numbers' type.
            generator: the round's own generator.

        Returns:
            A fresh contiguous tensor: drawing into a view would give other numbers.
        """


class Parameter:
    """One trainable tensor of a layer, with its gradient.

    Attributes:
        shape: the shape for one round.
        value: `[rounds, *shape]`, a view into the flat vector that `Sequential` owns.
        grad: dL/d(value), a view of the same shape into the flat vector of gradients.
    """

    value: Tensor
    grad: Tensor

    def __init__(self, shape: tuple[int, ...], initializer: Initializer, fan_in: int, fan_out: int):
        self.shape = shape
        self._initializer, self._fans = initializer, (fan_in, fan_out)

    def initial(self, dtype: torch.dtype, generator: Generator) -> Tensor:
        """Draw the initial value of one round, `[*shape]`."""
        return self._initializer.draw(self.shape, *self._fans, dtype, generator)


class Layer(ABC):
    """One step of the network: activations `[rounds, features, batch]` in and out, samples as columns.

    A layer that has parameters declares them in `connect`, as attributes. All others take any width.
    """

    def connect(self, in_features: int) -> int:
        """Fix the input's width, declare the parameters, and return the output's width."""
        return in_features

    def parameters(self) -> dict[str, Parameter]:
        """Return the declared parameters by name, in the order of their declaration."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Parameter)}

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the output for the input `x`, `[rounds, in_features, batch]`, keeping what `backward` needs."""

    @abstractmethod
    def backward(self, grad: Tensor) -> Tensor:
        """Write dL/d(parameters) into their gradients and return dL/d(input), given dL/d(output)."""
