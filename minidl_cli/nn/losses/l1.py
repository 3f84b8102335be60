"""The absolute error."""

from torch import Tensor

from ..loss import ElementwiseLoss, Reduction


class L1(ElementwiseLoss):
    """The absolute error L = c Σ |y − t|, summed over the outputs and the samples of a batch.

    Its derivative is dL/dy = c sign(y − t), 0 where y = t, with c = 1 / (outputs × batch) for `mean`, which is
    PyTorch's l1_loss, 1 / batch for `sum_outputs`, and 1 for `sum`. The output y and target t are
    `[rounds, outputs, batch]`.
    Source: Boyd, Vandenberghe, Convex Optimization (2004), section 6.1.2.

    Args:
        reduction: `mean` over outputs and samples, `sum_outputs` (the mean over samples only), or `sum`.
    """

    def __init__(self, reduction: Reduction = "mean"):
        super().__init__(reduction)

    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs()

    def slopes(self, output: Tensor, target: Tensor, c: float) -> Tensor:
        return (output - target).sign_().mul_(c)
