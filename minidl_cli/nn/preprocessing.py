"""What is fitted to the training samples of each round before it trains: scales, what fills gaps, class weights."""

from collections.abc import Mapping

import torch
from torch import Tensor

from .layer import Buffer

# What may be fitted, and what it is before it was: then nothing is changed.
INITIAL = {
    "inputs.center": 0.0,
    "inputs.scale": 1.0,
    "inputs.fill": 0.0,
    "targets.center": 0.0,
    "targets.scale": 1.0,
    "classes.weight": 1.0,
}


class Preprocessing:
    """How the rounds of a stack see numbers that come in a table's own units.

    A network sees (x − `inputs.center`) × `inputs.scale` for each feature, where `inputs.fill` has taken the place of
    values that are missing (NaN). It learns (t − `targets.center`) × `targets.scale` for each target. The loss of a
    sample of class k counts `classes.weight`[k] times. What is not fitted is left out.

    These numbers belong to a round as its parameters do: they are saved with them, and no optimizer sees them.

    Args:
        lengths: how many numbers of each kind there are, by name: one for each feature, output or class.

    Attributes:
        buffers: the fitted numbers by name, `[rounds, length]` each.
    """

    def __init__(self, lengths: Mapping[str, int]):
        self.buffers = {name: Buffer((lengths[name],), INITIAL[name]) for name in INITIAL if name in lengths}

    def load(self, fitted: Mapping[str, Tensor]) -> None:
        """Take over what was fitted, each `[rounds, length]`."""
        for name, buffer in self.buffers.items():
            buffer.value = fitted[name].to(buffer.value.dtype, copy=True)

    def of_round(self, index: int) -> "Preprocessing":
        """Return that of a single round of the stack."""
        one = Preprocessing({name: buffer.shape[0] for name, buffer in self.buffers.items()})
        for name, buffer in one.buffers.items():
            buffer.value = self.buffers[name].value[index : index + 1]
        return one

    def scale_inputs(self, x: Tensor) -> Tensor:
        """Return what the first layer sees of inputs `[rounds, features, batch]` in the data's own units."""
        if "inputs.fill" in self.buffers:
            x = torch.where(x.isnan(), self._column("inputs.fill"), x)
        return self._scaled(x, "inputs")

    def scale_targets(self, targets: Tensor) -> Tensor:
        """Return what outputs are to be, given targets `[rounds, outputs, batch]` in their own units."""
        return self._scaled(targets, "targets")

    def unscale(self, prediction: Tensor) -> Tensor:
        """Return predictions `[rounds, outputs, batch]` in the targets' own units."""
        if "targets.scale" not in self.buffers:
            return prediction
        return prediction / self._column("targets.scale") + self._column("targets.center")

    def weights(self, targets: Tensor, middle: float) -> Tensor | None:
        """Return how much each sample counts, `[rounds, 1, batch]`; None if all count once.

        Args:
            targets: `[rounds, outputs, batch]`: one output for each class, or a single one for the second of two.
            middle: the midpoint between the targets of a class that is absent and of one that is present.
        """
        if "classes.weight" not in self.buffers:
            return None
        weight = self._column("classes.weight")
        if targets.shape[1] == 1:
            return torch.where(targets > middle, weight[:, 1:], weight[:, :1])
        return torch.where(targets > middle, weight, torch.zeros_like(weight)).sum(dim=1, keepdim=True)

    def _scaled(self, values: Tensor, which: str) -> Tensor:
        if f"{which}.scale" not in self.buffers:
            return values
        return (values - self._column(f"{which}.center")) * self._column(f"{which}.scale")

    def _column(self, name: str) -> Tensor:
        return self.buffers[name].value.unsqueeze(2)
