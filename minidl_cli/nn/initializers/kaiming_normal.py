"""Kaiming's normally distributed initial values."""

import math
from typing import Literal

import torch
from torch import Generator, Tensor

from ...registry import Positive
from ..layer import Fan, Initializer


class KaimingNormal(Initializer):
    """Normal initial values with mean 0 and standard deviation gain / √fan.

    With fan_in, activations keep their variance on the way forward; with fan_out, gradients on the way back.
    Source: He, Zhang, Ren, Sun, Delving Deep into Rectifiers (2015).

    Args:
        mode: which fan, `fan_in` (the layer's inputs) or `fan_out` (its outputs).
        gain: the scale that the activation after the layer asks for; by default that activation's own.
    """

    def __init__(self, mode: Literal["fan_in", "fan_out"] = "fan_in", gain: Positive | None = None):
        self.mode, self.gain = mode, gain

    def draw(self, shape: tuple[int, ...], fan: Fan, dtype: torch.dtype, generator: Generator) -> Tensor:
        std = (self.gain or fan.gain) / math.sqrt(fan.inputs if self.mode == "fan_in" else fan.outputs)
        return torch.empty(shape, dtype=dtype).normal_(0.0, std, generator=generator)
