"""Two normal distributions."""

import math

import torch
from torch import Generator, Tensor

from ..registry import NonNegative, Pair, Positive, PositiveInt
from .dataset import Part
from .plane import Plane, balanced_labels, with_noise


class Gaussians(Plane):
    """Points of two round normal distributions, labelled by the one that they are drawn from.

    With the distance d, class 0 lies around (−d, −d) / √8 and class 1 around (d, d) / √8, both with the standard
    deviation σ in every direction. They overlap: no border is better than the straight line halfway between, on whose
    right side lies the share Φ(d / 2σ) of the points, 0.952 by default, where Φ is the normal distribution function.
    Source: Fisher, The Use of Multiple Measurements in Taxonomic Problems (1936).

    Args:
        train: the number of points to train on.
        test: the number of points to test on.
        noise: σ, the standard deviation of both distributions.
        distance: d, how far apart the centres are.
        target_values: the targets of a class that is absent and of one that is present, in this order.

    Raises:
        ValueError: the target values do not ascend.
    """

    def __init__(
        self,
        train: PositiveInt = 1000,
        test: PositiveInt = 1000,
        noise: NonNegative = 0.3,
        distance: Positive = 1.0,
        target_values: Pair = (0.0, 1.0),
    ):
        super().__init__(train, test, classes=2, target_values=target_values)
        self.noise, self.distance = noise, distance

    def sample(self, size: int, numbers: Generator) -> Part:
        labels = balanced_labels(size)
        along = (2 * labels - 1) * (self.distance / math.sqrt(8))
        return Part(with_noise(torch.stack([along, along]).double(), self.noise, numbers), labels)

    def border(self) -> list[Tensor]:
        reach = self.distance / math.sqrt(8) + 3 * self.noise
        return [torch.tensor([[-reach, reach], [reach, -reach]], dtype=torch.float64)]
