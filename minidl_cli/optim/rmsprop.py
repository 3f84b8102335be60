"""RMSprop."""

import torch
from torch import Tensor

from ..registry import NonNegative, Positive, ProperFraction
from .optimizer import Optimizer


class RMSprop(Optimizer):
    """RMSprop: the gradient, divided by the root of a running mean of its squares.

        g ← g + weight_decay · θ
        s ← alpha · s + (1 − alpha) · g²
        θ ← θ − lr · g / (√s + eps)

    centered divides by √(s − m²) + eps instead, where m ← alpha · m + (1 − alpha) · g. With momentum, the quotient
    goes into v ← momentum · v + g / (√s + eps), and θ ← θ − lr · v. s, m and v start at 0.
    Sources: Tieleman, Hinton, Neural Networks for Machine Learning, lecture 6.5 (2012); centered: Graves, Generating
    Sequences With Recurrent Neural Networks (2013); in the form of torch.optim.RMSprop, but s − m² is never below 0.

    Args:
        lr: the learning rate.
        alpha: the share of the running means that a step keeps.
        eps: what keeps the divisor from 0.
        weight_decay: the strength of the L2 penalty, weight_decay / 2 · |θ|².
        momentum: the share of the last velocity that is kept.
        centered: whether the gradient is divided by its standard deviation.
    """

    def __init__(
        self,
        lr: Positive = 1e-2,
        alpha: ProperFraction = 0.99,
        eps: Positive = 1e-8,
        weight_decay: NonNegative = 0.0,
        momentum: NonNegative = 0.0,
        centered: bool = False,
    ):
        self.lr, self.alpha, self.eps = lr, alpha, eps
        self.weight_decay, self.momentum, self.centered = weight_decay, momentum, centered
        self.state_names = ("square", *(("mean",) if centered else ()), *(("velocity",) if momentum else ()))

    def update(self, values: Tensor, gradients: Tensor, scalars: tuple[float, ...]) -> None:
        (lr,) = scalars
        if self.weight_decay:
            gradients.add_(values, alpha=self.weight_decay)
        square = self.state["square"].mul_(self.alpha).addcmul_(gradients, gradients, value=1 - self.alpha)
        divisor = self._deviation(square, gradients) if self.centered else torch.sqrt(square)
        divisor.add_(self.eps)
        if self.momentum:
            velocity = self.state["velocity"].mul_(self.momentum).addcdiv_(gradients, divisor)
            values.add_(velocity, alpha=-lr)
        else:
            values.addcdiv_(gradients, divisor, value=-lr)

    def _deviation(self, square: Tensor, gradients: Tensor) -> Tensor:
        mean = self.state["mean"].mul_(self.alpha).add_(gradients, alpha=1 - self.alpha)
        # Where a gradient hardly changes, rounding can take the difference below 0, and PyTorch to NaN.
        return torch.addcmul(square, mean, mean, value=-1).clamp_(min=0).sqrt_()
