"""A checkerboard."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor

from ..registry import NonNegative, Pair, PositiveInt
from .dataset import Part
from .plane import Plane, balanced_labels, with_noise


class Checkerboard(Plane):
    """Points of the unit square, labelled by the colour of the cell of a checkerboard that they lie in.

    With c cells on each side, (x1, x2) has the class (⌊c x1⌋ + ⌊c x2⌋) mod 2. Points are drawn uniformly from the
    cells of their class, and labelled before noise is added.

    Args:
        train: the number of points to train on.
        test: the number of points to test on.
        noise: the standard deviation of the noise, in both coordinates.
        cells: c, the number of cells on each side.
        target_values: the targets of a class that is absent and of one that is present, in this order.

    Raises:
        ValueError: the target values do not ascend.
    """

    def __init__(
        self,
        train: PositiveInt = 1000,
        test: PositiveInt = 1000,
        noise: NonNegative = 0.0,
        cells: Annotated[int, Field(ge=2, le=100)] = 4,
        target_values: Pair = (0.0, 1.0),
    ):
        super().__init__(train, test, classes=2, target_values=target_values)
        self.noise, self.cells = noise, cells

    def sample(self, size: int, numbers: Generator) -> Part:
        labels = balanced_labels(size)
        points = torch.rand(2, size, dtype=torch.float64, generator=numbers)
        cells = torch.cartesian_prod(torch.arange(self.cells), torch.arange(self.cells)).T
        for colour in (0, 1):
            of_colour = cells[:, cells.sum(dim=0) % 2 == colour]
            chosen = (labels == colour).nonzero().squeeze(1)
            points[:, chosen] += of_colour[:, torch.randint(of_colour.shape[1], chosen.shape, generator=numbers)]
        return Part(with_noise(points / self.cells, self.noise, numbers), labels)

    def border(self) -> list[Tensor]:
        inner = [line / self.cells for line in range(1, self.cells)]
        upright = [torch.tensor([[x, 0], [x, 1]], dtype=torch.float64) for x in inner]
        return [*upright, *(line.flip(1) for line in upright)]
