"""The leaky rectified linear unit."""

import math

import torch
from torch import Tensor

from ...registry import Fraction
from ..layer import Layer


class LeakyReLU(Layer):
    """The leaky rectified linear unit y = max(x, a x) with a slope a between 0 and 1, element by element.

    dy/dx is 1 where x > 0, which is where y > 0, and a elsewhere: it is max(sign(y), a). That takes a at the kink,
    as PyTorch does.
    Input and output are `[rounds, features, batch]`.
    Source: Maas, Hannun, Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models (2013).

    Args:
        negative_slope: a, the slope where x < 0.
    """

    def __init__(self, negative_slope: Fraction = 0.01):
        self.negative_slope = negative_slope
        self.gain = math.sqrt(2 / (1 + negative_slope**2))

    def forward(self, x: Tensor) -> Tensor:
        # One of the two terms is always 0.
        self.y = torch.add(torch.relu(x), x.clamp(max=0), alpha=self.negative_slope)
        return self.y

    def backward(self, grad: Tensor) -> Tensor:
        return grad * self.y.sign().clamp(min=self.negative_slope)
