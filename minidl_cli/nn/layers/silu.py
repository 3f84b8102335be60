"""The sigmoid linear unit."""

from torch import Tensor

from ..layer import Layer
from .sigmoid import sigmoid


class SiLU(Layer):
    """The sigmoid linear unit, or swish: y = x σ(x) with σ(x) = 1 / (1 + exp(−x)), element by element.

    By the product rule and σ' = σ (1 − σ), dy/dx = σ + x σ (1 − σ) = σ + y (1 − σ).
    Input and output are `[rounds, features, batch]`.
    Source: Elfwing, Uchibe, Doya, Sigmoid-weighted linear units for neural network function approximation (2018).
    """

    gain = 1.0  # PyTorch names none.

    def forward(self, x: Tensor) -> Tensor:
        self.sigmoid = sigmoid(x)
        self.y = x * self.sigmoid
        return self.y

    def backward(self, grad: Tensor) -> Tensor:
        return grad * (self.sigmoid + self.y * (1 - self.sigmoid))
