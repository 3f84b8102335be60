"""Initial values that are all the same number."""

import torch
from torch import Generator, Tensor

from ..layer import Fan, Initializer


class Constant(Initializer):
    """Every initial value is the same number.

    Args:
        val: the number.
    """

    def __init__(self, val: float):
        self.val = val

    def draw(self, shape: tuple[int, ...], fan: Fan, dtype: torch.dtype, generator: Generator) -> Tensor:
        return torch.full(shape, self.val, dtype=dtype)
