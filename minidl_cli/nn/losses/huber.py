"""Huber's loss."""

from torch import Tensor

from ...registry import Positive
from ..loss import ElementwiseLoss, Reduction


class Huber(ElementwiseLoss):
    """Huber's loss L = c Σ l(y − t): squared for small errors, absolute for large ones.

        l(e) = e² / 2                     where |e| ≤ δ
        l(e) = δ (|e| − δ / 2)            elsewhere

    Both are m (|e| − m / 2) with m = min(|e|, δ). The derivative is l'(e) = e, kept between −δ and δ.
    c = 1 / (outputs × batch) for `mean`, which is PyTorch's huber_loss, 1 / batch for `sum_outputs`, and 1 for
    `sum`. The output y and target t are `[rounds, outputs, batch]`.
    Source: Huber, Robust Estimation of a Location Parameter (1964).

    Args:
        reduction: `mean` over outputs and samples, `sum_outputs` (the mean over samples only), or `sum`.
        delta: δ, the error up to which the loss is squared.
    """

    def __init__(self, reduction: Reduction = "mean", delta: Positive = 1.0):
        super().__init__(reduction)
        self.delta = delta

    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        size = (output - target).abs()
        bounded = size.clamp(max=self.delta)
        return bounded * (size - bounded / 2)

    def slopes(self, output: Tensor, target: Tensor, c: float) -> Tensor:
        return (output - target).clamp_(-self.delta, self.delta).mul_(c)
