"""Using the rounds of a run on samples of one's own, without the data that they were trained on."""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..config.schema import Config
from ..data.columns import Columns
from ..data.dataset import Dataset
from ..errors import InputError
from ..escaping import shown
from ..nn.preprocessing import INITIAL
from ..nn.sequential import Sequential
from ..runs.folder import Run
from ..statistics import Summary
from .build import check_outputs, connect, judge_of, load_config, make_dataset, make_loss
from .evaluation import (
    PREDICTED_NUMBERS,
    Weights,
    as_rounds,
    check_weights,
    chosen_weights,
    largest_file,
    predict,
    predict_stack,
    stacks,
    summarize_rounds,
)
from .measures import EVALUATION_SIZE, Judge, measure
from .memory import STACK_SIZE
from .report import Predicted, Report, describe
from .samples import Samples


@dataclass(frozen=True)
class Predictor:
    """The finished rounds of a run, ready to predict.

    Attributes:
        run: the run.
        config: what it was trained by.
        dataset: what it was trained on, of which nothing is read.
        columns: what the network takes and gives.
        seeds: the seeds of the rounds.
        missing: how many rounds diverged or failed.
        weights: the parameters and buffers of the rounds by name, each `[rounds, *shape]`.
        network: the connected layers.
        judge: what the network's outputs mean.
    """

    run: Run
    config: Config
    dataset: Dataset
    columns: Columns
    seeds: list[int]
    missing: int
    weights: dict[str, Tensor]
    network: Sequential
    judge: Judge

    @classmethod
    def of(cls, run: Run | str | Path, weights: Weights | None = None, seed: int | None = None) -> "Predictor":
        """Read a run's weights.

        Args:
            run: the run, or its folder.
            weights: `last` or `best`; by default those that the training ended with.
            seed: the only round to take; by default all that finished.

        Raises:
            InputError: the folder is not a finished run, or is damaged; no round finished, or none has that seed.
        """
        run = run if isinstance(run, Run) else Run.find(str(run))
        config, rows, columns = load_config(run.config_path), run.rounds(), read_columns(run)
        places = [place for place, row in enumerate(rows) if row[1] == "finished" and seed in (None, row[0])]
        if not places:
            raise InputError(f"{run.path}: has no finished round{'' if seed is None else f' of seed {seed}'}")
        which, dataset, loss = weights or chosen_weights(config), make_dataset(config), make_loss(config)
        largest = connect(config, columns, _lengths(columns))
        stored = run.weights(which, largest_file(config, largest, len(rows)))
        network = connect(config, columns, _fitted(run, columns, stored))
        check_outputs(config, network, loss, columns)
        check_weights(run, config, network, len(rows), stored)
        return cls(
            run=run,
            config=config,
            dataset=dataset,
            columns=columns,
            seeds=[rows[place][0] for place in places],
            missing=0 if seed is not None else len(rows) - len(places),
            weights={name: values[places] for name, values in stored.items()},
            network=network,
            judge=judge_of(loss, network, columns, dataset),
        )

    @property
    def dtype(self) -> torch.dtype:
        """The type of all numbers in the network."""
        dtype: torch.dtype = getattr(torch, self.config.training.dtype)
        return dtype

    @property
    def fills_gaps(self) -> bool:
        """Whether missing values (NaN) may stand in the inputs."""
        return "inputs.fill" in self.weights

    @property
    def gives_probabilities(self) -> bool:
        """Whether what is predicted of the classes are probabilities, by the last layer or the loss."""
        return self.columns.classes is not None and (
            self.judge.loss.needs_indicators or self.network.layers[-1].has_probabilities
        )

    def predict(self, inputs: Tensor) -> Tensor:
        """Return what every round predicts for `inputs` `[samples, features]`, `[rounds, samples, outputs]`.

        Inputs are in the data's own units, predictions in the targets'.
        """
        return torch.cat([predict(network, self.judge, inputs) for _, network in self._stacks(STACK_SIZE)])

    def blocks(self, inputs: Tensor) -> Iterator[Tensor]:
        """Yield `predict` of a few of the `inputs` `[samples, features]` after the other, in their order."""
        # Whole columns of an evaluation: a round's bits must not depend on how many others there are.
        columns = PREDICTED_NUMBERS // (len(self.seeds) * self.network.widths[-1] * EVALUATION_SIZE)
        for part in torch.split(inputs, max(1, columns) * EVALUATION_SIZE):
            yield self.predict(part)

    def measure(self, samples: Samples, part: str) -> tuple[dict[str, Summary], Report]:
        """Measure all rounds on samples that they share.

        Args:
            samples: the samples.
            part: what the metrics' names begin with.

        Returns:
            The statistics of the metrics over rounds, and the report, as those of `evaluation.Trained`.
        """
        measured: list[dict[str, float]] = []
        for _, network in self._stacks(STACK_SIZE):
            measured += as_rounds(measure(network, self.judge, samples, part))
        planned = len(self.seeds) + self.missing
        report = describe(self.columns, self._predicted(samples), self.judge.middle, planned=planned)
        return summarize_rounds(measured, self.missing), report

    def _predicted(self, samples: Samples) -> Iterator[Predicted]:
        """Yield of each round what is true of the samples, and what it predicts."""
        size = max(1, min(STACK_SIZE, PREDICTED_NUMBERS // (len(samples) * self.network.widths[-1])))
        for _, network in self._stacks(size):
            yield from predict_stack(network, self.judge, samples)

    def _stacks(self, size: int) -> Iterator[tuple[slice, Sequential]]:
        return stacks(self.network, self.weights, size)


def read_columns(run: Run) -> Columns:
    """Return what a run's network takes and gives.

    Raises:
        InputError: the file is not there, or is damaged.
    """
    content = run.columns()
    try:
        return Columns.from_dict(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{run.path / 'columns.json'}: cannot be read: {shown(str(error), 200)}") from error


def _lengths(columns: Columns) -> dict[str, int]:
    """Return what may be fitted to the data, by the names of the weights, and how many numbers there are of each."""
    lengths = {"inputs": len(columns.features), "targets": len(columns.targets), "classes": len(columns.classes or ())}
    return {name: lengths[name.partition(".")[0]] for name in INITIAL}


def _fitted(run: Run, columns: Columns, weights: Container[str]) -> dict[str, int]:
    """Return what was fitted to the data, by the names of the weights, and how many numbers there have to be of each.

    Raises:
        InputError: a part of it is missing.
    """
    fitted = {name: length for name, length in _lengths(columns).items() if name in weights}
    for center in ("inputs.center", "targets.center"):
        if (center in fitted) != (center.replace("center", "scale") in fitted):
            raise InputError(f"{run.path}: weights: a center needs a scale, and a scale a center")
    return fitted
