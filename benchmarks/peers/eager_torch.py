"""The peer: eager torch.nn, one network after the other (see `peer.py` for how to run it).

Its fastest setting, chosen by measurement (see LOG.md): one thread for the disc and the digits, where a second thread
costs more than it gives, two for the wide network; everywhere the fused optimizer, and the batches of an epoch
gathered by one index.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ..works import WIDE, Data, Weights, Work
from .peer import Metrics, main
from .torch_modules import Part, hits, loss_of, networks, optimizer_of


class Round:
    """The training of one network."""

    def __init__(self, work: Work, network: nn.Sequential):
        self.network, self.batch_size = network, work.batch_size
        self.loss, self.optimizer = loss_of(work), optimizer_of(work, network.parameters())

    def epoch(self, train: Part, test: Part, order: Tensor) -> list[float]:
        """Train on all samples in the order given; judge the outputs on the way, then those for the test samples."""
        network, optimizer = self.network, self.optimizer
        inputs, targets = train.inputs[order], train.targets[order]
        outputs = []
        for x, target in zip(inputs.split(self.batch_size), targets.split(self.batch_size), strict=True):
            output = network(x)
            loss = self.loss(output, target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            outputs.append(output.detach())
        with torch.inference_mode():
            return [*self._judge(torch.cat(outputs), targets), *self._judge(network(test.inputs), test.targets)]

    def _judge(self, outputs: Tensor, targets: Tensor) -> tuple[float, float]:
        return self.loss(outputs, targets).item(), hits(outputs, targets).double().mean().item()


class EagerTorch:
    """All rounds of a work, one after the other in every epoch."""

    def __init__(self, work: Work, data: Data, weights: Weights):
        torch.set_num_threads(2 if work is WIDE else 1)
        self.train, self.test = (Part.of(work, part) for part in data)
        self.rounds = [Round(work, network) for network in networks(work, weights)]

    def shuffled(self) -> list[Tensor]:
        return [torch.randperm(len(self.train.inputs)) for _ in self.rounds]

    def epoch(self, orders: list[Tensor]) -> Metrics:
        pairs = zip(self.rounds, map(torch.as_tensor, orders), strict=True)
        return Metrics(*np.transpose([each.epoch(self.train, self.test, order) for each, order in pairs]))

    def weights(self) -> Weights:
        of_rounds = [[value.numpy() for value in each.network.state_dict().values()] for each in self.rounds]
        stacked = [np.stack(same) for same in zip(*of_rounds, strict=True)]
        return list(zip(stacked[::2], stacked[1::2], strict=True))


if __name__ == "__main__":
    main(EagerTorch)
