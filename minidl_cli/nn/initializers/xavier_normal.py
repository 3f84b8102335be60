"""Xavier's normally distributed initial values."""

import math

import torch
from torch import Generator, Tensor

from ...registry import Positive
from ..layer import Fan, Initializer


class XavierNormal(Initializer):
    """Normal initial values with mean 0 and standard deviation gain × √(2 / (fan_in + fan_out)).

    A sum of fan_in products has the inputs' variance where that of the weights is 1 / fan_in, and the gradient
    keeps its variance where it is 1 / fan_out. This is the inverse of the mean of both fans.
    Source: Glorot, Bengio, Understanding the difficulty of training deep feedforward neural networks (2010).

    Args:
        gain: the scale that the activation after the layer asks for; by default that activation's own.
    """

    def __init__(self, gain: Positive | None = None):
        self.gain = gain

    def draw(self, shape: tuple[int, ...], fan: Fan, dtype: torch.dtype, generator: Generator) -> Tensor:
        std = (self.gain or fan.gain) * math.sqrt(2 / (fan.inputs + fan.outputs))
        return torch.empty(shape, dtype=dtype).normal_(0.0, std, generator=generator)
