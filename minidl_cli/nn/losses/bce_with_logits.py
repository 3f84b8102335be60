"""The binary cross-entropy of logits."""

import torch
from torch import Tensor

from ..layers.sigmoid import sigmoid
from ..loss import ElementwiseLoss, Reduction


class BCEWithLogits(ElementwiseLoss):
    """The binary cross-entropy L = −c Σ [t log σ(x) + (1 − t) log(1 − σ(x))] of the network's outputs x, logits.

    With log σ(x) = −log(1 + exp(−x)) and log(1 − σ(x)) = −x + log σ(x), an entry is

        (1 − t) x + log(1 + exp(−x)) = max(x, 0) − x t + log(1 + exp(−|x|))

    where no exponential overflows. Its derivative is dL/dx = c (σ(x) − t), as σ' = σ (1 − σ). c = 1 / (outputs × batch)
    for `mean`, which is PyTorch's binary_cross_entropy_with_logits, 1 / batch for `sum_outputs`, and 1 for `sum`.
    The output x, any number, and the target t, 0 or 1, are `[rounds, outputs, batch]`. The probability is σ(x).
    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 5.2.

    Args:
        reduction: `mean` over outputs and samples, `sum_outputs` (the mean over samples only), or `sum`.
    """

    needs_indicators = True
    link_name = "sigmoid"

    def __init__(self, reduction: Reduction = "mean"):
        super().__init__(reduction)

    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        return output.clamp(min=0) - output * target + torch.log1p(torch.exp(-output.abs()))

    def slopes(self, output: Tensor, target: Tensor, c: float) -> Tensor:
        return self.link(output).sub_(target).mul_(c)

    def link(self, output: Tensor) -> Tensor:
        return sigmoid(output)
