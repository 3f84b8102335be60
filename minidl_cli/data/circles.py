"""Two circles, one inside the other."""

import math

import torch
from torch import Generator, Tensor

from ..registry import NonNegative, Pair, PositiveInt, ProperFraction
from .dataset import Part
from .plane import Plane, balanced_labels, with_noise


class Circles(Plane):
    """Points of two circles around the origin: class 0 has the radius 1, class 1 a smaller one.

    A point is r (cos φ, sin φ) and Gaussian noise, with φ drawn uniformly. The border is drawn halfway between the
    circles.
    Source: `make_circles` of scikit-learn, whose circles are these.

    Args:
        train: the number of points to train on.
        test: the number of points to test on.
        noise: the standard deviation of the noise, in both coordinates.
        factor: the radius of the inner circle.
        target_values: the targets of a class that is absent and of one that is present, in this order.

    Raises:
        ValueError: the target values do not ascend.
    """

    def __init__(
        self,
        train: PositiveInt = 1000,
        test: PositiveInt = 1000,
        noise: NonNegative = 0.1,
        factor: ProperFraction = 0.5,
        target_values: Pair = (0.0, 1.0),
    ):
        super().__init__(train, test, classes=2, target_values=target_values)
        self.noise, self.factor = noise, factor

    def sample(self, size: int, numbers: Generator) -> Part:
        labels = balanced_labels(size)
        radius = torch.where(labels == 1, self.factor, 1.0)
        angle = 2 * math.pi * torch.rand(size, dtype=torch.float64, generator=numbers)
        points = radius * torch.stack([angle.cos(), angle.sin()])
        return Part(with_noise(points, self.noise, numbers), labels)

    def border(self) -> list[Tensor]:
        angle = torch.linspace(0, 2 * math.pi, 181, dtype=torch.float64)
        return [(1 + self.factor) / 2 * torch.stack([angle.cos(), angle.sin()], dim=1)]
