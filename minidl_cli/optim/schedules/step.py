"""A learning rate that falls in steps."""

from typing import Annotated

from pydantic import Field

from ...registry import PositiveInt
from ..schedule import Schedule


class Step(Schedule):
    """The optimizer's learning rate times gamma^⌊n / step_size⌋ after n epochs: PyTorch's StepLR.

    Args:
        step_size: the number of epochs of each step.
        gamma: the factor from one step to the next.
    """

    def __init__(self, step_size: PositiveInt, gamma: Annotated[float, Field(gt=0, le=1)] = 0.1):
        self.step_size, self.gamma = step_size, gamma

    def rate(self, lr: float, finished: int, epochs: int) -> float:
        return lr * self.gamma ** (finished // self.step_size)
