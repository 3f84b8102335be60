"""What a loss is: the loss of each sample, and its derivative with respect to the network's output."""

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor

Reduction = Literal["mean", "sum_outputs", "sum"]


class Loss(ABC):
    """What training minimizes, over a batch of outputs `[rounds, outputs, batch]` and targets of the same shape.

    (Where all rounds share their targets, these may be `[1, outputs, batch]`.)
    """

    @abstractmethod
    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each sample, `[rounds, batch]`. Logged losses are means of these over samples."""

    def total(self, output: Tensor, target: Tensor) -> Tensor:
        """Return L, the loss of the whole batch, which `backward` differentiates, `[rounds]`: the samples' mean."""
        return self.forward(output, target).mean(dim=1)

    @abstractmethod
    def backward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return dL/d(output), `[rounds, outputs, batch]`, where L is the `total` of the batch."""
