"""Xavier's uniformly distributed initial values."""

import math

import torch
from torch import Generator, Tensor

from ...registry import Positive
from ..layer import Fan, Initializer


class XavierUniform(Initializer):
    """Uniform initial values between −b and b, with b = gain × √(6 / (fan_in + fan_out)).

    Their variance b² / 3 is that of `xavier_normal`.
    Source: Glorot, Bengio, Understanding the difficulty of training deep feedforward neural networks (2010).

    Args:
        gain: the scale that the activation after the layer asks for; by default that activation's own.
    """

    def __init__(self, gain: Positive | None = None):
        self.gain = gain

    def draw(self, shape: tuple[int, ...], fan: Fan, dtype: torch.dtype, generator: Generator) -> Tensor:
        bound = (self.gain or fan.gain) * math.sqrt(6 / (fan.inputs + fan.outputs))
        return torch.empty(shape, dtype=dtype).uniform_(-bound, bound, generator=generator)
