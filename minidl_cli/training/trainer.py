"""The trainer: a loop over epochs and batches, for a stack of rounds at once."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from ..config.schema import Config, EarlyStopping
from ..data.dataset import Dataset
from ..randomness import generator
from ..runs.metrics import Numbers
from .best import BestWeights
from .build import Task, build
from .checkpoint import Checkpoint, fingerprint
from .device import at_work, find_device
from .evaluation import chosen_weights, measure_rounds
from .exactness import single_thread
from .measures import Measures, fetch, judged
from .round import Round
from .samples import OrdersAhead, epoch_order
from .step import Step


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch of a stack gave.

    Attributes:
        epoch: the number of finished epochs.
        seeds: the rounds that the record is about, in the order of the numbers.
        lr: the learning rate.
        seconds: the time since the stack's training began.
        metrics: `train_loss` and so on, each `[seeds]`: the running means over the epoch's batches, and, if the
            epoch is one to log, `test_loss` and so on of all other parts, measured after it.
        spared: how many epochs need not be trained, those of all rounds that stopped after this one added up.
    """

    epoch: int
    seeds: list[int]
    lr: float
    seconds: float
    metrics: dict[str, Numbers]
    spared: int = 0


def conclude(config: Config, dataset: Dataset, rounds: Sequence[Round]) -> list[Round]:
    """Return rounds with final metrics, in the order of their seeds. One whose metrics are no numbers diverged."""
    ordered = sorted(rounds, key=lambda each: each.seed)
    ended = [each for each in ordered if each.status == "finished"]
    if not ended:
        return ordered
    weights = [final_weights(config, each) for each in ended]
    stacked = {name: torch.from_numpy(np.stack([each[name] for each in weights])) for name in weights[0]}
    measured = measure_rounds(build(config, dataset), [each.seed for each in ended], stacked)
    of = {each.seed: metrics for each, metrics in zip(ended, measured, strict=True)}
    return [_judged(each, of.get(each.seed, {})) for each in ordered]


def final_weights(config: Config, ended: Round) -> dict[str, NDArray[Any]]:
    """Return the weights that a config's training ends with: the best ones with early stopping, the last otherwise."""
    return ended.best if chosen_weights(config) == "best" and ended.best else ended.weights


def _judged(ended: Round, metrics: dict[str, float]) -> Round:
    is_finite = bool(metrics) and all(map(math.isfinite, metrics.values()))
    return replace(ended, metrics=metrics) if is_finite else replace(ended, status="diverged")


class Trainer:
    """The training of a stack of rounds.

    A round that diverges or stops early is kept as it was and stays in the stack as ballast, which disturbs nobody;
    once half of the stack is ballast, the stack is rebuilt from the others.

    Args:
        task: what to train.
        seeds: the seeds of the rounds, all different.
        device: the name of the device that they train on, as `find_device` takes it. All random numbers are drawn on
            the CPU, and then moved: data, initial values, orders and noise.

    Attributes:
        device: the device.
        stack: the seeds of the rounds in the stack.
        stopped: the rounds that stopped before the last epoch, by seed.
        epoch: the number of finished epochs.
        seconds: what they took.

    Raises:
        InputError: the device is not there.
    """

    @single_thread()
    @torch.inference_mode()
    def __init__(self, task: Task, seeds: Sequence[int], device: str = "cpu"):
        self.device = find_device(device)
        self.config, self.options, self.judge = task.config, task.config.training, task.judge
        self.dataset, self.network, self.optimizer, self.schedule = (
            task.dataset,
            task.network,
            task.optimizer,
            task.schedule,
        )
        self.step, self._fingerprint = Step(task), fingerprint(self.config)
        self.stack = list(seeds)
        self.stopped: dict[int, Round] = {}
        self.epoch, self.seconds = 0, 0.0
        self.samples = task.samples(self.stack)
        self.network.allocate(len(self.stack), task.dtype)
        self.network.initialize(self.stack)
        self.network.preprocessing.load(task.fit(self.stack))
        if self.device.type != "cpu":
            self._move()
        self.optimizer.start(self.network.values)
        rule = self.options.early_stopping or EarlyStopping()
        self.best = BestWeights(rule, self.network.state()) if "validation" in self.samples else None

    def _move(self) -> None:
        """Move what was made on the CPU to the device."""
        self.network.to(self.device)
        self.samples = {name: part.to(self.device) for name, part in self.samples.items()}
        self._orders = OrdersAhead(self.options, len(self.samples["train"]), self.device)

    def epochs(self) -> Iterator[EpochRecord]:
        """Train, and yield a record of each epoch."""
        started = perf_counter() - self.seconds
        while self.epoch < self.options.epochs and self._running():
            lr = self.schedule.rate(self.optimizer.lr, self.epoch, self.options.epochs)
            self.epoch += 1
            metrics = self._train_and_measure(lr)
            # A round that diverges has no metrics.
            healthy = np.isfinite(metrics["train_loss"])
            metrics = {name: np.where(healthy, values, np.nan) for name, values in metrics.items()}
            running, stopped = self._running(), len(self.stopped)
            seeds = [self.stack[index] for index in running]
            self._stop_rounds(metrics)
            self.seconds = perf_counter() - started
            yield EpochRecord(
                epoch=self.epoch,
                seeds=seeds,
                lr=lr,
                seconds=self.seconds,
                metrics={name: values[running] for name, values in metrics.items()},
                spared=(len(self.stopped) - stopped) * (self.options.epochs - self.epoch),
            )

    def _train_and_measure(self, lr: float) -> dict[str, Numbers]:
        """Train for an epoch, and return its metrics, each `[rounds]`; nothing comes from the device before its end."""
        with at_work(self.device, self.options.matmul_precision):
            metrics = dict(self._train(lr))
            if self.options.is_logged(self.epoch):
                metrics |= self._measure()
            return fetch(metrics)

    @single_thread()
    @torch.inference_mode()
    def _train(self, lr: float) -> Mapping[str, Numbers | Tensor]:
        """Train for an epoch, and return the measures of the outputs on the way, each `[rounds]`."""
        samples, size = self.samples["train"], self.step.size
        measures = Measures(len(self.stack), self.judge.names, self.device)
        noise = self._noise_generators()
        self.network.train()
        for inputs, targets in samples.gather(self.order(self.epoch), samples.block_size(size)):
            outputs = torch.empty_like(targets)
            self.network.draw_noise(inputs.shape[2], noise)
            steps = (torch.split(part, size, dim=2) for part in (inputs, targets, outputs))
            for index, (x, target, output) in enumerate(zip(*steps, strict=True)):
                self.step.differentiate(x, target, output, index * size)
                self.step.update(lr)
            measures.add(outputs.shape[2], self.judge.sums(outputs, targets))
        return measures.on_device("train")

    def _noise_generators(self) -> list[Generator]:
        """Return the generator of each round's noise in this epoch; none if there is no noise."""
        seeds = self.stack if self.network.noise_features() else []
        return [generator(seed, "noise", self.epoch) for seed in seeds]

    def order(self, epoch: int) -> Tensor:
        """Return the order of the samples in an epoch, `[rounds, samples]`; a last batch to be dropped is left out."""
        if self.device.type != "cpu":
            return self._orders.take(self.stack, epoch)
        return epoch_order(self.options, len(self.samples["train"]), self.stack, epoch)

    def _measure(self) -> Mapping[str, Numbers | Tensor]:
        """Return the measures of all parts but the training samples, each `[rounds]`."""
        metrics: dict[str, Tensor] = {}
        for name, part in self.samples.items():
            if name != "train":
                metrics |= judged(self.network, self.judge, part).on_device(name)
        return metrics

    def _running(self) -> list[int]:
        """Return the places in the stack of the rounds that have not stopped."""
        return [index for index, seed in enumerate(self.stack) if seed not in self.stopped]

    @torch.inference_mode()
    def _stop_rounds(self, metrics: Mapping[str, Numbers]) -> None:
        """Stop the rounds that diverged, by their losses, and those that have become no better for long."""
        # Those of the test samples decide nothing.
        losses = [metrics[name] for name in ("train_loss", "validation_loss") if name in metrics]
        finite = np.logical_and.reduce([np.isfinite(loss) for loss in losses])
        diverged = [] if finite.all() else [index for index in self._running() if not finite[index]]
        self._stop(diverged, "diverged")
        if self.best and self.options.is_logged(self.epoch):
            self.best.update(metrics, self.epoch, self.network.state())
            if self.options.early_stopping:
                out_of_patience = self.best.out_of_patience(self.epoch)
                self._stop([index for index in self._running() if out_of_patience[index]], "finished")
        running = self._running()
        if running and len(running) * 2 <= len(self.stack):
            self._rebuild(running)

    def _stop(self, places: list[int], status: Literal["finished", "diverged"]) -> None:
        for each in self._rounds(places, status):
            self.stopped[each.seed] = each

    @torch.inference_mode()
    def _rebuild(self, rounds: list[int]) -> None:
        """Drop the ballast."""
        for name, vector in self.optimizer.state.items():
            self.optimizer.state[name] = self.network.select(vector, rounds)
        self.network.keep(rounds)
        if self.best:
            self.best.keep(rounds)
        self.samples = {name: part.select(rounds) for name, part in self.samples.items()}
        self.stack = [self.stack[index] for index in rounds]

    def checkpoint(self) -> Checkpoint:
        """Return the state at the end of an epoch, copied."""
        return Checkpoint(
            config=self._fingerprint,
            epoch=self.epoch,
            seconds=self.seconds,
            steps=self.optimizer.steps,
            stack=list(self.stack),
            state={name: values.to("cpu", copy=True).numpy() for name, values in self._state().items()},
            stopped=list(self.stopped.values()),
        )

    @torch.inference_mode()
    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of a stack of the same rounds, in the same order, which fits, as `check` says."""
        for name, values in self._state().items():
            values.copy_(torch.from_numpy(checkpoint.state[name]))
        self.optimizer.steps = checkpoint.steps
        self.epoch, self.seconds = checkpoint.epoch, checkpoint.seconds
        self.stopped = {each.seed: each for each in checkpoint.stopped}

    def _state(self) -> dict[str, Tensor]:
        """Return all that training changes, by name, not copied; what counts epochs, steps and rounds aside."""
        state = {f"network.{name}": values for name, values in self.network.state().items()}
        state |= {f"optimizer.{name}": vector for name, vector in self.optimizer.state.items()}
        return state | {f"best.{name}": values for name, values in (self.best.all() if self.best else {}).items()}

    def rounds(self) -> list[Round]:
        """Return all rounds as they are now, in the order of their seeds; final metrics are of the whole sets."""
        running = self._rounds(self._running(), "finished")
        return conclude(self.config, self.dataset, [*self.stopped.values(), *running])

    @torch.inference_mode()
    def _rounds(self, places: list[int], status: Literal["finished", "diverged"]) -> list[Round]:
        """Return the rounds at these places of the stack as they are now, without metrics."""
        weights = _divided(self.network.state(), places)
        best = _divided(self.best.state, places) if self.best else [None] * len(places)
        return [
            Round(
                seed=self.stack[place],
                status=status,
                epochs=self.epoch,
                weights=of_last,
                best=of_best,
                best_epoch=int(self.best.epochs[place]) if self.best else None,
            )
            for place, of_last, of_best in zip(places, weights, best, strict=True)
        ]


def _divided(state: Mapping[str, Tensor], places: list[int]) -> list[dict[str, NDArray[Any]]]:
    """Return the parts of a state that belong to the rounds at these places, copied: from a device all at once.

    All NaNs in them are the same: theirs are the only bits that depend on company.
    """
    rounds: list[dict[str, NDArray[Any]]] = [{} for _ in places]
    for name, values in state.items() if places else ():
        arrays = values[places].cpu().numpy()
        arrays[np.isnan(arrays)] = np.nan
        for one, array in zip(rounds, arrays, strict=True):
            one[name] = array.copy()
    return rounds
