"""A smooth surface over the unit square."""

import torch
from torch import Generator, Tensor

from ..registry import NonNegative, PositiveInt
from .dataset import Part
from .plane import Plane, with_noise


class Regression2D(Plane):
    """Points of the unit square, each with the height of a smooth surface of two hills and a hollow.

    Points are drawn uniformly from [0, 1]², and y = f(x1, x2) with Gaussian noise. f is Franke's function; with
    a = 9 x1 and b = 9 x2,

        f = 3/4 exp(−((a − 2)² + (b − 2)²) / 4) + 3/4 exp(−(a + 1)² / 49 − (b + 1) / 10)
          + 1/2 exp(−((a − 7)² + (b − 3)²) / 4) − 1/5 exp(−(a − 4)² − (b − 7)²)

    Its values lie between 0 and 1.22, with a variance of 0.083. No network predicts noisy values with an MSE below the
    noise's variance.
    Source: Franke, A Critical Comparison of Some Methods for Interpolation of Scattered Data (1979).

    Args:
        train: the number of points to train on.
        test: the number of points to test on.
        noise: the standard deviation of the noise in y.
    """

    def __init__(self, train: PositiveInt = 1000, test: PositiveInt = 1000, noise: NonNegative = 0.05):
        super().__init__(train, test, classes=None)
        self.noise = noise

    def sample(self, size: int, numbers: Generator) -> Part:
        points = torch.rand(2, size, dtype=torch.float64, generator=numbers)
        return Part(points, with_noise(franke(points), self.noise, numbers))


def franke(points: Tensor) -> Tensor:
    """Return the height of Franke's surface `[1, n]` at points `[2, n]` of the unit square."""
    a, b = 9 * points
    hills = 0.75 * torch.exp(-((a - 2).square() + (b - 2).square()) / 4)
    hills += 0.75 * torch.exp(-(a + 1).square() / 49 - (b + 1) / 10)
    hills += 0.5 * torch.exp(-((a - 7).square() + (b - 3).square()) / 4)
    hollow = 0.2 * torch.exp(-(a - 4).square() - (b - 7).square())
    return (hills - hollow).unsqueeze(0)
