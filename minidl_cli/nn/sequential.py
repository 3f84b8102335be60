"""The network: layers in a row, their parameters in one flat vector."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from math import prod

import torch
from torch import Generator, Tensor

from ..errors import GraphError
from ..randomness import generator
from .initializers.torch_default import TorchDefault
from .layer import Buffer, Initializer, Layer, Parameter
from .preprocessing import Preprocessing
from .transfer import to_device

TORCH_DEFAULT = TorchDefault()


class Sequential:
    """Layers in a row, for any number of rounds at once.

    All parameters of all rounds lie in one flat vector, all gradients in another, so that an optimizer updates
    them in a few operations. Each parameter is a contiguous block `[rounds, *shape]`, and layers hold views.

    Args:
        layers: the layers, first to last.
        in_features: the width of the input.
        init: the distribution of the initial values of parameters that have none of their own.
        fitted: what is fitted to each round's training samples before it trains, as `Preprocessing` takes it.

    Attributes:
        preprocessing: how inputs and targets in the data's own units become those of the layers.
        widths: the width of the input, and of every layer's output.
        rounds: the number of rounds in the stack; from `allocate` on, as the next two.
        values: all parameters, flat.
        gradients: dL/d(values), of the same layout.

    Raises:
        GraphError: a layer cannot take the width that comes before it.
    """

    rounds: int
    values: Tensor
    gradients: Tensor

    def __init__(
        self,
        layers: Sequence[Layer],
        in_features: int,
        init: Initializer = TORCH_DEFAULT,
        fitted: Mapping[str, int] | None = None,
    ):
        self.layers, self.init = list(layers), init
        self.preprocessing = Preprocessing(fitted or {})
        self.widths = [in_features]
        for layer in self.layers:
            self.widths.append(layer.connect(self.widths[-1]))
        self._noises = [noise for layer in self.layers for noise in layer.noises()]
        self._first_trained = next((place for place, layer in enumerate(self.layers) if layer.parameters()), 0)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield each parameter with its name: the layer's place and the parameter's own name, as `0.weight`."""
        for index, layer in enumerate(self.layers):
            for name, parameter in layer.parameters().items():
                yield f"{index}.{name}", parameter

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """Yield each buffer with its name, such as `1.running_mean`; what was fitted to the data comes last."""
        for index, layer in enumerate(self.layers):
            for name, buffer in layer.buffers().items():
                yield f"{index}.{name}", buffer
        yield from self.preprocessing.buffers.items()

    def named_state(self) -> Iterator[tuple[str, Parameter | Buffer]]:
        """Yield all that training changes, with its name: first the parameters, then the buffers."""
        yield from self.named_parameters()
        yield from self.named_buffers()

    def parameter_count(self) -> int:
        """Return the number of parameters of one round."""
        return sum(prod(parameter.shape) for _, parameter in self.named_parameters())

    def noise_features(self) -> int:
        """Return how many random numbers a sample takes in training."""
        return sum(noise.features for noise in self._noises)

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter and buffer of one round, by name."""
        return {name: each.shape for name, each in self.named_state()}

    def allocate(self, rounds: int, dtype: torch.dtype) -> None:
        """Make the flat vectors for this many rounds, all zeros, and give every layer its views.

        Raises:
            GraphError: a layer does not keep to the shapes that it declared.
        """
        self._adopt(rounds, torch.zeros(rounds * self.parameter_count(), dtype=dtype))
        for is_training in (True, False):
            self._reset_buffers()
            self.train(is_training)
            self.draw_noise(2, [torch.Generator()] * rounds)
            self._try_out(torch.zeros(rounds, self.widths[0], 2, dtype=dtype))
        self._reset_buffers()

    def _adopt(self, rounds: int, values: Tensor) -> None:
        self.rounds, self.values, self.gradients = rounds, values, torch.zeros_like(values)
        blocks = zip(self._blocks(self.values, rounds), self._blocks(self.gradients, rounds), strict=True)
        for (_, parameter), (value, grad) in zip(self.named_parameters(), blocks, strict=True):
            parameter.value, parameter.grad = value, grad

    def _blocks(self, vector: Tensor, rounds: int) -> list[Tensor]:
        """Return the views `[rounds, *shape]` of a flat vector, one for each parameter."""
        shapes = [(rounds, *parameter.shape) for _, parameter in self.named_parameters()]
        parts = torch.split(vector, [prod(shape) for shape in shapes])
        return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]

    @property
    def device(self) -> torch.device:
        """Where values, gradients and buffers lie: on the CPU, unless `to` has moved them."""
        return self.values.device

    def to(self, device: torch.device) -> None:
        """Move parameters, gradients and buffers to a device, and give every layer its views there."""
        self._adopt(self.rounds, self.values.to(device))
        for _, buffer in self.named_buffers():
            buffer.value = buffer.value.to(device)

    def _reset_buffers(self) -> None:
        for _, buffer in self.named_buffers():
            buffer.value = torch.full((self.rounds, *buffer.shape), buffer.initial, dtype=self.values.dtype)

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

    def initialize(self, seeds: Sequence[int]) -> None:
        """Draw the initial parameters of every round from its own seed, and reset the buffers."""
        self._reset_buffers()
        for index, seed in enumerate(seeds):
            numbers = generator(seed, "parameters")
            for place, layer in enumerate(self.layers):
                for parameter in layer.parameters().values():
                    initial = parameter.initial(self.init, self.gain_after(place), self.values.dtype, numbers)
                    parameter.value[index] = initial

    def gain_after(self, place: int) -> float:
        """Return the gain of the activation after a layer, with layers that have no gain in between; 1 if none."""
        gains = (layer.gain for layer in self.layers[place + 1 :])
        return next((gain for gain in gains if gain is not None), 1.0)

    def train(self, is_training: bool = True) -> None:
        """Switch all layers to training, or to use."""
        for layer in self.layers:
            layer.training = is_training

    def draw_noise(self, samples: int, generators: Sequence[Generator]) -> None:
        """Draw the noise of the next so many samples, from a generator for each round, and select all of it.

        The generators are the CPU's, wherever the network is.
        """
        for noise in self._noises:
            noise.draw(samples, self.values.dtype, generators)
            noise.drawn = to_device(noise.drawn, self.device)
        self.select_noise(0, samples)

    def drawn_noise(self) -> list[Tensor]:
        """Return what was drawn last, of each noise `[rounds, features, samples]`."""
        return [noise.drawn for noise in self._noises]

    def use_noise(self, drawn: Sequence[Tensor]) -> None:
        """Put other numbers in the place of what `drawn_noise` returns."""
        for noise, numbers in zip(self._noises, drawn, strict=True):
            noise.drawn = numbers

    def select_noise(self, first: int, last: int) -> None:
        """Make the noise of the samples from `first` to before `last` that of the batch at hand."""
        for noise in self._noises:
            noise.select(first, last)

    def state(self) -> dict[str, Tensor]:
        """Return all that training changes, by name: parameters and buffers, each `[rounds, *shape]`, not copied."""
        return {name: each.value for name, each in self.named_state()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Copy what `state` returned into this network, of as many rounds."""
        for name, parameter in self.named_parameters():
            parameter.value.copy_(state[name])
        for name, buffer in self.named_buffers():
            buffer.value = state[name].to(self.device, copy=True)

    def select(self, vector: Tensor, rounds: Sequence[int]) -> Tensor:
        """Return the part of a flat vector of this layout that belongs to the given rounds, flat again."""
        return torch.cat([block[list(rounds)].flatten() for block in self._blocks(vector, self.rounds)])

    def keep(self, rounds: Sequence[int]) -> None:
        """Drop all rounds from the stack but the given ones."""
        self._adopt(len(rounds), self.select(self.values, rounds))
        for _, buffer in self.named_buffers():
            buffer.value = buffer.value[list(rounds)]

    def gradient_norms(self) -> Tensor:
        """Return the Euclidean norm of each round's gradient, `[rounds]`."""
        blocks = self._blocks(self.gradients, self.rounds)
        squares = [block.flatten(1).square().sum(dim=1) for block in blocks]
        return torch.stack(squares, dim=1).sum(dim=1).sqrt()

    def scale_gradients(self, factors: Tensor) -> None:
        """Multiply each round's gradient by its factor, `[rounds]`."""
        for block in self._blocks(self.gradients, self.rounds):
            block.flatten(1).mul_(factors.unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the output `[rounds, out_features, batch]` for the input `x`, `[rounds, in_features, batch]`.

        The input is in the data's own units; the first layer sees it scaled.

        Raises:
            GraphError: a layer failed; the message names it.
        """
        x = self.preprocessing.scale_inputs(x)
        for index, layer in enumerate(self.layers):
            try:
                x = layer.forward(x)
            except RuntimeError as error:
                raise self._failure(index, "forward", x, error) from error
        return x

    def backward(self, grad: Tensor) -> Tensor:
        """Write all parameters' gradients, given dL/d(output); return dL/d(input of the first layer).

        Raises:
            GraphError: a layer failed; the message names it.
        """
        return self._backward_to(0, grad)

    def backward_parameters(self, grad: Tensor) -> None:
        """Write all parameters' gradients, given dL/d(output), without what only dL/d(input) takes.

        Raises:
            GraphError: a layer failed; the message names it.
        """
        first = self._first_trained
        grad = self._backward_to(first + 1, grad)
        try:
            self.layers[first].backward_parameters(grad)
        except RuntimeError as error:
            raise self._failure(first, "backward", grad, error) from error

    def _backward_to(self, first: int, grad: Tensor) -> Tensor:
        """Pass dL/d(output) back through the layers from the last to the one at place `first`, that one included."""
        for index in reversed(range(first, len(self.layers))):
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
