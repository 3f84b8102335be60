"""A learning rate that falls by the same factor in every epoch."""

from typing import Annotated

from pydantic import Field

from ..schedule import Schedule


class Exponential(Schedule):
    """The optimizer's learning rate times gamma^n after n epochs: PyTorch's ExponentialLR.

    Args:
        gamma: the factor from one epoch to the next.
    """

    def __init__(self, gamma: Annotated[float, Field(gt=0, le=1)]):
        self.gamma = gamma

    def rate(self, lr: float, finished: int, epochs: int) -> float:
        return lr * float(self.gamma**finished)
