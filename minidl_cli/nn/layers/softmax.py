"""The softmax."""

import torch
from torch import Tensor

from ..layer import Layer


class Softmax(Layer):
    """The softmax y_i = exp(x_i) / Σ_j exp(x_j) over the features of each sample: positive, with the sum 1.

    From ∂y_i/∂x_j = y_i (δ_ij − y_j), where δ_ij is 1 for i = j and 0 otherwise, follows for g = dL/dy
    dL/dx_j = Σ_i g_i y_i (δ_ij − y_j) = y_j (g_j − Σ_i g_i y_i).
    Input and output are `[rounds, features, batch]`.
    Source: Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs (1990).
    """

    gain = 1.0  # PyTorch names none.
    has_probabilities = True

    def forward(self, x: Tensor) -> Tensor:
        self.y = torch.exp(torch.log_softmax(x, dim=1))
        return self.y

    def backward(self, grad: Tensor) -> Tensor:
        return self.y * (grad - (grad * self.y).sum(dim=1, keepdim=True))
