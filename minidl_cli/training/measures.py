"""What is measured on outputs: the loss, the mean squared error, the accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..nn.loss import Loss
from ..nn.sequential import Sequential
from ..runs.metrics import Numbers
from .exactness import single_thread
from .samples import Samples

# The columns of one forward pass in an evaluation. It must not depend on the number of rounds.
EVALUATION_SIZE = 256

# What is measured of every part of the data.
MEASURES = ("loss", "mse", "accuracy")


@dataclass(frozen=True)
class Judge:
    """How outputs are judged.

    Attributes:
        loss: the loss, whose value is measured.
        middle: the midpoint between the two target values, the border between the classes of a single output.
    """

    loss: Loss
    middle: float

    def hits(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Tell which samples are right, `[rounds, n]`, given predictions and targets `[rounds, outputs, n]`."""
        if prediction.shape[1] == 1:
            return ((prediction > self.middle) == (target > self.middle)).squeeze(1)
        return prediction.max(dim=1).indices == target.max(dim=1).indices

    def sums(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return each measure, added up over the samples, `[rounds]`, of outputs and targets `[rounds, outputs, n]`."""
        prediction = self.loss.link(output)
        measured = {
            "loss": self.loss.forward(output, target),
            "mse": (prediction - target).square().mean(dim=1),
            "accuracy": self.hits(prediction, target),
        }
        # Over one dimension at a time, in double precision: the sum of a round must not depend on the others.
        return {name: values.sum(dim=1, dtype=torch.float64) for name, values in measured.items()}


class Measures:
    """Running means over samples, for each round of a stack.

    Args:
        rounds: the number of rounds.
    """

    def __init__(self, rounds: int):
        self.samples = 0
        self._sums = {name: torch.zeros(rounds, dtype=torch.float64) for name in MEASURES}

    def add(self, samples: int, sums: Mapping[str, Tensor]) -> None:
        """Count so many more samples, and each measure added up over them, `[rounds]`."""
        self.samples += samples
        for name, values in sums.items():
            self._sums[name] += values

    def means(self, prefix: str) -> dict[str, Numbers]:
        """Return each measure's mean over the samples so far, `[rounds]`, its name after `prefix`.

        A round whose loss is no number has no accuracy: it would be that of outputs which are no numbers.
        """
        means = {name: (total / self.samples).numpy() for name, total in self._sums.items()}
        means["accuracy"] = np.where(np.isfinite(means["loss"]), means["accuracy"], np.nan)
        return {f"{prefix}_{name}": values for name, values in means.items()}


@single_thread()
@torch.inference_mode()
def measure(network: Sequential, judge: Judge, samples: Samples, prefix: str) -> dict[str, Numbers]:
    """Judge a network on all samples, every round of its stack: `{prefix}_loss` and so on, each `[rounds]`."""
    measures = Measures(network.rounds)
    network.train(False)
    for inputs, targets in samples.in_order(network.rounds, EVALUATION_SIZE):
        measures.add(inputs.shape[2], judge.sums(network.forward(inputs), targets))
    return measures.means(prefix)
