"""Looking inside a network: what each layer puts out, the derivatives on the way back, and which outputs saturate."""

from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from .layer import Layer
from .loss import Loss
from .sequential import Sequential

# An activation's output is saturated where its slope is below this share of the steepest.
FLAT = 0.01
# Where to look for the steepest slope.
STEEPEST_WITHIN, GRID_POINTS = 10.0, 2001


@dataclass(frozen=True)
class Trace:
    """All intermediate results of one pass forward and back, for every round. Layers are named by their place.

    Attributes:
        loss: L, the loss of the whole batch, `[rounds]`.
        outputs: what each layer puts out, such as `outputs["0"]`, each `[rounds, samples, features]`.
        output_gradients: dL/d(output) of each layer, of the same names and shapes.
        gradients: dL/d(parameter), such as `gradients["0.weight"]`, each `[rounds, *shape]`.
    """

    loss: Tensor
    outputs: dict[str, Tensor]
    output_gradients: dict[str, Tensor]
    gradients: dict[str, Tensor]


@torch.inference_mode()
def trace(network: Sequential, loss: Loss, inputs: Tensor, targets: Tensor) -> Trace:
    """Pass samples forward through a network and the derivative of their loss back, keeping every result.

    The network is used in the mode that it is in: see `Sequential.train`.

    Args:
        network: the network, of any number of rounds.
        loss: what is differentiated.
        inputs: the samples that all rounds get, `[samples, features]`, in the data's own units.
        targets: what is to be put out for them, `[samples, outputs]`, in their own units.
    """
    x, target = (part.to(network.values.dtype).T.expand(network.rounds, -1, -1) for part in (inputs, targets))
    x, target = network.preprocessing.scale_inputs(x), network.preprocessing.scale_targets(target)
    names = [str(place) for place in range(len(network.layers))]
    outputs: dict[str, Tensor] = {}
    for name, layer in zip(names, network.layers, strict=True):
        x = outputs[name] = layer.forward(x)
    grad = loss.backward(x, target)
    output_gradients: dict[str, Tensor] = {}
    for name, layer in reversed(list(zip(names, network.layers, strict=True))):
        output_gradients[name] = grad
        grad = layer.backward(grad)
    return Trace(
        loss=loss.total(x, target),
        outputs={name: outputs[name].mT for name in names},
        output_gradients={name: output_gradients[name].mT for name in names},
        gradients={name: parameter.grad.clone() for name, parameter in network.named_parameters()},
    )


@torch.inference_mode()
def saturation(layer: Layer, inputs: Tensor) -> Tensor | None:
    """Tell which outputs of an activation hardly follow its input, as those of a sigmoid far from 0.

    They are those where the slope |dy/dx| is below 1% of the activation's steepest slope between -10 and 10. A
    rectified linear unit is saturated where it puts out 0. Slopes are what the layer's own `backward` says.

    Args:
        layer: any layer, connected.
        inputs: what goes into it, `[rounds, samples, features]`.

    Returns:
        Whether each output is saturated, `[rounds, samples, features]`; None if the layer is no activation, that
        is, no function of each element alone.
    """
    if not _is_elementwise(layer):
        return None
    grid = torch.linspace(-STEEPEST_WITHIN, STEEPEST_WITHIN, GRID_POINTS, dtype=inputs.dtype).view(1, 1, -1)
    steepest = _slopes(layer, grid).max()
    return (_slopes(layer, inputs.mT) < FLAT * steepest).mT


def _is_elementwise(layer: Layer) -> bool:
    """Tell whether a layer is one fixed function of each element alone.

    Then, and only then, does the sign of dL/dy change that of the same element of dL/dx, and nothing else.
    """
    if layer.parameters() or layer.buffers() or layer.noises():
        return False
    x = torch.linspace(-1, 1, 5, dtype=torch.float64).view(1, 5, 1)
    signs = torch.tensor([1, -1, 1, -1, 1], dtype=x.dtype).view(x.shape)
    return torch.equal(_backward(layer, x, signs), _backward(layer, x, torch.ones_like(x)) * signs)


def _slopes(layer: Layer, x: Tensor) -> Tensor:
    """Return |dy/dx| of an element-wise layer, of the shape of `x`."""
    return _backward(layer, x, torch.ones_like(x)).abs()


def _backward(layer: Layer, x: Tensor, grad: Tensor) -> Tensor:
    """Return dL/dx at `x`; what the layer keeps of its last batch stays as it is."""
    layer = copy(layer)
    layer.forward(x)
    return layer.backward(grad)
