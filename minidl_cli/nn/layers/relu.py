"""The rectified linear unit."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..layer import Layer

threshold_backward: Callable[[Tensor, Tensor, float], Tensor] = torch.ops.aten.threshold_backward.default


class ReLU(Layer):
    """The rectified linear unit y = max(0, x), element by element.

    dy/dx is 1 where x > 0, which is where y > 0, and 0 where y = 0. That takes 0 at the kink, as PyTorch does, whose
    operation `threshold_backward` gives dL/dx: dL/dy where y is above the threshold 0, and 0 elsewhere.
    Input and output are `[rounds, features, batch]`.
    Source: Nair, Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines (2010).
    """

    gain = math.sqrt(2)

    def forward(self, x: Tensor) -> Tensor:
        self.y = torch.relu(x)
        return self.y

    def backward(self, grad: Tensor) -> Tensor:
        return threshold_backward(grad, self.y, 0)
