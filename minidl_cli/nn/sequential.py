"""The network: layers in a row, their parameters in one flat vector."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from math import prod

import torch
from torch import Tensor

from ..errors import GraphError
from ..randomness import generator
from .layer import Layer, Parameter


class Sequential:
    """Layers in a row, for any number of rounds at once.

    All parameters of all rounds lie in one flat vector, all gradients in another, so that an optimizer updates
    them in a few operations. Each parameter is a contiguous block `[rounds, *shape]`, and layers hold views.

    Args:
        layers: the layers, first to last.
        in_features: the width of the input.

    Attributes:
        widths: the width of the input, and of every layer's output.
        values: all parameters, flat; from `allocate` on.
        gradients: dL/d(values), of the same layout.

    Raises:
        GraphError: a layer cannot take the width that comes before it.
    """

    values: Tensor
    gradients: Tensor

    def __init__(self, layers: Sequence[Layer], in_features: int):
        self.layers = list(layers)
        self.widths = [in_features]
        for layer in self.layers:
            self.widths.append(layer.connect(self.widths[-1]))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield each parameter with its name: the layer's place and the parameter's own name, as `0.weight`."""
        for index, layer in enumerate(self.layers):
            for name, parameter in layer.parameters().items():
                yield f"{index}.{name}", parameter

    def parameter_count(self) -> int:
        """Return the number of parameters of one round."""
        return sum(prod(parameter.shape) for _, parameter in self.named_parameters())

    def allocate(self, rounds: int, dtype: torch.dtype) -> None:
        """Make the flat vectors for this many rounds, all zeros, and give every layer its views.

        Raises:
            GraphError: a layer does not keep to the shapes that it declared.
        """
        self._adopt(rounds, torch.zeros(rounds * self.parameter_count(), dtype=dtype))
        self._try_out(torch.zeros(rounds, self.widths[0], 2, dtype=dtype))

    def _adopt(self, rounds: int, values: Tensor) -> None:
        self.values, self.gradients = values, torch.zeros_like(values)
        blocks = zip(self._blocks(self.values, rounds), self._blocks(self.gradients, rounds), strict=True)
        for (_, parameter), (value, grad) in zip(self.named_parameters(), blocks, strict=True):
            parameter.value, parameter.grad = value, grad

    def _blocks(self, vector: Tensor, rounds: int) -> list[Tensor]:
        """Return the views `[rounds, *shape]` of a flat vector, one for each parameter."""
        shapes = [(rounds, *parameter.shape) for _, parameter in self.named_parameters()]
        parts = torch.split(vector, [prod(shape) for shape in shapes])
        return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]

    def _try_out(self, x: Tensor) -> None:
        """Pass a batch through: in training, what has the wrong shape would be written over its neighbours."""
        with warnings.catch_warnings():
            # PyTorch only warns where a result does not fit the view that it is to be written into.
            warnings.simplefilter("error")
            for index, layer in enumerate(self.layers):
                try:
                    output = layer.forward(x)
                    grad = layer.backward(torch.zeros_like(output))
                except (RuntimeError, Warning) as error:
                    raise self._failure(index, "a trial", x, error) from error
                if output.shape[1] != self.widths[index + 1] or grad.shape != x.shape:
                    shapes = f"gives {list(output.shape)} and hands back {list(grad.shape)}"
                    raise self._failure(index, "a trial", x, f"{shapes}, not what it declared")
                x = output

    @property
    def rounds(self) -> int:
        """The number of rounds in the stack."""
        return self.values.numel() // self.parameter_count()

    def initialize(self, seeds: Sequence[int]) -> None:
        """Draw the initial parameters of every round from its own seed."""
        for index, seed in enumerate(seeds):
            numbers = generator(seed, "parameters")
            for _, parameter in self.named_parameters():
                parameter.value[index] = parameter.initial(self.values.dtype, numbers)

    def state(self) -> dict[str, Tensor]:
        """Return all that training changes, by name: the parameters, each a view `[rounds, *shape]`."""
        return {name: parameter.value for name, parameter in self.named_parameters()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Copy what `state` returned into this network, of as many rounds."""
        for name, values in self.state().items():
            values.copy_(state[name])

    def select(self, vector: Tensor, rounds: Sequence[int]) -> Tensor:
        """Return the part of a flat vector of this layout that belongs to the given rounds, flat again."""
        return torch.cat([block[list(rounds)].flatten() for block in self._blocks(vector, self.rounds)])

    def keep(self, rounds: Sequence[int]) -> None:
        """Drop all rounds from the stack but the given ones."""
        self._adopt(len(rounds), self.select(self.values, rounds))

    def forward(self, x: Tensor) -> Tensor:
        """Return the output `[rounds, out_features, batch]` for the input `x`, `[rounds, in_features, batch]`.

        Raises:
            GraphError: a layer failed; the message names it.
        """
        for index, layer in enumerate(self.layers):
            try:
                x = layer.forward(x)
            except RuntimeError as error:
                raise self._failure(index, "forward", x, error) from error
        return x

    def backward(self, grad: Tensor) -> Tensor:
        """Write all parameters' gradients, given dL/d(output); return dL/d(input).

        Raises:
            GraphError: a layer failed; the message names it.
        """
        for index in reversed(range(len(self.layers))):
            try:
                grad = self.layers[index].backward(grad)
            except RuntimeError as error:
                raise self._failure(index, "backward", grad, error) from error
        return grad

    def _failure(self, index: int, direction: str, given: Tensor, error: Exception | str) -> GraphError:
        kind = type(self.layers[index]).__name__
        return GraphError(
            f"model.{index} ({kind}): {direction} failed on {list(given.shape)}: {error}", ("model", index)
        )
