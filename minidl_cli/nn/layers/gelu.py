"""The Gaussian error linear unit."""

import math
from typing import Literal

import torch
from torch import Tensor

from ..layer import Layer

CUBIC = 0.044715


class GELU(Layer):
    """The Gaussian error linear unit y = x Φ(x), Φ the normal distribution's cumulative one, element by element.

    By the product rule dy/dx = Φ(x) + x φ(x), where

        Φ(x) = (1 + erf(x / √2)) / 2              φ(x) = exp(−x² / 2) / √(2π)

    or, approximated with u = √(2/π) (x + 0.044715 x³), by tanh' = 1 − tanh² = 4 Φ (1 − Φ),

        Φ(x) = (1 + tanh(u)) / 2                  φ(x) = 2 Φ (1 − Φ) √(2/π) (1 + 3 · 0.044715 x²)

    Input and output are `[rounds, features, batch]`.
    Source: Hendrycks, Gimpel, Gaussian Error Linear Units (2016).

    Args:
        approximate: whether Φ is approximated by tanh.
    """

    gain = 1.0  # PyTorch names none.

    def __init__(self, approximate: Literal["none", "tanh"] = "none"):
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        self.x, self.distribution = x, (1 + self._odd_part(x)) / 2
        return x * self.distribution

    def _odd_part(self, x: Tensor) -> Tensor:
        if self.approximate == "none":
            return torch.erf(x / math.sqrt(2))
        return torch.tanh(math.sqrt(2 / math.pi) * (x + CUBIC * x**3))

    def backward(self, grad: Tensor) -> Tensor:
        return grad * (self.distribution + self.x * self._density())

    def _density(self) -> Tensor:
        square = self.x * self.x
        if self.approximate == "none":
            return torch.exp(square / -2) / math.sqrt(2 * math.pi)
        slope = 2 * math.sqrt(2 / math.pi) * (1 + 3 * CUBIC * square)
        return self.distribution * (1 - self.distribution) * slope
