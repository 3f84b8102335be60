"""The cross-entropy of logits."""

from typing import Literal

import torch
from torch import Tensor

from ...registry import ProperFraction
from ..loss import Loss


class CrossEntropy(Loss):
    """The cross-entropy L = −c Σ_samples Σ_k q_k log p_k of the classes, where p = softmax(x) for the logits x.

    q = (1 − ε) t + ε / K mixes the one-hot target t of K classes with the uniform distribution. From
    log p_k = x_k − log Σ_j exp(x_j) follows d(log p_k)/dx_i = [i = k] − p_i, and as Σ_k q_k = 1,

        dL/dx = c (p − q)

    c is 1 / batch for `mean` and 1 for `sum`, as in PyTorch's cross_entropy. The output x, any number, and the
    target t, 0 or 1, are `[rounds, classes, batch]`. The loss of a sample is −Σ_k q_k log p_k, the probabilities are p.
    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4; for ε, Szegedy et al., Rethinking
    the Inception Architecture for Computer Vision (2016).

    Args:
        reduction: `mean` over samples, or `sum`.
        label_smoothing: ε, the share of the uniform distribution.
    """

    needs_indicators = True
    fewest_outputs = 2
    link_name = "softmax"

    def __init__(
        self,
        reduction: Literal["mean", "sum"] = "mean",
        label_smoothing: ProperFraction = 0.0,
    ):
        self.label_smoothing, self.is_sum = label_smoothing, reduction == "sum"

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return -(self._smoothed(target) * torch.log_softmax(output, dim=1)).sum(dim=1)

    def backward(self, output: Tensor, target: Tensor) -> Tensor:
        slopes = self.link(output).sub_(self._smoothed(target))
        return slopes if self.is_sum else slopes.mul_(1 / output.shape[2])

    def link(self, output: Tensor) -> Tensor:
        return torch.log_softmax(output, dim=1).exp_()

    def _smoothed(self, target: Tensor) -> Tensor:
        if self.label_smoothing == 0:
            return target
        return target * (1 - self.label_smoothing) + self.label_smoothing / target.shape[1]
