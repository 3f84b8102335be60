"""The trainer: a loop over epochs and batches, for a stack of rounds at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..nn.sequential import Sequential
from ..randomness import generator
from .build import Task
from .measures import Judge, Measures, Numbers
from .samples import Samples

# The columns of one forward pass in an evaluation. It must not depend on the number of rounds.
EVALUATION_SIZE = 256


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch of a stack gave.

    Attributes:
        epoch: the number of finished epochs.
        seeds: the rounds that the record is about, in the order of the numbers.
        lr: the learning rate.
        seconds: the time since the stack's training began.
        metrics: `train_loss` and so on, each `[seeds]`: the running means over the epoch's batches, and, if the
            epoch is one to log, `test_loss` and so on, measured after it.
    """

    epoch: int
    seeds: list[int]
    lr: float
    seconds: float
    metrics: dict[str, Numbers]

    @property
    def is_logged(self) -> bool:
        """Whether the epoch is one of those that `training.log_every` asks for."""
        return "test_loss" in self.metrics


@dataclass(frozen=True)
class Round:
    """One trained round.

    Attributes:
        seed: its seed.
        status: whether it finished, or diverged (its loss became infinite or NaN).
        epochs: the number of epochs that it was trained for.
        metrics: `train_loss`, `test_accuracy` and so on, of the final weights on whole sets; empty if it diverged.
        weights: its parameters at the end, by name. (Not tensors: PyTorch hands those from process to process by
            way of open files, of which there can be too many.)
    """

    seed: int
    status: Literal["finished", "diverged"]
    epochs: int
    metrics: dict[str, float]
    weights: dict[str, NDArray[Any]]


class Trainer:
    """The training of a stack of rounds.

    A round that diverges is kept as it was and stays in the stack as ballast, which disturbs nobody; once half
    of the stack is ballast, the stack is rebuilt from the others.

    Args:
        task: what to train.
        seeds: the seeds of the rounds, all different.
    """

    @torch.inference_mode()
    def __init__(self, task: Task, seeds: Sequence[int]):
        self.network, self.loss, self.optimizer = task.network, task.loss, task.optimizer
        self.options, self.judge = task.config.training, task.judge
        self.stack = list(seeds)
        self.stopped: dict[int, Round] = {}
        self.samples = task.samples(self.stack)
        self.network.allocate(len(self.stack), task.dtype)
        self.network.initialize(self.stack)
        self.optimizer.start(self.network.values)

    def epochs(self) -> Iterator[EpochRecord]:
        """Train, and yield a record of each epoch."""
        started = perf_counter()
        for epoch in range(1, self.options.epochs + 1):
            metrics = self._train(epoch)
            if self.options.is_logged(epoch):
                metrics |= measure(self.network, self.judge, self.samples["test"], "test")
            running = self._running()
            yield EpochRecord(
                epoch=epoch,
                seeds=[self.stack[index] for index in running],
                lr=self.optimizer.lr,
                seconds=perf_counter() - started,
                metrics={name: values[running] for name, values in metrics.items()},
            )
            self._stop_diverged(epoch, metrics)
            if not self._running():
                return

    @torch.inference_mode()
    def _train(self, epoch: int) -> dict[str, Numbers]:
        network, samples, batch_size = self.network, self.samples["train"], self.options.batch_size
        measures = Measures(self.judge, len(self.stack))
        for inputs, targets in samples.gather(self._order(epoch), samples.block_size(batch_size)):
            outputs = torch.empty_like(targets)
            batches = zip(*(torch.split(part, batch_size, dim=2) for part in (inputs, targets, outputs)), strict=True)
            for x, target, kept in batches:
                output = network.forward(x)
                network.backward(self.loss.backward(output, target))
                self.optimizer.step(network.values, network.gradients, self.optimizer.lr)
                kept.copy_(output)
            measures.add(outputs, targets)
        return measures.means("train")

    def _order(self, epoch: int) -> Tensor:
        """Return the order of the samples in this epoch, `[rounds, samples]`."""
        size = len(self.samples["train"])
        if self.options.shuffle:
            orders = [torch.randperm(size, generator=generator(seed, "order", epoch)) for seed in self.stack]
            order = torch.stack(orders)
        else:
            order = torch.arange(size).expand(len(self.stack), size)
        return order[:, : size - size % self.options.batch_size] if self.options.drop_last else order

    def _running(self) -> list[int]:
        """Return the places in the stack of the rounds that have not stopped."""
        return [index for index, seed in enumerate(self.stack) if seed not in self.stopped]

    def _stop_diverged(self, epoch: int, metrics: dict[str, Numbers]) -> None:
        healthy = np.isfinite(metrics["train_loss"]) & np.isfinite(metrics.get("test_loss", 0.0))
        for index in self._running():
            if not healthy[index]:
                seed = self.stack[index]
                self.stopped[seed] = Round(seed, "diverged", epoch, {}, self._weights(index))
        running = self._running()
        if running and len(running) * 2 <= len(self.stack):
            self._rebuild(running)

    @torch.inference_mode()
    def _rebuild(self, rounds: list[int]) -> None:
        """Drop the ballast."""
        for name, vector in self.optimizer.state.items():
            self.optimizer.state[name] = self.network.select(vector, rounds)
        self.network.keep(rounds)
        self.samples = {name: part.select(rounds) for name, part in self.samples.items()}
        self.stack = [self.stack[index] for index in rounds]

    def rounds(self) -> list[Round]:
        """Return all rounds as they are now, in the order of their seeds; final metrics are of the whole sets."""
        metrics: dict[str, Numbers] = {}
        for name, part in self.samples.items():
            metrics |= measure(self.network, self.judge, part, name)
        finished = {
            self.stack[index]: Round(
                seed=self.stack[index],
                status="finished",
                epochs=self.options.epochs,
                metrics={name: float(values[index]) for name, values in metrics.items()},
                weights=self._weights(index),
            )
            for index in self._running()
        }
        return [each for _, each in sorted((self.stopped | finished).items())]

    def _weights(self, index: int) -> dict[str, NDArray[Any]]:
        return {name: parameter.value[index].numpy().copy() for name, parameter in self.network.named_parameters()}


@torch.inference_mode()
def measure(network: Sequential, judge: Judge, samples: Samples, prefix: str) -> dict[str, Numbers]:
    """Judge a network on all samples, every round of its stack: `{prefix}_loss` and so on, each `[rounds]`."""
    measures = Measures(judge, network.rounds)
    for inputs, targets in samples.in_order(network.rounds, EVALUATION_SIZE):
        measures.add(network.forward(inputs), targets)
    return measures.means(prefix)
