"""The linear layer."""

import torch
from torch import Tensor

from ...registry import PositiveInt
from ..initializers.torch_default import TorchDefault
from ..layer import Initializer, Layer, Parameter
from ..product import affine, matmul

TORCH_DEFAULT = TorchDefault()


class Linear(Layer):
    """The linear layer s = W x + b.

    With δ = dL/ds, the chain rule over s_i = Σ_j W_ij x_j + b_i gives for a batch of columns

        dL/dW = δ xᵀ        dL/db = Σ_batch δ        dL/dx = Wᵀ δ

    W is `[rounds, out, in]`, b `[rounds, out]`, x `[rounds, in, batch]`, s and δ `[rounds, out, batch]`.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.5.

    Args:
        out_features: the number of outputs.
        bias: whether b is there.
        init: the distribution of W's initial values; by default the `init` of the whole model.
        bias_init: the distribution of b's initial values.
    """

    gain = 1.0
    weight: Parameter
    bias: Parameter | None = None

    def __init__(
        self,
        out_features: PositiveInt,
        bias: bool = True,
        init: Initializer | None = None,
        bias_init: Initializer = TORCH_DEFAULT,
    ):
        self.out_features, self.has_bias, self.init, self.bias_init = out_features, bias, init, bias_init

    def connect(self, in_features: int) -> int:
        fans = in_features, self.out_features
        self.weight = Parameter((self.out_features, in_features), self.init, *fans)
        if self.has_bias:
            self.bias = Parameter((self.out_features,), self.bias_init, *fans)
        return self.out_features

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        if self.bias is None:
            return matmul(self.weight.value, x)
        return affine(self.weight.value, x, self.bias.column)

    def backward(self, grad: Tensor) -> Tensor:
        self.backward_parameters(grad)
        return matmul(self.weight.transposed, grad)

    def backward_parameters(self, grad: Tensor) -> None:
        matmul(grad, self.x.mT, out=self.weight.grad)
        if self.bias is not None:
            torch.sum(grad, dim=2, out=self.bias.grad)
