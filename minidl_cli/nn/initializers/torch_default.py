"""PyTorch's default initial values."""

import math

import torch
from torch import Generator, Tensor

from ..layer import Fan, Initializer


class TorchDefault(Initializer):
    """The initial values of torch.nn.Linear: uniform between -1/sqrt(fan_in) and 1/sqrt(fan_in).

    torch.nn.Linear draws the weight by Kaiming's uniform rule with a = sqrt(5), which is this bound
    (gain sqrt(2 / (1 + 5)) times sqrt(3 / fan_in)), and the bias within the same bound.
    """

    def draw(self, shape: tuple[int, ...], fan: Fan, dtype: torch.dtype, generator: Generator) -> Tensor:
        bound = 1 / math.sqrt(fan.inputs)
        return torch.empty(shape, dtype=dtype).uniform_(-bound, bound, generator=generator)
