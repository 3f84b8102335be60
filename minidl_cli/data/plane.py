"""What the datasets share whose samples are points of a plane, drawn from random numbers."""

from abc import abstractmethod

import torch
from torch import Generator, Tensor

from ..randomness import generator
from .columns import Column, Columns
from .dataset import Dataset, Part


class Plane(Dataset):
    """Points of a plane, each with a class or a number.

    Args:
        train: the number of points to train on.
        test: the number of points to test on.
        classes: the number of classes; None where a number is to be learned.
        target_values: the targets of a class that is absent and of one that is present, in this order.

    Raises:
        ValueError: the target values do not ascend.
    """

    def __init__(self, train: int, test: int, *, classes: int | None, target_values: tuple[float, float] = (0.0, 1.0)):
        if target_values[0] >= target_values[1]:
            raise ValueError(f"target_values must ascend, not {list(target_values)}")
        self.sizes = {"train": train, "test": test}
        self.target_values = target_values
        self.columns = Columns(
            inputs=(Column("x1", "number"), Column("x2", "number")),
            targets=("y",) if classes is None else ("class",),
            classes=None if classes is None else tuple(range(classes)),
        )

    def draw(self, seed: int) -> dict[str, Part]:
        return {
            "train": self.sample(self.sizes["train"], generator(seed, "train data")),
            "test": self.sample(self.sizes["test"], generator(seed, "test data")),
        }

    @abstractmethod
    def sample(self, size: int, numbers: Generator) -> Part:
        """Return `size` points with their targets."""


def balanced_labels(size: int, classes: int = 2) -> Tensor:
    """Return the labels 0, 1, …, 0, 1, … `[size]`: as many of each class as of another, or one more."""
    return torch.arange(size) % classes


def with_noise(values: Tensor, noise: float, numbers: Generator) -> Tensor:
    """Return values with Gaussian noise of that standard deviation added to each."""
    return values + noise * torch.randn(values.shape, dtype=values.dtype, generator=numbers)
