"""What the two peers of PyTorch have in common: the network of a work as a module, its optimizer, its samples."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..works import SGD, Array, Weights, Work
from ..works import Part as NumpyPart

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


class Part(NamedTuple):
    """Samples as PyTorch's losses take them fastest.

    Inputs `[samples, features]`; targets `[samples, classes]` for the squared error, else the classes `[samples]`.
    """

    inputs: Tensor
    targets: Tensor

    @classmethod
    def of(cls, work: Work, part: NumpyPart) -> "Part":
        inputs, targets = map(torch.from_numpy, part)
        return cls(inputs, targets if work.loss == "mse" else classes(targets))


def classes(outputs: Tensor) -> Tensor:
    """Return the class with the largest output, `[samples]`; several times faster than argmax."""
    return outputs.max(dim=-1).indices


def hits(outputs: Tensor, targets: Tensor) -> Tensor:
    """Tell which samples are right."""
    return classes(outputs) == (targets if targets.dtype == torch.int64 else classes(targets))


def networks(work: Work, weights: Weights) -> list[nn.Sequential]:
    """Return a network for each round, with the given weights."""
    return [_network(work, layers) for layers in zip(*(zip(*layer, strict=True) for layer in weights), strict=True)]


def _network(work: Work, weights: Iterable[tuple[Array, Array]]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for place, (weight, bias) in enumerate(weights):
        linear = nn.Linear(*reversed(weight.shape))
        linear.weight, linear.bias = nn.Parameter(torch.tensor(weight)), nn.Parameter(torch.tensor(bias))
        layers += [linear, *(ACTIVATIONS[name]() for name in work.activations[place : place + 1])]
    return nn.Sequential(*layers)


def loss_of(work: Work) -> Callable[[Tensor, Tensor], Tensor]:
    return nn.functional.mse_loss if work.loss == "mse" else nn.functional.cross_entropy


def optimizer_of(work: Work, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
    rule = work.optimizer
    if isinstance(rule, SGD):
        return torch.optim.SGD(parameters, lr=rule.lr, momentum=rule.momentum, fused=True)
    return torch.optim.Adam(parameters, lr=rule.lr, betas=rule.betas, eps=rule.eps, fused=True)
