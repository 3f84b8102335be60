"""The hyperbolic tangent."""

import torch
from torch import Tensor

from ..layer import Layer


class Tanh(Layer):
    """The hyperbolic tangent y = tanh(x), element by element.

    From tanh = sinh / cosh follows dy/dx = (cosh² − sinh²) / cosh² = 1 − tanh²(x) = 1 − y².
    Input and output are `[rounds, features, batch]`.
    Source: LeCun, Bottou, Orr, Müller, Efficient BackProp (1998), section 4.4.
    """

    gain = 5 / 3

    def forward(self, x: Tensor) -> Tensor:
        self.y = torch.tanh(x)
        return self.y

    def backward(self, grad: Tensor) -> Tensor:
        return grad * (1 - self.y * self.y)
