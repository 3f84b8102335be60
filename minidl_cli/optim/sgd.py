"""Stochastic gradient descent."""

import torch
from torch import Tensor

from ..registry import NonNegative, Positive
from .optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum as PyTorch defines it.

        g ← g + weight_decay · θ
        v ← momentum · v + g
        θ ← θ − lr · v                       (with nesterov: θ ← θ − lr · (g + momentum · v))

    v starts at 0. Source: Sutskever, Martens, Dahl, Hinton, On the importance of initialization and momentum
    in deep learning (2013), in the form of torch.optim.SGD, where lr stands outside of v.

    Args:
        lr: the learning rate.
        momentum: the share of the last velocity that is kept.
        nesterov: whether the step looks ahead along the velocity.
        weight_decay: the strength of the L2 penalty, weight_decay / 2 · |θ|².

    Raises:
        ValueError: nesterov without momentum.
    """

    def __init__(
        self, lr: Positive, momentum: NonNegative = 0.0, nesterov: bool = False, weight_decay: NonNegative = 0.0
    ):
        if nesterov and not momentum:
            raise ValueError("nesterov needs a momentum above 0")
        self.lr, self.momentum, self.nesterov, self.weight_decay = lr, momentum, nesterov, weight_decay
        self.state_names = ("velocity",) if momentum else ()

    def update(self, values: Tensor, gradients: Tensor, scalars: tuple[float, ...]) -> None:
        (lr,) = scalars
        if self.weight_decay:
            gradients.add_(values, alpha=self.weight_decay)
        if self.momentum:
            velocity = self.state["velocity"]
            torch.add(gradients, velocity, alpha=self.momentum, out=velocity)
            gradients = gradients.add_(velocity, alpha=self.momentum) if self.nesterov else velocity
        values.add_(gradients, alpha=-lr)
