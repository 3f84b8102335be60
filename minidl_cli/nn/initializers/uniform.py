"""Uniformly distributed initial values."""

import torch
from torch import Generator, Tensor

from ..layer import Fan, Initializer


class Uniform(Initializer):
    """Uniform initial values between a and b.

    Args:
        a: the lower bound.
        b: the upper bound.

    Raises:
        ValueError: a is not less than b.
    """

    def __init__(self, a: float = 0.0, b: float = 1.0):
        if a >= b:
            raise ValueError("a must be less than b")
        self.a, self.b = a, b

    def draw(self, shape: tuple[int, ...], fan: Fan, dtype: torch.dtype, generator: Generator) -> Tensor:
        return torch.empty(shape, dtype=dtype).uniform_(self.a, self.b, generator=generator)
