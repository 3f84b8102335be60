"""Judging and using trained rounds: a run folder's, or those just trained."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..config.schema import Config
from ..errors import InputError
from ..metrics import metric
from ..nn.sequential import Sequential
from ..runs.folder import Run
from ..runs.metrics import Numbers
from ..statistics import Summary, summarize
from .build import build, build_run
from .exactness import single_thread, warn_of_inexact_products
from .measures import EVALUATION_SIZE, Judge, measure
from .memory import check_evaluation

# Rounds are evaluated in stacks of this size, so that memory stays bounded. It does not change their numbers.
STACK_SIZE = 50

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
    """Return how many rounds ended in which way, and which diverged, given each one's seed and status."""
    counts = Counter(status for _, status in rounds)
    return {
        "planned": len(rounds),
        "finished": counts["finished"],
        "diverged": counts["diverged"],
        "failed": 0,
        "diverged_seeds": [seed for seed, status in rounds if status == "diverged"],
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
    run = run if isinstance(run, Run) else Run.find(str(run))
    rounds, task = run.rounds(), build_run(run)
    config = task.config
    finished = [index for index, (_, status) in enumerate(rounds) if status == "finished"]
    if split is not None and split not in task.sizes:
        raise InputError(f"{split!r} is no part of the data; there are {', '.join(task.sizes)}")
    warn_of_inexact_products(task.dtype)
    check_evaluation(task, min(len(rounds), STACK_SIZE))
    stored = checked_weights(run, config, task.network, len(rounds), weights or chosen_weights(config))
    seeds = [rounds[place][0] for place in finished]
    measured = measure_rounds(config, seeds, {name: values[finished] for name, values in stored.items()}, split)
    return summarize_rounds(measured, len(rounds) - len(finished))


def chosen_weights(config: Config) -> Weights:
    """Return which weights of its rounds a config's training ends with."""
    return "best" if config.training.early_stopping else "last"


def measure_rounds(
    config: Config, seeds: Sequence[int], weights: Mapping[str, Tensor], split: str | None = None
) -> list[dict[str, float]]:
    """Measure the rounds of these seeds, each on its own data.

    Args:
        config: what they were trained by.
        seeds: the seed of each.
        weights: their parameters and buffers by name, each `[rounds, *shape]`.
        split: the part to measure on; by default all parts.

    Returns:
        The metrics of each round by name, such as `test_accuracy`.
    """
    task = build(config)
    measured: list[dict[str, float]] = []
    for start in range(0, len(seeds), STACK_SIZE):
        stack = slice(start, start + STACK_SIZE)
        network = restore(task.network, {name: values[stack] for name, values in weights.items()})
        metrics: dict[str, Numbers] = {}
        for name, part in task.samples(seeds[stack]).items():
            if split in (None, name):
                metrics |= measure(network, task.judge, part, name)
        measured += [
            {name: float(values[index]) for name, values in metrics.items()} for index in range(network.rounds)
        ]
    return measured


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
    if which == "best" and run.is_finished and not run.has_weights("best"):
        raise InputError(f"{run.path}: has no best weights, as there was no validation part; use the last")
    weights = run.weights(which)
    expected = {name: (rounds, *shape) for name, shape in network.state_shapes().items()}
    found = {name: tuple(values.shape) for name, values in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            problem = f"is {found.get(name, 'not there')}, but rounds.csv and the config ask for"
            raise InputError(f"{run.path}: weights: {name} {problem} {expected.get(name, 'none')}")
        if weights[name].dtype != getattr(torch, config.training.dtype):
            raise InputError(f"{run.path}: weights: {name} is not {config.training.dtype}, as the config says")
    return weights


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
