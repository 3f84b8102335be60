"""Dropout."""

from functools import partial

import torch
from torch import Generator, Tensor

from ...registry import Fraction
from ..layer import Layer, Noise


class Dropout(Layer):
    """Inverted dropout y = m x in training, y = x in use: each m is 0 with probability p, otherwise 1 / (1 − p).

    So m has the mean 1, and the network in use needs no other weights. m does not depend on x: dL/dx = m dL/dy.
    Input, output and m are `[rounds, features, batch]`; each round draws its m from its own generator, anew for
    every sample of every epoch.
    Source: Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting (2014), section 10.

    Args:
        p: the probability of 0.
    """

    mask: Noise

    def __init__(self, p: Fraction = 0.5):
        self.p = p

    def connect(self, in_features: int) -> int:
        # No method: in a circle of references, a layer that is done with would keep its noise for a while.
        self.mask = Noise(in_features, partial(_draw_mask, self.p))
        return in_features

    def forward(self, x: Tensor) -> Tensor:
        return self.mask.value * x if self.training else x

    def backward(self, grad: Tensor) -> Tensor:
        return self.mask.value * grad if self.training else grad


def _draw_mask(p: float, shape: tuple[int, int], dtype: torch.dtype, generator: Generator) -> Tensor:
    kept = torch.empty(shape, dtype=dtype).bernoulli_(1 - p, generator=generator)
    return kept / (1 - p) if p < 1 else kept
