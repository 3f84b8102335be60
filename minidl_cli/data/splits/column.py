"""A split that stands in the table."""

from torch import Tensor

from ..split import PARTS, Population, Split


class ByColumn(Split):
    """A split that a column of the table tells: it holds train, validation or test.

    Args:
        name: the column's name. It is none of the features.
    """

    def __init__(self, name: str):
        self.column = name

    def parts(self, population: Population, seed: int) -> dict[str, Tensor]:
        assert population.parts is not None
        rows = {name: (population.parts == place).nonzero().squeeze(1) for place, name in enumerate(PARTS)}
        for name in ("train", "test"):
            if not len(rows[name]):
                raise ValueError(f"the split's column has no row for {name}; write {name} into some rows")
        return {name: places for name, places in rows.items() if len(places)}
