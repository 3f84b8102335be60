"""Two half circles that reach into each other."""

import math

import torch
from torch import Generator

from ..registry import NonNegative, Pair, PositiveInt
from .dataset import Part
from .plane import Plane, balanced_labels, with_noise


class Moons(Plane):
    """Points of two half circles of radius 1, each of which begins inside the other.

    With φ drawn uniformly from [0, π], a point of class 0 is (cos φ, sin φ), one of class 1 the same turned around
    (1/2, 1/4), which is (1 − cos φ, 1/2 − sin φ); both with Gaussian noise.
    Source: `make_moons` of scikit-learn, whose half circles are these.

    Args:
        train: the number of points to train on.
        test: the number of points to test on.
        noise: the standard deviation of the noise, in both coordinates.
        target_values: the targets of a class that is absent and of one that is present, in this order.

    Raises:
        ValueError: the target values do not ascend.
    """

    def __init__(
        self,
        train: PositiveInt = 1000,
        test: PositiveInt = 1000,
        noise: NonNegative = 0.15,
        target_values: Pair = (0.0, 1.0),
    ):
        super().__init__(train, test, classes=2, target_values=target_values)
        self.noise = noise

    def sample(self, size: int, numbers: Generator) -> Part:
        labels = balanced_labels(size)
        angle = math.pi * torch.rand(size, dtype=torch.float64, generator=numbers)
        upper = torch.stack([angle.cos(), angle.sin()])
        lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()])
        return Part(with_noise(torch.where(labels == 0, upper, lower), self.noise, numbers), labels)
