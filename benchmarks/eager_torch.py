"""The peer: the disc network in eager torch.nn, as fast as its own means make it.

    python -m benchmarks.eager_torch            trains 100 epochs
    python -m benchmarks.eager_torch steps      serves the time of a training step

One thread, the fused update and batches gathered by one index for an epoch were the fastest of what LOG.md lists.
"""

import math
import sys
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .measuring import seconds, serve

EPOCHS, BATCH_SIZE, SAMPLES = 100, 20, 1000


class Part(NamedTuple):
    """Inputs `[samples, 2]` and one-hot targets `[samples, 2]`."""

    inputs: Tensor
    targets: Tensor

    @classmethod
    def draw(cls) -> "Part":
        points = torch.rand(SAMPLES, 2)
        inside = (points - 0.5).square().sum(dim=1) <= 1 / (2 * math.pi)
        return cls(points, nn.functional.one_hot(inside.long(), 2).float())


class Judgement(NamedTuple):
    loss: float
    accuracy: float


class Training:
    """The network, its data and its optimizer."""

    def __init__(self, train: Part, test: Part, dtype: torch.dtype = torch.float32):
        self.train, self.test = train, test
        self.network = nn.Sequential(
            *(nn.Linear(2, 25), nn.Tanh()),
            *(nn.Linear(25, 25), nn.ReLU()),
            *(nn.Linear(25, 25), nn.Tanh()),
            nn.Linear(25, 2),
        ).to(dtype)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.07, momentum=0.15, fused=True)

    def epoch(self, order: Tensor) -> tuple[Judgement, Judgement]:
        """Train on all samples in the order given; judge the outputs on the way, then those for the test samples."""
        network, optimizer = self.network, self.optimizer
        inputs, targets = self.train.inputs[order], self.train.targets[order]
        outputs = []
        for x, target in zip(inputs.split(BATCH_SIZE), targets.split(BATCH_SIZE), strict=True):
            output = network(x)
            loss = nn.functional.mse_loss(output, target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            outputs.append(output.detach())
        with torch.inference_mode():
            return _judge(torch.cat(outputs), targets), _judge(network(self.test.inputs), self.test.targets)


def _judge(output: Tensor, target: Tensor) -> Judgement:
    hits = output.argmax(dim=1) == target.argmax(dim=1)
    return Judgement(nn.functional.mse_loss(output, target).item(), hits.double().mean().item())


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    training = Training(Part.draw(), Part.draw())

    def train() -> tuple[Judgement, Judgement]:
        for _ in range(EPOCHS):
            judged = training.epoch(torch.randperm(SAMPLES))
        return judged

    if sys.argv[1:] == ["steps"]:
        serve(lambda: seconds(train) / (EPOCHS * SAMPLES // BATCH_SIZE))
    else:
        print(*train(), sep="\n")


if __name__ == "__main__":
    main()
