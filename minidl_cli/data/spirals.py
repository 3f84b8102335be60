"""Spirals that wind around each other."""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor

from ..registry import NonNegative, Pair, PositiveInt
from .dataset import Part
from .plane import Plane, balanced_labels, with_noise


class Spirals(Plane):
    """Points of Archimedean spirals that wind around each other, one for each class.

    With t turns and A arms, a point of class k is r (cos φ, sin φ) with φ = 2π (t r + k / A), and Gaussian noise; r²
    is drawn uniformly from [0, 1], so that the outer windings are as dense as the inner ones. The border is drawn
    halfway between neighbouring arms.
    Source: Lang, Witbrock, Learning to Tell Two Spirals Apart (1988), with three turns.

    Args:
        train: the number of points to train on.
        test: the number of points to test on.
        noise: the standard deviation of the noise, in both coordinates.
        turns: t, how often an arm goes around the origin.
        arms: A, the number of arms and of classes.
        target_values: the targets of a class that is absent and of one that is present, in this order.

    Raises:
        ValueError: the target values do not ascend.
    """

    def __init__(
        self,
        train: PositiveInt = 1000,
        test: PositiveInt = 1000,
        noise: NonNegative = 0.02,
        turns: Annotated[float, Field(gt=0, le=100)] = 1.5,
        arms: Annotated[int, Field(ge=2)] = 2,
        target_values: Pair = (0.0, 1.0),
    ):
        super().__init__(train, test, classes=arms, target_values=target_values)
        self.noise, self.turns, self.arms = noise, turns, arms

    def sample(self, size: int, numbers: Generator) -> Part:
        labels = balanced_labels(size, self.arms)
        radius = torch.rand(size, dtype=torch.float64, generator=numbers).sqrt()
        return Part(with_noise(self._spiral(radius, labels), self.noise, numbers), labels)

    def border(self) -> list[Tensor]:
        radius = torch.linspace(0, 1, 1 + math.ceil(180 * self.turns), dtype=torch.float64)
        return [self._spiral(radius, torch.tensor(arm + 0.5)).T for arm in range(self.arms)]

    def _spiral(self, radius: Tensor, arm: Tensor) -> Tensor:
        """The points `[2, n]` of arms at distances `[n]` from the origin; arm 1/2 lies between the first two."""
        angle = 2 * math.pi * (self.turns * radius + arm / self.arms)
        return radius * torch.stack([angle.cos(), angle.sin()])
