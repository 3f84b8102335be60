"""AdamW."""

from torch import Tensor

from ..registry import NonNegative, Positive
from .moments import Betas, Moments
from .optimizer import Optimizer


class AdamW(Optimizer):
    """AdamW: Adam with a weight decay that shrinks the parameters themselves and stays out of the running means.

        θ ← (1 − lr · weight_decay) · θ
        m ← β₁ · m + (1 − β₁) · g
        v ← β₂ · v + (1 − β₂) · g²
        θ ← θ − lr · m̂ / (√v̂ + eps)         with m̂ = m / (1 − β₁ⁿ), v̂ = v / (1 − β₂ⁿ) at step n

    m and v start at 0. With amsgrad, the largest v so far takes the place of v.
    Source: Loshchilov, Hutter, Decoupled Weight Decay Regularization (2019), in the form of torch.optim.AdamW.

    Args:
        lr: the learning rate.
        betas: β₁ and β₂, the shares of the running means that a step keeps.
        eps: what keeps the divisor from 0.
        weight_decay: how much of a parameter is taken away in a step, as a multiple of lr.
        amsgrad: whether the divisor is the largest so far.
    """

    def __init__(
        self,
        lr: Positive = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: Positive = 1e-8,
        weight_decay: NonNegative = 1e-2,
        amsgrad: bool = False,
    ):
        self.lr, self.weight_decay, self.moments = lr, weight_decay, Moments(betas, eps, amsgrad)
        self.state_names = self.moments.state_names

    def scalars(self, lr: float, step: int) -> tuple[float, ...]:
        return 1 - lr * self.weight_decay, *self.moments.scalars(lr, step)

    def update(self, values: Tensor, gradients: Tensor, scalars: tuple[float, ...]) -> None:
        shrinkage, rate, eps = scalars
        if self.weight_decay:
            values.mul_(shrinkage)
        self.moments.step(self.state, values, gradients, rate, eps)
