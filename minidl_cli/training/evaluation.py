"""Judging and using trained rounds: a run folder's, or those just trained."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..config.schema import Config
from ..errors import InputError
from ..escaping import shown
from ..metrics import metric
from ..nn.sequential import Sequential
from ..runs.folder import Run
from ..runs.metrics import Numbers
from ..statistics import Summary, summarize
from .build import Task, build_run
from .exactness import single_thread, warn_of_inexact_products
from .measures import EVALUATION_SIZE, Judge, measure
from .memory import STACK_SIZE, check_evaluation
from .report import Predicted, Report, describe, predicted_classes
from .samples import Samples

# So many predicted numbers are kept at once.
PREDICTED_NUMBERS = 10_000_000

Weights = Literal["last", "best"]


def summarize_rounds(rounds: Sequence[Mapping[str, float]], missing: int) -> dict[str, Summary]:
    """Return the statistics of every metric over rounds.

    Args:
        rounds: the final metrics of each finished round.
        missing: how many rounds have none, as they diverged or failed.
    """
    names = rounds[0] if rounds else ()
    return {
        name: summarize([each[name] for each in rounds], missing, higher_is_better=metric(name).higher_is_better)
        for name in names
    }


def count_rounds(rounds: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """Return how many rounds ended in which way, and which diverged or failed, given each one's seed and status."""
    counts = Counter(status for _, status in rounds)
    return {
        "planned": len(rounds),
        "finished": counts["finished"],
        "diverged": counts["diverged"],
        "failed": counts["failed"],
        "diverged_seeds": [seed for seed, status in rounds if status == "diverged"],
        "failed_seeds": [seed for seed, status in rounds if status == "failed"],
    }


def evaluate(run: Run | str | Path, split: str | None = None, weights: Weights | None = None) -> dict[str, Summary]:
    """Measure the weights of a run on whole sets, and return the statistics over its rounds.

    Args:
        run: the run, or its folder.
        split: the part to measure on, such as `test`; by default all parts.
        weights: `last` or `best`; by default the best ones where early stopping chose them, the last otherwise.

    Returns:
        For each metric, such as `test_accuracy`, what `summary.json` holds under `final`: the same numbers.

    Raises:
        InputError: the folder is not a finished run, or is damaged; or there is no such part.
    """
    return Trained.of(run, weights).final(split)


@dataclass(frozen=True)
class Trained:
    """The finished rounds of a run, and the data that they were trained on.

    Attributes:
        task: what was trained.
        planned: how many rounds there are, with those that diverged.
        seeds: the seeds of those that finished.
        weights: their parameters and buffers by name, each `[rounds, *shape]`.
    """

    task: Task
    planned: int
    seeds: list[int]
    weights: dict[str, Tensor]

    @classmethod
    def of(cls, run: Run | str | Path, weights: Weights | None = None) -> "Trained":
        """Read a run. Arguments and errors are those of `evaluate`."""
        run = run if isinstance(run, Run) else Run.find(str(run))
        rounds, task = run.rounds(), build_run(run)
        warn_of_inexact_products(task.dtype)
        check_evaluation(task, min(len(rounds), STACK_SIZE))
        which = weights or chosen_weights(task.config)
        stored = checked_weights(run, task.config, task.network, len(rounds), which)
        finished = [index for index, (_, status) in enumerate(rounds) if status == "finished"]
        seeds = [rounds[place][0] for place in finished]
        return cls(task, len(rounds), seeds, {name: values[finished] for name, values in stored.items()})

    def final(self, split: str | None = None) -> dict[str, Summary]:
        """Return the statistics of every metric, as `evaluate` does."""
        self._check(split)
        measured = measure_rounds(self.task, self.seeds, self.weights, split)
        return summarize_rounds(measured, self.planned - len(self.seeds))

    def reports(self, split: str | None = None) -> dict[str, Report]:
        """Return what `summary.json` holds under `report`, of the test samples or of another part."""
        self._check(split)
        return report_rounds(self.task, self.seeds, self.weights, split or "test", self.planned)

    def _check(self, split: str | None) -> None:
        if split is not None and split not in self.task.sizes:
            raise InputError(f"{split!r} is no part of the data; there are {', '.join(self.task.sizes)}")


def chosen_weights(config: Config) -> Weights:
    """Return which weights of its rounds a config's training ends with."""
    return "best" if config.training.early_stopping else "last"


def measure_rounds(
    task: Task, seeds: Sequence[int], weights: Mapping[str, Tensor], split: str | None = None
) -> list[dict[str, float]]:
    """Measure the rounds of these seeds, each on its own data.

    Args:
        task: what they were trained by; its network is used.
        seeds: the seed of each.
        weights: their parameters and buffers by name, each `[rounds, *shape]`.
        split: the part to measure on; by default all parts.

    Returns:
        The metrics of each round by name, such as `test_accuracy`.
    """
    measured: list[dict[str, float]] = []
    for stack, network in stacks(task.network, weights, STACK_SIZE):
        metrics: dict[str, Numbers] = {}
        for name, part in task.samples(seeds[stack]).items():
            if split in (None, name):
                metrics |= measure(network, task.judge, part, name)
        measured += as_rounds(metrics)
    return measured


def stacks(network: Sequential, weights: Mapping[str, Tensor], size: int) -> Iterator[tuple[slice, Sequential]]:
    """Yield some of the rounds after the others: their places, and the network with their weights.

    Args:
        network: the connected layers, which all stacks are put into.
        weights: the parameters and buffers of all rounds by name, each `[rounds, *shape]`.
        size: the largest number of rounds in a stack.
    """
    for start in range(0, len(next(iter(weights.values()))), size):
        stack = slice(start, start + size)
        yield stack, restore(network, {name: values[stack] for name, values in weights.items()})


def as_rounds(metrics: Mapping[str, Numbers]) -> list[dict[str, float]]:
    """Return the metrics of each round, given each metric's numbers, `[rounds]`."""
    return [dict(zip(metrics, map(float, values), strict=True)) for values in zip(*metrics.values(), strict=True)]


def report_rounds(
    task: Task, seeds: Sequence[int], weights: Mapping[str, Tensor], part: str, planned: int
) -> dict[str, Report]:
    """Describe what the rounds of these seeds predict of a part of their data.

    The first arguments are those of `measure_rounds`; `planned` is how many rounds there are, with those that diverged.

    Returns:
        The report by the name of the part; nothing if no round finished.
    """
    rounds = predict_rounds(task, seeds, weights, part)
    described = describe(task.dataset.columns, rounds, task.judge.middle, planned=planned)
    return {part: described} if described else {}


def predict_rounds(task: Task, seeds: Sequence[int], weights: Mapping[str, Tensor], part: str) -> Iterator[Predicted]:
    """Yield of one round after the other what is true of its samples of a part, and what it predicts.

    The arguments are those of `report_rounds`.
    """
    judge, numbers = task.judge, task.sizes[part] * task.network.widths[-1]
    size = max(1, min(STACK_SIZE, PREDICTED_NUMBERS // numbers))
    for stack, network in stacks(task.network, weights, size):
        yield from predict_stack(network, judge, task.samples(seeds[stack])[part])


def predict_stack(network: Sequential, judge: Judge, samples: Samples) -> Iterator[Predicted]:
    """Yield of each round of a network what is true of its samples, and what it predicts."""
    targets, predictions = predict_samples(network, judge, samples)
    for target, prediction in zip(targets.numpy(), predictions.numpy(), strict=True):
        true = target if judge.middle is None else predicted_classes(target, judge.middle)
        yield true, prediction


def checked_weights(run: Run, config: Config, network: Sequential, rounds: int, which: Weights) -> dict[str, Tensor]:
    """Return a run's weights, each `[rounds, *shape]`.

    Args:
        run: the run.
        config: its config.
        network: what the weights are to fit, without memory for them.
        rounds: how many rounds there are.
        which: `last` or `best`.

    Raises:
        InputError: there are none, or they are not those of the run's config: a name, a shape or a type differs.
    """
    weights = run.weights(which, largest_file(config, network, rounds))
    check_weights(run, config, network, rounds, weights)
    return weights


def largest_file(config: Config, network: Sequential, rounds: int) -> int:
    """Return how many bytes a file of the weights of so many rounds can have, with what says what they are."""
    shapes = network.state_shapes().values()
    dtype: torch.dtype = getattr(torch, config.training.dtype)
    return (1 << 20) + 256 * len(shapes) + rounds * sum(map(prod, shapes)) * dtype.itemsize


def check_weights(run: Run, config: Config, network: Sequential, rounds: int, weights: Mapping[str, Tensor]) -> None:
    """Make sure that weights are those of a run's config. Arguments and errors are those of `checked_weights`."""
    expected = {name: (rounds, *shape) for name, shape in network.state_shapes().items()}
    found = {name: tuple(values.shape) for name, values in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            problem = f"is {shown(str(found.get(name, 'not there')))}, but rounds.csv and the config ask for"
            raise InputError(f"{run.path}: weights: {shown(name)} {problem} {expected.get(name, 'none')}")
        if weights[name].dtype != getattr(torch, config.training.dtype):
            raise InputError(f"{run.path}: weights: {name} is not {config.training.dtype}, as the config says")


@single_thread()
def restore(network: Sequential, weights: Mapping[str, Tensor]) -> Sequential:
    """Give a network these parameters and buffers, each `[rounds, *shape]`, and return it."""
    some = next(iter(weights.values()))
    network.allocate(len(some), some.dtype)
    network.load(weights)
    return network


@single_thread()
@torch.inference_mode()
def predict(network: Sequential, judge: Judge, inputs: Tensor) -> Tensor:
    """Return what every round predicts for the same samples, on the scale of the targets.

    Args:
        network: the network, of any number of rounds.
        judge: what says what its outputs mean.
        inputs: `[samples, features]`, in the data's own units.

    Returns:
        `[rounds, samples, outputs]`.
    """
    network.train(False)
    columns = inputs.to(network.values.dtype).T.expand(network.rounds, -1, -1)
    outputs = [judge.predict(network.forward(part)) for part in torch.split(columns, EVALUATION_SIZE, dim=2)]
    return torch.cat(outputs, dim=2).mT


@single_thread()
@torch.inference_mode()
def predict_samples(network: Sequential, judge: Judge, samples: Samples) -> tuple[Tensor, Tensor]:
    """Return the targets of the samples of every round, and what it predicts, both `[rounds, samples, outputs]`."""
    network.train(False)
    blocks = [
        (targets, judge.predict(network.forward(inputs)))
        for inputs, targets in samples.in_order(network.rounds, EVALUATION_SIZE)
    ]
    targets, predictions = (torch.cat(values, dim=2).mT for values in zip(*blocks, strict=True))
    return targets, predictions
