"""The peer: torch.func, all rounds as one stacked module (see `peer.py` for how to run it).

Its fastest setting, chosen by measurement (see LOG.md): two threads, but one for a single round of the
disc or the digits; PyTorch's own fused optimizer on the stacked parameters.
"""

import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from ..works import WIDE, Data, Weights, Work
from .peer import Metrics, main
from .torch_modules import Part, hits, loss_of, networks, optimizer_of

Parameters = dict[str, Tensor]


class TorchFunc:
    """All rounds of a work in one stack."""

    def __init__(self, work: Work, data: Data, weights: Weights):
        self.batch_size, self.loss = work.batch_size, loss_of(work)
        self.train, self.test = (Part.of(work, part) for part in data)
        modules = networks(work, weights)
        self.rounds, self.module = len(modules), modules[0]
        torch.set_num_threads(1 if self.rounds == 1 and work is not WIDE else 2)
        self.parameters: Parameters = stack_module_state(modules)[0]
        self.optimizer = optimizer_of(work, self.parameters.values())
        self.gradients = vmap(grad(self._loss_and_output, has_aux=True))
        self.outputs = vmap(lambda parameters, x: functional_call(self.module, parameters, (x,)), in_dims=(0, None))
        self.losses = vmap(self.loss)

    def _loss_and_output(self, parameters: Parameters, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        output = functional_call(self.module, parameters, (x,))
        return self.loss(output, target), output

    def shuffled(self) -> Tensor:
        return torch.stack([torch.randperm(len(self.train.inputs)) for _ in range(self.rounds)])

    @torch.no_grad()
    def epoch(self, orders: Tensor) -> Metrics:
        orders = torch.as_tensor(orders)
        inputs, targets = self.train.inputs[orders], self.train.targets[orders]
        size = self.batch_size
        outputs = []
        for x, target in zip(inputs.split(size, dim=1), targets.split(size, dim=1), strict=True):
            gradients, output = self.gradients(self.parameters, x, target)
            for name, parameter in self.parameters.items():
                parameter.grad = gradients[name]
            self.optimizer.step()
            outputs.append(output)
        tested = self.outputs(self.parameters, self.test.inputs)
        expected = self.test.targets.expand(self.rounds, *self.test.targets.shape)
        return Metrics(*self._judge(torch.cat(outputs, dim=1), targets), *self._judge(tested, expected))

    def _judge(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return self.losses(outputs, targets), hits(outputs, targets).double().mean(dim=1)

    def weights(self) -> Weights:
        values = [value.detach().numpy() for value in self.parameters.values()]
        return list(zip(values[::2], values[1::2], strict=True))


if __name__ == "__main__":
    main(TorchFunc)
