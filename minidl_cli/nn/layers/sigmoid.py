"""The logistic sigmoid."""

import torch
from torch import Tensor

from ..layer import Layer


class Sigmoid(Layer):
    """The logistic sigmoid y = 1 / (1 + exp(−x)), element by element.

    dy/dx = exp(−x) / (1 + exp(−x))² = y (1 − y), because exp(−x) / (1 + exp(−x)) = 1 − y.
    Input and output are `[rounds, features, batch]`.
    Source: Rumelhart, Hinton, Williams, Learning representations by back-propagating errors (1986).
    """

    def forward(self, x: Tensor) -> Tensor:
        # torch.sigmoid rounds an element differently near a tensor's end, so that a round's bits would depend
        # on its place in the stack. exp and division do not; where exp overflows, 1 / inf is the right 0.
        self.y = 1 / (1 + torch.exp(-x))
        return self.y

    def backward(self, grad: Tensor) -> Tensor:
        return grad * (self.y * (1 - self.y))
