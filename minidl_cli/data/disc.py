"""A disc in the unit square."""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor

from ..registry import Pair, Positive, PositiveInt
from .dataset import Part
from .plane import Plane

# The radius of a disc whose area is 1/2.
HALF_THE_SQUARE = 1 / math.sqrt(2 * math.pi)


class Disc(Plane):
    """Points of the unit square, labelled by whether they lie in a disc around its centre.

    Points are drawn uniformly from [0, 1]². With the default radius 1 / sqrt(2 π) the disc's area is 1/2, so
    that the classes are balanced.

    Args:
        train: the number of points to train on.
        test: the number of points to test on.
        inside_label: the class of the points inside.
        target_values: the targets of a class that is absent and of one that is present, in this order.
        radius: the disc's radius.

    Raises:
        ValueError: the target values do not ascend.
    """

    def __init__(
        self,
        train: PositiveInt = 1000,
        test: PositiveInt = 1000,
        inside_label: Annotated[int, Field(ge=0, le=1)] = 1,
        target_values: Pair = (0.0, 1.0),
        radius: Positive = HALF_THE_SQUARE,
    ):
        super().__init__(train, test, classes=2, target_values=target_values)
        self.inside_label, self.radius = inside_label, radius

    def sample(self, size: int, numbers: Generator) -> Part:
        points = torch.rand(2, size, dtype=torch.float64, generator=numbers)
        inside = (points - 0.5).square().sum(dim=0) <= self.radius**2
        return Part(points, torch.where(inside, self.inside_label, 1 - self.inside_label))

    def border(self) -> list[Tensor]:
        angle = torch.linspace(0, 2 * math.pi, 181, dtype=torch.float64)
        return [0.5 + self.radius * torch.stack([angle.cos(), angle.sin()], dim=1)]
