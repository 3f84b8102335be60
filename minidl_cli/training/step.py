"""One step of training: the gradients of the loss on some samples, and the update that follows from them."""

from math import ceil

import torch
from torch import Tensor

from .build import Task


class Step:
    """A step of the optimizer, for a stack of rounds at once.

    Args:
        task: what is trained; its network and optimizer are those that change.

    Attributes:
        size: how many samples a whole step sees: a batch, or as many batches as are joined.
    """

    def __init__(self, task: Task):
        self.network, self.loss, self.optimizer, self.judge = task.network, task.loss, task.optimizer, task.judge
        self.options = task.config.training
        self.size = self.options.batch_size * self.options.accumulate

    def differentiate(self, x: Tensor, target: Tensor, output: Tensor, first: int) -> None:
        """Set the gradients to those of the loss on the samples of a step, and keep what the network puts out.

        Args:
            x: the inputs, `[rounds, features, samples]`, in the data's own units.
            target: the targets, `[rounds, outputs, samples]`, in their own units.
            output: where to keep the outputs.
            first: the place of the first sample among those that noise was drawn for.
        """
        if self.options.accumulate == 1:
            self._differentiate_batch(x, target, output, first)
        else:
            self._differentiate_joined(x, target, output, first)
        if self.options.clip_norm is not None:
            self._clip(self.options.clip_norm)

    def update(self, lr: float) -> None:
        """Change the parameters as the optimizer says, which uses up the gradients."""
        self.optimizer.step(self.network.values, self.network.gradients, lr)

    def scalars(self, lr: float, samples: int) -> Tensor:
        """Count the steps that so many samples take, and return the optimizer's scalars of each, `[steps, scalars]`."""
        first, steps = self.optimizer.steps + 1, ceil(samples / self.size)
        self.optimizer.steps += steps
        scalars = [self.optimizer.scalars(lr, step) for step in range(first, first + steps)]
        return torch.tensor(scalars, dtype=self.network.values.dtype)

    def _differentiate_batch(self, x: Tensor, target: Tensor, output: Tensor, first: int) -> None:
        self.network.select_noise(first, first + x.shape[2])
        found = self.network.forward(x)
        self.network.backward_parameters(self._slope(found, target))
        output.copy_(found)

    def _slope(self, output: Tensor, target: Tensor) -> Tensor:
        """Return dL/d(output), where each sample counts as much as the weight of its class says."""
        slope = self.loss.backward(output, self.network.preprocessing.scale_targets(target))
        weights = self.judge.weights(target)
        return slope if weights is None else slope.mul_(weights)

    def _differentiate_joined(self, x: Tensor, target: Tensor, output: Tensor, first: int) -> None:
        """Set the gradients to those of the loss on several batches joined."""
        joined = torch.zeros_like(self.network.gradients)
        batches = (torch.split(part, self.options.batch_size, dim=2) for part in (x, target, output))
        for batch in zip(*batches, strict=True):
            inputs, targets, outputs = batch
            self._differentiate_batch(inputs, targets, outputs, first)
            samples = inputs.shape[2]
            joined.add_(self.network.gradients, alpha=self.loss.share(samples, x.shape[2]))
            first += samples
        self.network.gradients.copy_(joined)

    def _clip(self, largest: float) -> None:
        """Scale down the gradients of the rounds where the norm is larger, as torch.nn.utils.clip_grad_norm_ does."""
        factors = largest / (self.network.gradient_norms() + 1e-6)
        self.network.scale_gradients(factors.clamp(max=1.0))
