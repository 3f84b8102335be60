"""Normally distributed initial values."""

import torch
from torch import Generator, Tensor

from ...registry import Positive
from ..layer import Fan, Initializer


class Normal(Initializer):
    """Normal initial values with mean 0.

    Args:
        std: the standard deviation.
    """

    def __init__(self, std: Positive = 1.0):
        self.std = std

    def draw(self, shape: tuple[int, ...], fan: Fan, dtype: torch.dtype, generator: Generator) -> Tensor:
        return torch.empty(shape, dtype=dtype).normal_(0.0, self.std, generator=generator)
