"""What a schedule is: the learning rate of each epoch."""

from abc import ABC, abstractmethod


class Schedule(ABC):
    """The learning rate as a function of the epochs that are finished: nothing to remember, nothing to save."""

    @abstractmethod
    def rate(self, lr: float, finished: int, epochs: int) -> float:
        """Return the learning rate of the next epoch.

        Args:
            lr: the optimizer's own.
            finished: the number of finished epochs, 0 for the first epoch, less than `epochs`.
            epochs: the number of epochs that are to be trained in all.
        """
