"""What a layer is: a forward pass, a derived backward pass, and the tensors it declares."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Fan:
    """How a parameter is connected, which is what the scale of its initial values depends on.

    Attributes:
        inputs: how many inputs each output of the layer depends on (fan_in).
        outputs: how many outputs each input of the layer contributes to (fan_out).
        gain: how much the activation after the layer asks the initial values to be scaled up.
    """

    inputs: int
    outputs: int
    gain: float = 1.0


class Initializer(ABC):
    """A distribution of initial values."""

    @abstractmethod
    def draw(self, shape: tuple[int, ...], fan: Fan, dtype: torch.dtype, generator: Generator) -> Tensor:
        """Draw the initial values of one round's parameter.

        Args:
            shape: the parameter's shape, without the rounds.
            fan: how the parameter is connected.
            dtype: the numbers' type.
            generator: the round's own generator.

        Returns:
            A fresh contiguous tensor: drawing into a view would give other numbers.
        """


class Parameter:
    """One trainable tensor of a layer, with its gradient.

    Args:
        shape: the shape for one round.
        initializer: the distribution of the initial values; None for the one that the whole model has.
        inputs: how many inputs each output of the layer depends on.
        outputs: how many outputs each input of the layer contributes to.

    Attributes:
        grad: dL/d(value), a view of the same shape into the flat vector of gradients.
        column: the value with a dimension for the samples of a batch, `[rounds, *shape, 1]`.
        transposed: for a matrix W, Wᵀ of each round.
    """

    grad: Tensor
    column: Tensor
    transposed: Tensor

    def __init__(self, shape: tuple[int, ...], initializer: Initializer | None, inputs: int = 1, outputs: int = 1):
        self.shape, self.initializer, self._fans = shape, initializer, (inputs, outputs)

    @property
    def value(self) -> Tensor:
        """The value, `[rounds, *shape]`: a view into the flat vector that `Sequential` owns."""
        return self._value

    @value.setter
    def value(self, value: Tensor) -> None:
        # The views are made here, as making one takes a third of the time of a small network's product.
        self._value, self.column = value, value.unsqueeze(-1)
        if value.ndim == 3:
            self.transposed = value.mT

    def initial(self, default: Initializer, gain: float, dtype: torch.dtype, generator: Generator) -> Tensor:
        """Draw the initial value of one round, `[*shape]`.

        Args:
            default: the distribution, unless the parameter has one of its own.
            gain: that of the activation after the layer.
            dtype: the numbers' type.
            generator: the round's own generator.
        """
        return (self.initializer or default).draw(self.shape, Fan(*self._fans, gain), dtype, generator)


class Buffer:
    """A tensor that training changes, but no gradient: saved with the parameters, never seen by the optimizer.

    Args:
        shape: the shape for one round.
        initial: what every entry is before training.

    Attributes:
        value: `[rounds, *shape]`. Layers replace it, and never write into it.
    """

    value: Tensor

    def __init__(self, shape: tuple[int, ...], initial: float):
        self.shape, self.initial = shape, initial


class Noise:
    """Random numbers that a layer multiplies or adds in training, fresh for every sample of every epoch.

    They are drawn ahead, for many samples at once, from the generator of each round.

    Args:
        features: how many numbers a sample takes.
        draw: returns those of one round, `[features, samples]`, for a shape, a type and the round's generator.

    Attributes:
        drawn: the numbers of all samples that were drawn for, `[rounds, features, samples]`.
        value: those of the batch at hand, `[rounds, features, batch]`.
    """

    drawn: Tensor
    value: Tensor

    def __init__(self, features: int, draw: Callable[[tuple[int, int], torch.dtype, Generator], Tensor]):
        self.features, self._draw = features, draw

    def draw(self, samples: int, dtype: torch.dtype, generators: Sequence[Generator]) -> None:
        """Draw the numbers of so many samples for all rounds, one generator for each."""
        shape = self.features, samples
        self.drawn = torch.stack([self._draw(shape, dtype, generator) for generator in generators])

    def select(self, first: int, last: int) -> None:
        """Make the numbers of the samples from `first` to before `last` those of the batch at hand."""
        self.value = self.drawn[:, :, first:last]


class Layer(ABC):
    """One step of the network: activations `[rounds, features, batch]` in and out, samples as columns.

    A layer that has parameters, buffers or noise declares them in `connect`, as attributes. All others take any
    width.

    Attributes:
        training: whether the network is being trained, and not used.
        gain: for an activation, the scale that it asks of the initial values before it; 1 for a layer with weights
            of its own; None where the next layer decides.
        smallest_batch: the fewest samples that `forward` can take in training.
        has_probabilities: whether all outputs lie between 0 and 1.
    """

    training: bool = False
    gain: float | None = None
    smallest_batch: int = 1
    has_probabilities: bool = False

    def connect(self, in_features: int) -> int:
        """Fix the input's width, declare the parameters, and return the output's width."""
        return in_features

    def parameters(self) -> dict[str, Parameter]:
        """Return the declared parameters by name, in the order of their declaration."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Parameter)}

    def buffers(self) -> dict[str, Buffer]:
        """Return the declared buffers by name, in the order of their declaration."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Buffer)}

    def noises(self) -> list[Noise]:
        """Return the declared noises, in the order of their declaration."""
        return [value for value in vars(self).values() if isinstance(value, Noise)]

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the output for the input `x`, `[rounds, in_features, batch]`, keeping what `backward` needs."""

    @abstractmethod
    def backward(self, grad: Tensor) -> Tensor:
        """Write dL/d(parameters) into their gradients and return dL/d(input), given dL/d(output)."""

    def backward_parameters(self, grad: Tensor) -> None:
        """Write dL/d(parameters) into their gradients, as `backward` does, where nobody needs dL/d(input).

        To leave out what only dL/d(input) takes is up to the layer.
        """
        self.backward(grad)
