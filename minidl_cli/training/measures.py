"""What is measured on outputs, epoch by epoch: the loss, the mean squared error, and how many classes are right."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..metrics import measured
from ..nn.loss import Loss
from ..nn.preprocessing import Preprocessing
from ..nn.sequential import Sequential
from ..runs.metrics import Numbers
from .exactness import single_thread
from .samples import Samples

# The columns of one forward pass in an evaluation. It must not depend on the number of rounds.
EVALUATION_SIZE = 256
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Judge:
    """How outputs are judged: the loss on the scale that the network learns on, all else in the targets' own units.

    Attributes:
        loss: the loss, whose value is measured.
        preprocessing: the scales of the targets.
        middle: the midpoint between the two target values, the border between the classes of a single output; None
            where numbers are learned.
    """

    loss: Loss
    preprocessing: Preprocessing
    middle: float | None

    @property
    def names(self) -> tuple[str, ...]:
        """What is measured of every part of the data."""
        return measured(of_classes=self.middle is not None)

    def predict(self, output: Tensor) -> Tensor:
        """Return what outputs `[rounds, outputs, n]` say, on the scale of the targets."""
        return self.preprocessing.unscale(self.loss.link(output))

    def weights(self, target: Tensor) -> Tensor | None:
        """Return how much each sample counts in training, `[rounds, 1, n]`; None if all count once."""
        return None if self.middle is None else self.preprocessing.weights(target, self.middle)

    def hits(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Tell which samples are right, `[rounds, n]`, given predictions and targets `[rounds, outputs, n]`."""
        if prediction.shape[1] == 1:
            assert self.middle is not None
            return ((prediction > self.middle) == (target > self.middle)).squeeze(1)
        return prediction.max(dim=1).indices == target.max(dim=1).indices

    def sums(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return each measure, added up over the samples, `[rounds]`, of outputs and targets `[rounds, outputs, n]`."""
        prediction = self.predict(output)
        found = {
            "loss": self.loss.forward(output, self.preprocessing.scale_targets(target)),
            "mse": (prediction - target).square().mean(dim=1),
        }
        if self.middle is None:
            found["mae"] = (prediction - target).abs().mean(dim=1)
        else:
            found["accuracy"] = self.hits(prediction, target)
        # Over one dimension at a time, in double precision: the sum of a round must not depend on the others.
        return {name: values.sum(dim=1, dtype=torch.float64) for name, values in found.items()}


class Measures:
    """Running means over samples, for each round of a stack.

    Args:
        rounds: the number of rounds.
        names: what is measured, the loss first.
        device: where the sums are.
    """

    def __init__(self, rounds: int, names: Sequence[str], device: torch.device = CPU):
        self.samples = 0
        self._sums = {name: torch.zeros(rounds, dtype=torch.float64, device=device) for name in names}

    def add(self, samples: int, sums: Mapping[str, Tensor]) -> None:
        """Count so many more samples, and each measure added up over them, `[rounds]`."""
        self.samples += samples
        for name, values in sums.items():
            self._sums[name] += values

    def means(self, prefix: str) -> dict[str, Numbers]:
        """Return each measure's mean over the samples so far, `[rounds]`, its name after `prefix`.

        A round whose loss is no number has no accuracy: it would be that of outputs which are no numbers.
        """
        return fetch(self.on_device(prefix))

    def on_device(self, prefix: str) -> dict[str, Tensor]:
        """Return the same where they are, for `fetch`: a GPU is not waited for."""
        means = {name: total / self.samples for name, total in self._sums.items()}
        if "accuracy" in means:
            means["accuracy"] = torch.where(means["loss"].isfinite(), means["accuracy"], math.nan)
        return {f"{prefix}_{name}": values for name, values in means.items()}


def fetch(metrics: Mapping[str, Numbers | Tensor]) -> dict[str, Numbers]:
    """Return metrics, each `[rounds]`, as numbers of the CPU; those of a device come in a single copy."""
    tensors = {name: values for name, values in metrics.items() if isinstance(values, Tensor)}
    fetched = torch.stack(list(tensors.values())).cpu().numpy() if tensors else ()
    numbers = {name: values for name, values in metrics.items() if not isinstance(values, Tensor)}
    return dict(zip(tensors, fetched, strict=True)) | numbers


def measure(network: Sequential, judge: Judge, samples: Samples, prefix: str) -> dict[str, Numbers]:
    """Judge a network on all samples, every round of its stack: `{prefix}_loss` and so on, each `[rounds]`."""
    return judged(network, judge, samples).means(prefix)


@single_thread()
@torch.inference_mode()
def judged(network: Sequential, judge: Judge, samples: Samples) -> Measures:
    """Judge a network on all samples, every round of its stack, on its device."""
    measures = Measures(network.rounds, judge.names, network.device)
    network.train(False)
    for inputs, targets in samples.in_order(network.rounds, EVALUATION_SIZE):
        measures.add(inputs.shape[2], judge.sums(network.forward(inputs), targets))
    return measures
