"""Layer normalization."""

import torch
from torch import Tensor

from ...registry import Positive
from ..initializers.constant import Constant
from ..initializers.zeros import Zeros
from ..layer import Layer, Parameter


class LayerNorm(Layer):
    """Layer normalization y = γ z + β with z = (x − μ) / s and s = √(σ² + ε), for each sample.

    μ and σ² are mean and variance over the sample's n features (divided by n). They depend on x too: ∂μ/∂x = 1/n and
    ∂s/∂x = z/n for each feature. So with g = γ dL/dy

        dL/dγ = Σ_batch z dL/dy      dL/dβ = Σ_batch dL/dy      dL/dx = (g − mean(g) − z mean(g z)) / s

    where means are over the features. x, y, z are `[rounds, features, batch]`; γ (`weight`) and β (`bias`)
    `[rounds, features]`.
    Source: Ba, Kiros, Hinton, Layer Normalization (2016).

    Args:
        eps: ε, which keeps s from 0.
        elementwise_affine: whether γ and β are there.
    """

    weight: Parameter | None = None
    bias: Parameter | None = None

    def __init__(self, eps: Positive = 1e-5, elementwise_affine: bool = True):
        self.eps, self.elementwise_affine = eps, elementwise_affine

    def connect(self, in_features: int) -> int:
        if self.elementwise_affine:
            self.weight = Parameter((in_features,), Constant(1.0))
            self.bias = Parameter((in_features,), Zeros())
        return in_features

    def forward(self, x: Tensor) -> Tensor:
        # Where a batch has one sample, a sum over features depends on how far apart they lie in memory.
        x = x.contiguous()
        centred = x - x.mean(dim=1, keepdim=True)
        self.inverse = torch.rsqrt(centred.square().mean(dim=1, keepdim=True) + self.eps)
        self.z = centred * self.inverse
        if self.weight is None or self.bias is None:
            return self.z
        return torch.addcmul(self.bias.column, self.weight.column, self.z)

    def backward(self, grad: Tensor) -> Tensor:
        if self.weight is not None and self.bias is not None:
            torch.sum(grad * self.z, dim=2, out=self.weight.grad)
            torch.sum(grad, dim=2, out=self.bias.grad)
            grad = self.weight.column * grad
        means = grad.mean(dim=1, keepdim=True), (grad * self.z).mean(dim=1, keepdim=True)
        return self.inverse * (grad - means[0] - self.z * means[1])
