"""The binary cross-entropy of probabilities."""

import torch
from torch import Tensor

from ..loss import ElementwiseLoss, Reduction

# PyTorch's bounds: a probability of exactly 0 or 1 has a finite loss and a finite derivative.
SMALLEST_LOG = -100.0
SMALLEST_VARIANCE = 9.999999960041972e-13  # 1e-12 in single precision


class BCE(ElementwiseLoss):
    """The binary cross-entropy L = −c Σ [t log p + (1 − t) log(1 − p)] of the network's outputs p, probabilities.

    Its derivative is dL/dp = −c [t / p − (1 − t) / (1 − p)] = c (p − t) / (p (1 − p)), with
    c = 1 / (outputs × batch) for `mean`, which is PyTorch's binary_cross_entropy, 1 / batch for `sum_outputs`, and
    1 for `sum`. As there, a logarithm counts as at least −100, and p (1 − p) as at least 10⁻¹². The output p,
    between 0 and 1, and the target t, 0 or 1, are `[rounds, outputs, batch]`.
    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 5.2.

    Args:
        reduction: `mean` over outputs and samples, `sum_outputs` (the mean over samples only), or `sum`.
    """

    takes_probabilities = True
    needs_indicators = True

    def __init__(self, reduction: Reduction = "mean"):
        super().__init__(reduction)

    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        log_present = torch.log(output).clamp_(min=SMALLEST_LOG)
        log_absent = torch.log1p(-output).clamp_(min=SMALLEST_LOG)
        return (target - 1) * log_absent - target * log_present

    def slopes(self, output: Tensor, target: Tensor, c: float) -> Tensor:
        variance = (output * (1 - output)).clamp_(min=SMALLEST_VARIANCE)
        return (output - target).div_(variance).mul_(c)
