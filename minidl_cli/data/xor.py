"""The exclusive or."""

import torch
from torch import Generator, Tensor

from ..registry import NonNegative, Pair, PositiveInt
from .dataset import Part
from .plane import Plane, balanced_labels, with_noise


class Xor(Plane):
    """Points around the corners of the unit square, labelled by the exclusive or of the corner's coordinates.

    (0, 0) and (1, 1) are class 0, (0, 1) and (1, 0) class 1; each point is a corner, drawn evenly from those of its
    class, and Gaussian noise. Without noise they are the truth table. No straight line parts the classes, so that a
    network needs a hidden layer. The best border is that of the quadrants around (1/2, 1/2), whatever the noise.
    Source: Minsky, Papert, Perceptrons (1969).

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
        noise: NonNegative = 0.2,
        target_values: Pair = (0.0, 1.0),
    ):
        super().__init__(train, test, classes=2, target_values=target_values)
        self.noise = noise

    def sample(self, size: int, numbers: Generator) -> Part:
        labels = balanced_labels(size)
        first = torch.randint(2, (size,), generator=numbers)
        corners = torch.stack([first, first ^ labels]).double()
        return Part(with_noise(corners, self.noise, numbers), labels)

    def border(self) -> list[Tensor]:
        reach = 3 * self.noise
        upright = torch.tensor([[0.5, -reach], [0.5, 1 + reach]], dtype=torch.float64)
        return [upright, upright.flip(1)]
