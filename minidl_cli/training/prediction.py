"""Using the rounds of a run on samples of one's own, without the data that they were trained on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..config.schema import Config
from ..data.columns import Columns
from ..errors import InputError
from ..nn.preprocessing import INITIAL
from ..nn.sequential import Sequential
from ..runs.folder import Run
from ..statistics import Summary
from .build import connect, load_config, make_dataset, make_loss
from .evaluation import (
    Weights,
    checked_weights,
    chosen_weights,
    predict,
    predict_stack,
    restore,
    summarize_rounds,
)
from .measures import Judge, measure
from .report import Predicted, Report, describe
from .samples import Samples

# So many predicted numbers are kept at once: a hundred rounds of a large table would not fit in memory.
BLOCK_NUMBERS = 10_000_000


@dataclass(frozen=True)
class Predictor:
    """The finished rounds of a run, ready to predict.

    Attributes:
        run: the run.
        config: what it was trained by.
        columns: what the network takes and gives.
        seeds: the seeds of the rounds, in the order of the network's.
        missing: how many rounds diverged or failed.
        network: the trained rounds.
        judge: what its outputs mean.
        target_values: what it is to put out for a class that is absent, and for one that is present.
    """

    run: Run
    config: Config
    columns: Columns
    seeds: list[int]
    missing: int
    network: Sequential
    judge: Judge
    target_values: tuple[float, float]

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
        config = load_config(run.config_path)
        rows = run.rounds()
        places = [place for place, row in enumerate(rows) if row[1] == "finished" and seed in (None, row[0])]
        if not places:
            raise InputError(f"{run.path}: has no finished round{'' if seed is None else f' of seed {seed}'}")
        which, columns = weights or chosen_weights(config), read_columns(run)
        fitted = {name: values.shape[-1] for name, values in run.weights(which).items() if name in INITIAL}
        network = connect(config, columns, fitted)
        stored = checked_weights(run, config, network, len(rows), which)
        restore(network, {name: values[places] for name, values in stored.items()})
        target_values = make_dataset(config).target_values
        middle = None if columns.classes is None else sum(target_values) / 2
        judge = Judge(make_loss(config), network.preprocessing, middle)
        seeds, missing = [rows[place][0] for place in places], sum(status != "finished" for _, status in rows)
        return cls(run, config, columns, seeds, missing, network, judge, target_values)

    @property
    def dtype(self) -> torch.dtype:
        """The type of all numbers in the network."""
        return self.network.values.dtype

    @property
    def fills_gaps(self) -> bool:
        """Whether missing values (NaN) may stand in the inputs."""
        return "inputs.fill" in self.network.preprocessing.buffers

    @property
    def ignores_unknown(self) -> bool:
        """Whether a value that is none of a column's categories may stand in the inputs."""
        return self.config.data.arguments.get("unseen") != "error"

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
        return predict(self.network, self.judge, inputs)

    def blocks(self, inputs: Tensor) -> Iterator[Tensor]:
        """Yield `predict` of a few of the `inputs` `[samples, features]` after the other, in their order."""
        size = max(1, BLOCK_NUMBERS // (self.network.rounds * max(self.network.widths)))
        for part in torch.split(inputs, size):
            yield self.predict(part)

    def measure(self, samples: Samples, part: str) -> tuple[dict[str, Summary], Report]:
        """Measure all rounds on samples that they share.

        Args:
            samples: the samples.
            part: what the metrics' names begin with.

        Returns:
            The statistics of the metrics over rounds, and the report, as those of `evaluation.Trained`.
        """
        found = measure(self.network, self.judge, samples, part)
        rounds = [{name: float(values[index]) for name, values in found.items()} for index in range(len(self.seeds))]
        planned = len(rounds) + self.missing
        report = describe(self.columns, self._predicted(samples), self.judge.middle, planned=planned)
        return summarize_rounds(rounds, self.missing), report

    def _predicted(self, samples: Samples) -> Iterator[Predicted]:
        """Yield of each round what is true of the samples, and what it predicts."""
        size = max(1, BLOCK_NUMBERS // (len(samples) * self.network.widths[-1]))
        fitted = {name: buffer.shape[0] for name, buffer in self.network.preprocessing.buffers.items()}
        state = self.network.state()
        for start in range(0, len(self.seeds), size):
            network = connect(self.config, self.columns, fitted)
            restore(network, {name: values[start : start + size] for name, values in state.items()})
            yield from predict_stack(network, replace(self.judge, preprocessing=network.preprocessing), samples)


def read_columns(run: Run) -> Columns:
    """Return what a run's network takes and gives.

    Raises:
        InputError: the file is not there, or is damaged.
    """
    content: Mapping[str, object] = run.columns()
    try:
        return Columns.from_dict(content)
    except ValueError as error:
        raise InputError(f"{run.path / 'columns.json'}: cannot be read: {error}") from error
