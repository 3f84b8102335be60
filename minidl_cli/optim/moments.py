"""What Adam and AdamW share: a step from running means of the gradient and of its square."""

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Strict
from torch import Tensor

from ..registry import ProperFraction

Betas = Annotated[tuple[ProperFraction, ProperFraction], Strict(False)]  # YAML knows lists only


class Moments:
    """The running means m of the gradient g and v of its square, and the step that they lead to.

        m ← β₁ · m + (1 − β₁) · g
        v ← β₂ · v + (1 − β₂) · g²
        θ ← θ − lr · m̂ / (√v̂ + eps)

    They start at 0, so at step n they are divided by the sum of their weights: m̂ = m / (1 − β₁ⁿ), v̂ = v / (1 − β₂ⁿ).
    With c = √(1 − β₂ⁿ) the last line is θ ← θ − lr · c / (1 − β₁ⁿ) · m / (√v + c · eps), which takes fewer passes,
    as does the first as m ← m + (1 − β₁) · (g − m).
    With amsgrad, the largest v so far takes the place of v.

    Args:
        betas: β₁ and β₂.
        eps: what keeps the divisor from 0.
        amsgrad: whether the divisor never shrinks but for the correction.

    Attributes:
        state_names: what must be remembered from step to step, each as a flat vector that starts at 0.
    """

    def __init__(self, betas: tuple[float, float], eps: float, amsgrad: bool):
        self.betas, self.eps, self.amsgrad = betas, eps, amsgrad
        self.state_names = ("mean", "square", "largest_square") if amsgrad else ("mean", "square")

    def scalars(self, lr: float, step: int) -> tuple[float, float]:
        """Return lr · c / (1 − β₁ⁿ) and c · eps of step n, with c = √(1 − β₂ⁿ)."""
        beta1, beta2 = self.betas
        correction = math.sqrt(1 - beta2**step)
        return lr * correction / (1 - beta1**step), self.eps * correction

    def step(self, state: Mapping[str, Tensor], values: Tensor, gradients: Tensor, rate: float, eps: float) -> None:
        """Update the state and the `values` `[n]` in place, using up `gradients` `[n]`.

        Args:
            state: the flat vectors.
            values: the parameters.
            gradients: their gradients.
            rate: the first of the step's scalars.
            eps: the second.
        """
        beta1, beta2 = self.betas
        mean = state["mean"].lerp_(gradients, 1 - beta1)
        square = state["square"].mul_(beta2).addcmul_(gradients, gradients, value=1 - beta2)
        if self.amsgrad:
            square = torch.maximum(state["largest_square"], square, out=state["largest_square"])
        divisor = torch.sqrt(square, out=gradients).add_(eps)
        values.addcdiv_(mean, divisor, value=-rate)
