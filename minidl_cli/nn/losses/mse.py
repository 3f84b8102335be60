"""The squared error."""

from torch import Tensor

from ..loss import Loss, Reduction


class MSE(Loss):
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
        self.reduction = reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        error = (output - target).square()
        return error.mean(dim=1) if self.reduction == "mean" else error.sum(dim=1)

    def total(self, output: Tensor, target: Tensor) -> Tensor:
        losses = self.forward(output, target)
        return losses.sum(dim=1) if self.reduction == "sum" else losses.mean(dim=1)

    def backward(self, output: Tensor, target: Tensor) -> Tensor:
        _, outputs, batch = output.shape
        scale = {"mean": 1 / (outputs * batch), "sum_outputs": 1 / batch, "sum": 1.0}[self.reduction]
        return (output - target).mul_(2 * scale)
