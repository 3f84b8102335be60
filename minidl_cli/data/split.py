"""What a split is: which rows of a table belong to which part."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from .columns import Label

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Population:
    """What a split knows of the rows that it splits.

    Attributes:
        size: how many there are.
        classes: the class of each, `[rows]`; None where numbers are predicted.
        labels: what the classes are called.
        parts: for a split by a column, what it says of each row, `[rows]`: a place in `PARTS`.
    """

    size: int
    classes: Tensor | None = None
    labels: Sequence[Label] = ()
    parts: Tensor | None = None


class Split(ABC):
    """A way to split the rows of a table, by a seed.

    Attributes:
        column: the table's column that says which row belongs to which part, if one does.
        takes_test: whether it makes a part `test`.
        needs_classes: whether it can only split rows with classes.
    """

    column: str | None = None
    takes_test: bool = True
    needs_classes: bool = False

    @abstractmethod
    def parts(self, population: Population, seed: int) -> dict[str, Tensor]:
        """Return the rows of each part by its name, `[samples]`, int64, ascending. Parts without rows are left out.

        How many rows a part has, of every class, is the same for all seeds.

        Raises:
            ValueError: a part that should have rows gets none.
        """
