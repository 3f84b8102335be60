"""Learning rates set at given epochs."""

from typing import Annotated

from pydantic import Field

from ...registry import NonNegativeInt, Positive
from ..schedule import Schedule


class Piecewise(Schedule):
    """A learning rate of its own for each stretch of epochs; before the first one, the optimizer's.

    `piecewise: {0: 0.1, 100: 0.03}` trains the first 100 epochs at 0.1, and those from epoch 101 on at 0.03.

    Args:
        rates: the learning rates, each after the number of finished epochs from which it holds.
    """

    def __init__(self, rates: Annotated[dict[NonNegativeInt, Positive], Field(min_length=1)]):
        self.rates = rates

    def rate(self, lr: float, finished: int, epochs: int) -> float:
        begun = [first for first in self.rates if first <= finished]
        return self.rates[max(begun)] if begun else lr
