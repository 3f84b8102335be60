"""A learning rate that falls along a cosine, after a warm-up."""

import math

from ...registry import Fraction, NonNegativeInt
from ..schedule import Schedule


class Cosine(Schedule):
    """The optimizer's learning rate times a factor that rises linearly, then falls along half a cosine.

    After n epochs of E in all, W of them for the warm-up, with k = n − W, the factor is

        (n + 1) / (W + 1)                                                        while n < W
        end_factor + (1 − end_factor) · (1 + cos(π k / (E − W))) / 2             from then on

    So the first epoch has the factor 1 / (W + 1), 1 without a warm-up; epoch W + 1 the full learning rate; and
    end_factor would be that of the epoch after the last: no epoch is trained at a rate of 0. If W ≥ E, the warm-up is
    all there is. In PyTorch: LinearLR(start_factor=1 / (W + 1), total_iters=W), and from W on
    CosineAnnealingLR(T_max=E − W, eta_min=end_factor · lr).
    Sources: Loshchilov, Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017); the warm-up: Goyal et
    al., Accurate, Large Minibatch SGD (2017).

    Args:
        warmup: W, the number of epochs before the full learning rate.
        end_factor: what the factor falls to by the end of the training.
    """

    def __init__(self, warmup: NonNegativeInt = 0, end_factor: Fraction = 0.0):
        self.warmup, self.end_factor = warmup, end_factor

    def rate(self, lr: float, finished: int, epochs: int) -> float:
        if finished < self.warmup:
            return lr * (finished + 1) / (self.warmup + 1)
        progress = (finished - self.warmup) / (epochs - self.warmup)
        height = (1 + math.cos(math.pi * progress)) / 2
        return lr * (self.end_factor + (1 - self.end_factor) * height)
