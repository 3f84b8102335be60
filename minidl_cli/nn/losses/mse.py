"""The squared error."""

from torch import Tensor

from ..loss import ElementwiseLoss, Reduction


class MSE(ElementwiseLoss):
    """The squared error L = c Σ (y − t)², summed over the outputs and the samples of a batch.

    Its derivative is dL/dy = 2 c (y − t), with c = 1 / (outputs × batch) for `mean`, which is PyTorch's
    mse_loss, 1 / batch for `sum_outputs`, and 1 for `sum`. The output y and target t are
    `[rounds, outputs, batch]`. The logged loss of a sample is its mean over the outputs for `mean`, its sum
    over them otherwise.
    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 5.2.

    Args:
        reduction: `mean` over outputs and samples, `sum_outputs` (the mean over samples only), or `sum`.
    """

    def __init__(self, reduction: Reduction = "mean"):
        super().__init__(reduction)

    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square()

    def slopes(self, output: Tensor, target: Tensor, c: float) -> Tensor:
        return (output - target).mul_(2 * c)
