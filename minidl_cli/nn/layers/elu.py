"""The exponential linear unit."""

import torch
from torch import Tensor

from ...registry import Positive
from ..layer import Layer


class ELU(Layer):
    """The exponential linear unit y = x where x > 0, y = α (exp(x) − 1) elsewhere, element by element.

    dy/dx is 1 where x > 0, which is where y > 0, and α exp(x) = y + α elsewhere. That takes α at 0, as PyTorch does.
    Input and output are `[rounds, features, batch]`.
    Source: Clevert, Unterthiner, Hochreiter, Fast and Accurate Deep Network Learning by Exponential Linear Units
    (2016).

    Args:
        alpha: α; the output never falls below −α.
    """

    gain = 1.0  # PyTorch names none.

    def __init__(self, alpha: Positive = 1.0):
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        # One of the two terms is always 0.
        self.y = torch.add(torch.relu(x), torch.expm1(x.clamp(max=0)), alpha=self.alpha)
        return self.y

    def backward(self, grad: Tensor) -> Tensor:
        is_positive = torch.relu(self.y).sign()
        slope = torch.add(self.y.clamp(max=0) + self.alpha, is_positive, alpha=1 - self.alpha)
        return grad * slope
