"""Batch normalization."""

import torch
from torch import Tensor

from ...registry import Fraction, Positive
from ..initializers.constant import Constant
from ..initializers.zeros import Zeros
from ..layer import Buffer, Layer, Parameter


class BatchNorm(Layer):
    """Batch normalization y = γ z + β with z = (x − μ) / s and s = √(σ² + ε), for each feature.

    In training, μ and σ² are mean and variance (divided by the batch size) over the batch. They depend on x too:
    ∂μ/∂x = 1/n and ∂s/∂x = z/n for each of n samples. So with g = dL/dy, and sums over the batch,

        dL/dγ = Σ g z        dL/dβ = Σ g        dL/dx = γ/s (g − (Σ g + z Σ g z) / n)

    In use, μ and σ² are the running statistics, and dL/dx = γ/s g.

    After each batch, a running statistic becomes (1 − momentum) times itself plus momentum times the batch's; the
    running variance takes the unbiased one (divided by n − 1).

    x, y, z are `[rounds, features, batch]`; γ (`weight`), β (`bias`) and the statistics `[rounds, features]`.
    Source: Ioffe, Szegedy, Batch Normalization (2015).

    Args:
        eps: ε, which keeps s from 0.
        momentum: the weight of a new batch in the running statistics.
        affine: whether γ and β are there.
    """

    smallest_batch = 2
    weight: Parameter | None = None
    bias: Parameter | None = None
    running_mean: Buffer
    running_var: Buffer

    def __init__(self, eps: Positive = 1e-5, momentum: Fraction = 0.1, affine: bool = True):
        self.eps, self.momentum, self.affine = eps, momentum, affine

    def connect(self, in_features: int) -> int:
        if self.affine:
            self.weight = Parameter((in_features,), Constant(1.0))
            self.bias = Parameter((in_features,), Zeros())
        self.running_mean = Buffer((in_features,), 0.0)
        self.running_var = Buffer((in_features,), 1.0)
        return in_features

    def forward(self, x: Tensor) -> Tensor:
        centred, variance = self._by_batch(x) if self.training else self._by_running_statistics(x)
        self.inverse = torch.rsqrt(variance + self.eps)
        self.z = centred * self.inverse
        if self.weight is None or self.bias is None:
            return self.z
        return torch.addcmul(self.bias.column, self.weight.column, self.z)

    def _by_batch(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return x − μ and σ² of the batch, and move the running statistics towards the batch's."""
        samples = x.shape[2]
        mean = x.mean(dim=2, keepdim=True)
        centred = x - mean
        squares = centred.square().sum(dim=2, keepdim=True)
        self._move(self.running_mean, mean)
        self._move(self.running_var, squares / (samples - 1))
        return centred, squares / samples

    def _move(self, running: Buffer, new: Tensor) -> None:
        running.value = torch.lerp(running.value, new.squeeze(2), self.momentum)

    def _by_running_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x - self.running_mean.value.unsqueeze(2), self.running_var.value.unsqueeze(2)

    def backward(self, grad: Tensor) -> Tensor:
        samples, factor = grad.shape[2], self.inverse
        total = grad.sum(dim=2, keepdim=True)
        along_z = (grad * self.z).sum(dim=2, keepdim=True)
        if self.weight is not None and self.bias is not None:
            self.weight.grad.copy_(along_z.squeeze(2))
            self.bias.grad.copy_(total.squeeze(2))
            factor = factor * self.weight.column
        if self.training:
            grad = grad - (total + self.z * along_z) / samples
        return factor * grad
