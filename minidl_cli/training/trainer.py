"""The trainer: a loop over epochs and batches, for a stack of rounds at once."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..randomness import generator
from ..runs.metrics import Numbers
from .build import Task
from .exactness import single_thread
from .measures import Measures, measure


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

    Attributes:
        stack: the seeds of the rounds in the stack.
        stopped: the rounds that stopped before the last epoch, by seed.
        epoch: the number of finished epochs.
    """

    @torch.inference_mode()
    def __init__(self, task: Task, seeds: Sequence[int]):
        self.network, self.loss, self.optimizer = task.network, task.loss, task.optimizer
        self.options, self.judge = task.config.training, task.judge
        self.stack = list(seeds)
        self.stopped: dict[int, Round] = {}
        self.epoch = 0
        self.samples = task.samples(self.stack)
        self.network.allocate(len(self.stack), task.dtype)
        self.network.initialize(self.stack)
        self.optimizer.start(self.network.values)

    def epochs(self) -> Iterator[EpochRecord]:
        """Train, and yield a record of each epoch."""
        started = perf_counter()
        while self.epoch < self.options.epochs and self._running():
            self.epoch += 1
            metrics = self._train()
            if self.options.is_logged(self.epoch):
                metrics |= measure(self.network, self.judge, self.samples["test"], "test")
            # A round that diverges has no metrics: its accuracy would be that of outputs which are no numbers.
            healthy = np.isfinite(metrics["train_loss"])
            metrics = {name: np.where(healthy, values, np.nan) for name, values in metrics.items()}
            running = self._running()
            record = EpochRecord(
                epoch=self.epoch,
                seeds=[self.stack[index] for index in running],
                lr=self.optimizer.lr,
                seconds=perf_counter() - started,
                metrics={name: values[running] for name, values in metrics.items()},
            )
            self._stop_diverged(metrics["train_loss"])
            yield record

    @single_thread()
    @torch.inference_mode()
    def _train(self) -> dict[str, Numbers]:
        """Train for an epoch, and return the measures of the outputs on the way, each `[rounds]`."""
        network, samples, batch_size = self.network, self.samples["train"], self.options.batch_size
        measures = Measures(self.judge, len(self.stack))
        for inputs, targets in samples.gather(self.order(self.epoch), samples.block_size(batch_size)):
            outputs = torch.empty_like(targets)
            batches = (torch.split(part, batch_size, dim=2) for part in (inputs, targets, outputs))
            for x, target, kept in zip(*batches, strict=True):
                output = network.forward(x)
                network.backward(self.loss.backward(output, target))
                self.optimizer.step(network.values, network.gradients, self.optimizer.lr)
                kept.copy_(output)
            measures.add(outputs, targets)
        return measures.means("train")

    def order(self, epoch: int) -> Tensor:
        """Return the order of the samples in an epoch, `[rounds, samples]`; a last batch to be dropped is left out."""
        size = len(self.samples["train"])
        if self.options.shuffle:
            orders = [torch.randperm(size, generator=generator(seed, "order", epoch)) for seed in self.stack]
            order = torch.stack(orders)
        else:
            order = torch.arange(size).expand(len(self.stack), size)
        return order[:, : self.options.batches(size) * self.options.batch_size]

    def _running(self) -> list[int]:
        """Return the places in the stack of the rounds that have not stopped."""
        return [index for index, seed in enumerate(self.stack) if seed not in self.stopped]

    def _stop_diverged(self, losses: Numbers) -> None:
        """Stop the rounds whose training loss, `[rounds]`, is not finite."""
        for index in self._running():
            if not math.isfinite(losses[index]):
                self.stopped[self.stack[index]] = self._round(index, {})
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
            self.stack[index]: self._round(index, {name: float(values[index]) for name, values in metrics.items()})
            for index in self._running()
        }
        return [each for _, each in sorted((self.stopped | finished).items())]

    def _round(self, index: int, metrics: dict[str, float]) -> Round:
        """Return a round of the stack as it is now; it has diverged unless its metrics are there and finite."""
        finished = bool(metrics) and all(map(math.isfinite, metrics.values()))
        return Round(
            seed=self.stack[index],
            status="finished" if finished else "diverged",
            epochs=self.epoch,
            metrics=metrics if finished else {},
            weights={name: _plain(values[index]) for name, values in self.network.state().items()},
        )


def _plain(values: Tensor) -> NDArray[Any]:
    """Return a copy as an array. All NaNs in it are the same: theirs are the only bits that depend on company."""
    array = values.numpy().copy()
    array[np.isnan(array)] = np.nan
    return array
