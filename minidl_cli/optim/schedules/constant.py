"""A constant learning rate."""

from ..schedule import Schedule


class Constant(Schedule):
    """The optimizer's learning rate in every epoch."""

    def rate(self, lr: float, finished: int, epochs: int) -> float:
        return lr
