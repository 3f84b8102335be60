"""What a dataset is: labelled samples for training and for testing."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Part:
    """The samples of one split.

    Attributes:
        inputs: `[features, samples]`, float64.
        labels: the class of each sample, `[samples]`, int64.
    """

    inputs: Tensor
    labels: Tensor


class Dataset(ABC):
    """Samples with labels, drawn or split by a seed.

    Attributes:
        features: the number of inputs of a sample.
        classes: the number of classes.
        target_values: what a network is to put out for a class that is absent, and for one that is present.
        sizes: the number of samples of each part, by name: the same for every seed, so that rounds stack.
    """

    features: int
    classes: int
    target_values: tuple[float, float] = (0.0, 1.0)
    sizes: dict[str, int]

    @abstractmethod
    def draw(self, seed: int) -> dict[str, Part]:
        """Return the parts `train` and `test`, each from random numbers of its own."""

    def border(self) -> list[Tensor]:
        """Return the true border between the classes of a plane as curves `[points, 2]`; none if not known."""
        return []


def encode(labels: Tensor, outputs: int, target_values: tuple[float, float], dtype: torch.dtype) -> Tensor:
    """Return the targets `[outputs, samples]` of the classes `[samples]`.

    Two or more outputs take one-hot targets; a single output takes whether the class is 1.
    """
    absent, present = (torch.tensor(value, dtype=dtype) for value in target_values)
    classes = torch.arange(outputs).unsqueeze(1) if outputs > 1 else torch.ones(1, 1, dtype=torch.int64)
    return torch.where(labels == classes, present, absent)
