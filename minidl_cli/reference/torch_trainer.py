"""The training of a config by PyTorch itself: torch.nn, autograd and torch.optim."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from ..randomness import generator
from ..runs.metrics import Numbers
from ..training.build import Task
from ..training.checkpoint import Checkpoint, Form, check_forms
from ..training.exactness import single_thread
from ..training.measures import Judge, Measures
from ..training.samples import Samples, epoch_order
from ..training.trainer import Trainer
from .torch_modules import loss_function, module, optimizer


@dataclass(frozen=True)
class Twin:
    """What PyTorch trains of one round: its network, the optimizer of that, and how its outputs are judged."""

    network: nn.Sequential
    optimizer: torch.optim.Optimizer
    judge: Judge


class TorchTrainer(Trainer):
    """The same rounds, but every step of theirs is PyTorch's.

    Each round is a network of its own, which starts from minidl's initial weights and sees the same batches. What the
    epochs log is what that network puts out. After each epoch its weights are copied into minidl's network, so
    that which rounds stop, and which weights are best, is told and kept in one way for both. The final metrics, as
    those of `minidl eval`, come from minidl's network with these weights.

    Dropout draws masks of its own, by PyTorch's generator, from the round's seed and the epoch.

    Args:
        task: what to train.
        seeds: the seeds of the rounds, all different.

    Raises:
        InputError: a component has no counterpart in PyTorch.
    """

    def __init__(self, task: Task, seeds: Sequence[int]):
        super().__init__(task, seeds)
        self.loss_function = loss_function(self.config)
        self.twins = [self._twin(index) for index in range(len(self.stack))]

    def _twin(self, index: int) -> Twin:
        network = module(self.config, self.network.widths[0])
        fitted = self.network.preprocessing.buffers
        state = {name: values[index] for name, values in self.network.state().items() if name not in fitted}
        network.load_state_dict(state)
        judge = replace(self.judge, preprocessing=self.network.preprocessing.of_round(index))
        return Twin(network, optimizer(self.config, network.parameters()), judge)

    def _train(self, lr: float) -> dict[str, Numbers]:
        metrics = _joined([self._train_round(index, lr) for index in range(len(self.stack))])
        self._keep_weights()
        return metrics

    @single_thread()
    def _train_round(self, index: int, lr: float) -> dict[str, Numbers]:
        """Train a round for an epoch, and return the measures of the outputs on the way, each `[1]`."""
        twin, seed, samples = self.twins[index], self.stack[index], self._samples("train", index)
        step_size = self.options.batch_size * self.options.accumulate
        order = epoch_order(self.options, len(samples), [seed], self.epoch)
        measures, scale = Measures(1, twin.judge.names), twin.judge.preprocessing
        for group in twin.optimizer.param_groups:
            group["lr"] = lr
        twin.network.train()
        with _global_generator(generator(seed, "noise", self.epoch)):
            for inputs, targets in samples.gather(order, samples.block_size(step_size)):
                weights = twin.judge.weights(targets)
                given = [
                    scale.scale_inputs(inputs),
                    scale.scale_targets(targets),
                    *([] if weights is None else [weights]),
                ]
                steps = zip(*(torch.split(_rows(part), step_size) for part in given), strict=True)
                outputs = _columns([self._step(twin, *step) for step in steps])
                measures.add(outputs.shape[2], twin.judge.sums(outputs, targets))
        return measures.means("train")

    def _step(self, twin: Twin, x: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
        """Take one step of the optimizer, and return what the network put out before it, `[samples, outputs]`.

        Args:
            twin: the network.
            x: what its first layer sees, `[samples, features]`.
            target: what its last layer is to put out, `[samples, outputs]`.
            weights: how much each sample counts, `[samples, 1]`; None if all count once.
        """
        # Layers that look at a whole batch see each by itself; the loss is that of all of them joined.
        outputs = [twin.network(batch) for batch in torch.split(x, self.options.batch_size)]
        output = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
        twin.optimizer.zero_grad()
        self.loss_function(output, target, weights).backward()  # type: ignore[no-untyped-call]
        if self.options.clip_norm is not None:
            nn.utils.clip_grad_norm_(twin.network.parameters(), self.options.clip_norm)
        twin.optimizer.step()
        return output.detach()

    def checkpoint(self) -> Checkpoint:
        """Return the state at the end of an epoch, copied, with what PyTorch's optimizers remember."""
        found = super().checkpoint()
        return replace(found, moments=self._moments())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint, as `Trainer.restore` does; its moments fit, too, as `check_moments` says."""
        super().restore(checkpoint)
        self.twins = [self._twin(index) for index in range(len(self.stack))]
        for index, twin in enumerate(self.twins):
            remembered = twin.optimizer.state_dict()
            for name, values in checkpoint.moments.items():
                place, _, key = name.partition(".")
                remembered["state"].setdefault(int(place), {})[key] = torch.from_numpy(np.array(values[index]))
            twin.optimizer.load_state_dict(remembered)

    def _moments(self) -> dict[str, NDArray[Any]]:
        """Return what the optimizers remember, `[rounds, ...]` each, by the parameter's place and its own name."""
        of_rounds = [_moments(twin.optimizer) for twin in self.twins]
        return {name: torch.stack([moments[name] for moments in of_rounds]).numpy() for name in of_rounds[0]}

    @torch.inference_mode()
    def _keep_weights(self) -> None:
        states = [twin.network.state_dict() for twin in self.twins]
        trained = {name: torch.stack([state[name] for state in states]) for name in states[0]}
        self.network.load(self.network.state() | trained)

    @single_thread()
    @torch.inference_mode()
    def _measure(self) -> dict[str, Numbers]:
        return _joined([self._measure_round(index) for index in range(len(self.stack))])

    def _measure_round(self, index: int) -> dict[str, Numbers]:
        """Return the measures of all parts but the training samples, each `[1]`."""
        network, judge = self.twins[index].network.eval(), self.twins[index].judge
        metrics: dict[str, Numbers] = {}
        for name in self.samples:
            if name != "train":
                part, measures = self._samples(name, index), Measures(1, judge.names)
                for inputs, targets in part.in_order(1, part.block_size(1)):
                    outputs = _columns([network(_rows(judge.preprocessing.scale_inputs(inputs)))])
                    measures.add(outputs.shape[2], judge.sums(outputs, targets))
                metrics |= measures.means(name)
        return metrics

    def _samples(self, part: str, index: int) -> Samples:
        """Return the samples of one round."""
        return self.samples[part].select([index])

    def _rebuild(self, rounds: list[int]) -> None:
        super()._rebuild(rounds)
        self.twins = [self.twins[index] for index in rounds]


def check_moments(checkpoint: Checkpoint, task: Task) -> None:
    """Make sure that what a checkpoint has of PyTorch's optimizers is what those of a task remember.

    Args:
        checkpoint: one that fits the task, as `Checkpoint.check` says.
        task: what is trained.

    Raises:
        InputError: a component of the task has no counterpart in PyTorch.
        ValueError: a name, a type or a shape is another; or a number of steps is negative.
    """
    rounds, expected = len(checkpoint.stack), _moments_after_a_step(task) if checkpoint.epoch else {}
    forms: dict[str, Form] = {
        name: (str(moment.dtype).removeprefix("torch."), (rounds, *moment.shape)) for name, moment in expected.items()
    }
    check_forms(forms, checkpoint.moments)
    for name, values in checkpoint.moments.items():
        # Some optimizers take a root or a quotient of what follows from it.
        if name.endswith(".step") and not (values >= 0).all():
            raise ValueError(f"{name} is negative")


def _moments_after_a_step(task: Task) -> dict[str, Tensor]:
    """Return what the optimizer of a round of a task remembers after a step; only its names and forms matter."""
    network = module(task.config, task.network.widths[0])
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    trial = optimizer(task.config, network.parameters())
    trial.step()
    return _moments(trial)


def _moments(of: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what an optimizer remembers, by the parameter's place and its own name, such as `0.exp_avg`."""
    return {
        f"{place}.{key}": value
        for place, moments in of.state_dict()["state"].items()
        for key, value in moments.items()
        if isinstance(value, Tensor)
    }


@contextmanager
def _global_generator(numbers: Generator) -> Iterator[None]:
    """Let the global generator, the only one that nn.Dropout knows, draw these numbers; then it is as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(numbers.get_state())
        yield


def _rows(columns: Tensor) -> Tensor:
    """Return the samples `[1, features, n]` of one round as PyTorch takes them, `[n, features]`."""
    return columns[0].T.contiguous()


def _columns(rows: Sequence[Tensor]) -> Tensor:
    """Return batches of `[n, outputs]` joined, as minidl's measures take them, `[1, outputs, n]`."""
    return torch.cat(list(rows)).T.unsqueeze(0)


def _joined(metrics: Sequence[dict[str, Numbers]]) -> dict[str, Numbers]:
    """Return metrics `[rounds]` from those of each round, `[1]`."""
    return {name: np.concatenate([each[name] for each in metrics]) for name in metrics[0]}
