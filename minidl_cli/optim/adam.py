"""Adam."""

from torch import Tensor

from ..registry import NonNegative, Positive
from .moments import Betas, Moments
from .optimizer import Optimizer


class Adam(Optimizer):
    """Adam: the running mean of the gradient, divided by the root of that of its square.

        g ← g + weight_decay · θ
        m ← β₁ · m + (1 − β₁) · g
        v ← β₂ · v + (1 − β₂) · g²
        θ ← θ − lr · m̂ / (√v̂ + eps)         with m̂ = m / (1 − β₁ⁿ), v̂ = v / (1 − β₂ⁿ) at step n

    m and v start at 0. With amsgrad, the largest v so far takes the place of v.
    Sources: Kingma, Ba, Adam: A Method for Stochastic Optimization (2015); amsgrad: Reddi, Kale, Kumar, On the
    Convergence of Adam and Beyond (2018); in the form of torch.optim.Adam.

    Args:
        lr: the learning rate.
        betas: β₁ and β₂, the shares of the running means that a step keeps.
        eps: what keeps the divisor from 0.
        weight_decay: the strength of the L2 penalty, weight_decay / 2 · |θ|².
        amsgrad: whether the divisor is the largest so far.
    """

    def __init__(
        self,
        lr: Positive = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: Positive = 1e-8,
        weight_decay: NonNegative = 0.0,
        amsgrad: bool = False,
    ):
        self.lr, self.weight_decay, self.moments = lr, weight_decay, Moments(betas, eps, amsgrad)
        self.state_names = self.moments.state_names

    def scalars(self, lr: float, step: int) -> tuple[float, ...]:
        return self.moments.scalars(lr, step)

    def update(self, values: Tensor, gradients: Tensor, scalars: tuple[float, ...]) -> None:
        if self.weight_decay:
            gradients.add_(values, alpha=self.weight_decay)
        self.moments.step(self.state, values, gradients, *scalars)
