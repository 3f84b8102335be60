"""A split by chance."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...randomness import generator
from ...registry import ProperFraction
from ..split import PARTS, Population, Split


class Random(Split):
    """A split by chance.

    Args:
        test: the share of the rows to test on.
        validation: the share of the rows for validation.

    Raises:
        ValueError: nothing is left for training.
    """

    def __init__(self, test: ProperFraction = 0.2, validation: ProperFraction = 0.0):
        if test + validation >= 1:
            raise ValueError(f"test and validation must leave rows for training, but are {test:g} and {validation:g}")
        self.shares = {"test": test, "validation": validation}
        self.takes_test = test > 0

    def parts(self, population: Population, seed: int) -> dict[str, Tensor]:
        groups = self.groups(population)
        counts = [len(rows) for rows in groups.values()]
        taken = {name: apportioned(self._size(name, population.size), counts) for name in self.shares}
        numbers = generator(seed, "split")
        dealt: dict[str, list[Tensor]] = {name: [] for name in PARTS}
        for index, (name, rows) in enumerate(groups.items()):
            test, validation = taken["test"][index], taken["validation"][index]
            if 0 < len(rows) <= test + validation:
                raise ValueError(f"no row{name} is left for training, of {len(rows)}; take smaller shares")
            order = rows[torch.randperm(len(rows), generator=numbers)]
            dealt["test"].append(order[:test])
            dealt["validation"].append(order[test : test + validation])
            dealt["train"].append(order[test + validation :])
        parts = {name: _ascending(torch.cat(rows), population.size) for name, rows in dealt.items()}
        return {name: rows for name, rows in parts.items() if len(rows)}

    def groups(self, population: Population) -> dict[str, Tensor]:
        """Return the rows that are split on their own, by what a message says of them."""
        return {"": torch.arange(population.size)}

    def _size(self, part: str, rows: int) -> int:
        size = round(self.shares[part] * rows)
        if self.shares[part] and not size:
            raise ValueError(f"{self.shares[part]:g} of {rows} rows are none for {part}; take a larger share")
        return size


def _ascending(rows: Tensor, number: int) -> Tensor:
    """Return some rows of a number of them in their order, faster than by sorting."""
    is_there = torch.zeros(number, dtype=torch.bool)
    is_there[rows] = True
    return is_there.nonzero().squeeze(1)


def apportioned(total: int, counts: Sequence[int]) -> list[int]:
    """Return how many each group gives to a total, in proportion to its size.

    The method of largest remainders (Hamilton): each gives its exact share rounded down, and those with the largest
    remainders one more; of equal ones, the larger group, then the first.
    """
    everything = sum(counts)
    given = [total * count // everything for count in counts]
    in_turn = sorted(range(len(counts)), key=lambda each: (-(total * counts[each] % everything), -counts[each]))
    for index in in_turn[: total - sum(given)]:
        given[index] += 1
    return given
