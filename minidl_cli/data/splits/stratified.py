"""A split by chance that keeps the shares of the classes."""

from torch import Tensor

from ..split import Population
from ..tables.messages import shown
from .random import Random


class Stratified(Random):
    """A split by chance in which every part has the classes in the shares of the whole table, as far as rows divide.

    How many rows of each class a part takes is the same for all seeds. A class of few rows may be missing in a part,
    but not in training.

    Args:
        test: the share of the rows to test on.
        validation: the share of the rows for validation.

    Raises:
        ValueError: nothing is left for training.
    """

    needs_classes = True

    def groups(self, population: Population) -> dict[str, Tensor]:
        """Return the rows of each class."""
        classes = population.classes
        assert classes is not None
        return {
            f" of class {shown(label)}": (classes == index).nonzero().squeeze(1)
            for index, label in enumerate(population.labels)
        }
