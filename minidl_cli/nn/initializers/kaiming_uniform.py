"""Kaiming's uniformly distributed initial values."""

import math
from typing import Literal

import torch
from torch import Generator, Tensor

from ...registry import Positive
from ..layer import Fan, Initializer


class KaimingUniform(Initializer):
    """Uniform initial values between −b and b, with b = gain × √(3 / fan).

    Their variance b² / 3 is that of `kaiming_normal`.
    Source: He, Zhang, Ren, Sun, Delving Deep into Rectifiers (2015).

    Args:
        mode: which fan, `fan_in` (the layer's inputs) or `fan_out` (its outputs).
        gain: the scale that the activation after the layer asks for; by default that activation's own.
    """

    def __init__(self, mode: Literal["fan_in", "fan_out"] = "fan_in", gain: Positive | None = None):
        self.mode, self.gain = mode, gain

    def draw(self, shape: tuple[int, ...], fan: Fan, dtype: torch.dtype, generator: Generator) -> Tensor:
        bound = (self.gain or fan.gain) * math.sqrt(3 / (fan.inputs if self.mode == "fan_in" else fan.outputs))
        return torch.empty(shape, dtype=dtype).uniform_(-bound, bound, generator=generator)
