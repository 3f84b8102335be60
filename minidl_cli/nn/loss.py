"""What a loss is: the loss of each sample, and its derivative with respect to the network's output."""

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor

Reduction = Literal["mean", "sum_outputs", "sum"]


class Loss(ABC):
    """What training minimizes, over a batch of outputs `[rounds, outputs, batch]` and targets of the same shape.

    (Where all rounds share their targets, these may be `[1, outputs, batch]`.)

    Attributes:
        is_sum: whether the loss of a batch is the sum over its samples, and not their mean.
        takes_probabilities: whether outputs must lie between 0 and 1.
        needs_indicators: whether targets must be 0 and 1.
        fewest_outputs: how many outputs it takes at least.
        link_name: the layer that computes what `link` does.
    """

    is_sum: bool = False
    takes_probabilities: bool = False
    needs_indicators: bool = False
    fewest_outputs: int = 1
    link_name: str = "identity"

    @abstractmethod
    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each sample, `[rounds, batch]`. Logged losses are means of these over samples."""

    def total(self, output: Tensor, target: Tensor) -> Tensor:
        """Return L, the loss of the whole batch, which `backward` differentiates, `[rounds]`."""
        losses = self.forward(output, target)
        return losses.sum(dim=1) if self.is_sum else losses.mean(dim=1)

    @abstractmethod
    def backward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return dL/d(output), `[rounds, outputs, batch]`, where L is the `total` of the batch."""

    def link(self, output: Tensor) -> Tensor:
        """Return what the outputs say on the scale of the targets: the outputs themselves, unless they are logits."""
        return output

    def share(self, samples: int, joined: int) -> float:
        """Return how much of a joined batch's loss is that of a part, given the numbers of their samples."""
        return 1.0 if self.is_sum else samples / joined


class ElementwiseLoss(Loss):
    """A loss c Σ l(y, t), summed over the outputs and the samples of a batch.

    c is 1 / (outputs × batch) for the reduction `mean`, as in PyTorch, 1 / batch for `sum_outputs`, and 1 for `sum`.
    The loss of one sample is its mean over the outputs for `mean`, its sum over them otherwise.

    Args:
        reduction: which of the three.
    """

    def __init__(self, reduction: Reduction):
        self.reduction, self.is_sum = reduction, reduction == "sum"

    @abstractmethod
    def entries(self, output: Tensor, target: Tensor) -> Tensor:
        """Return l(y, t) for each output, `[rounds, outputs, batch]`."""

    @abstractmethod
    def slopes(self, output: Tensor, target: Tensor, c: float) -> Tensor:
        """Return c dl/dy for each output, a new tensor `[rounds, outputs, batch]`."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each sample, `[rounds, batch]`."""
        entries = self.entries(output, target)
        return entries.mean(dim=1) if self.reduction == "mean" else entries.sum(dim=1)

    def backward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return dL/dy = c dl/dy, `[rounds, outputs, batch]`."""
        _, outputs, batch = output.shape
        terms = {"mean": outputs * batch, "sum_outputs": batch, "sum": 1}[self.reduction]
        return self.slopes(output, target, 1 / terms)
