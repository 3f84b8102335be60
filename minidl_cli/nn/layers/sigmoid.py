"""The logistic sigmoid."""

import torch
from torch import Tensor

from ..layer import Layer


def sigmoid(x: Tensor) -> Tensor:
    """Return 1 / (1 + exp(−x)), element by element, with the same bits wherever an element stands.

    torch.sigmoid rounds an element differently near a tensor's end, so that a round's bits would depend on its place
    in the stack; exp and division do not. With e = exp(x), the sigmoid is e / (1 + e), which is exactly 1 from
    x = 40 on; there e stays as it is, as it must not become infinite.
    """
    e = torch.exp(x.clamp(max=40))
    return e / (1 + e)


class Sigmoid(Layer):
    """The logistic sigmoid y = 1 / (1 + exp(−x)), element by element.

    dy/dx = exp(−x) / (1 + exp(−x))² = y (1 − y), because exp(−x) / (1 + exp(−x)) = 1 − y.
    Input and output are `[rounds, features, batch]`.
    Source: Rumelhart, Hinton, Williams, Learning representations by back-propagating errors (1986).
    """

    gain = 1.0
    has_probabilities = True

    def forward(self, x: Tensor) -> Tensor:
        self.y = sigmoid(x)
        return self.y

    def backward(self, grad: Tensor) -> Tensor:
        return grad * (self.y * (1 - self.y))
