"""Initial values of zero."""

import torch
from torch import Generator, Tensor

from ..layer import Fan, Initializer


class Zeros(Initializer):
    """Every initial value is 0.

    Fit for biases. As weights before a layer that has weights too, they keep all its units alike for ever.
    """

    def draw(self, shape: tuple[int, ...], fan: Fan, dtype: torch.dtype, generator: Generator) -> Tensor:
        return torch.zeros(shape, dtype=dtype)
