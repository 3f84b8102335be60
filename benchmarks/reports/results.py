"""What the run folders of the experiments hold, and how it is held against a reported figure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl_cli.sweeps.contrast import Side

from .experiments import Archive, Experiment


@dataclass(frozen=True)
class Spread:
    """A number of each round.

    Attributes:
        values: `[rounds]`, all finite.
    """

    values: NDArray[np.float64]

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def std(self) -> float:
        """The sample's standard deviation."""
        return float(self.values.std(ddof=1))

    @property
    def ends(self) -> tuple[float, float]:
        """The 5th and the 95th percentile."""
        low, high = np.percentile(self.values, (5, 95))
        return float(low), float(high)

    def contains(self, reported: float) -> bool:
        """Tell whether a reported figure lies inside the spread over rounds: the page's rule of agreement."""
        low, high = self.ends
        return low <= reported <= high

    def __str__(self) -> str:
        low, high = self.ends
        return f"{self.mean:.4f} ± {self.std:.4f} ({low:.3f} to {high:.3f})"


def final(side: Side, metric: str) -> Spread:
    """Return a metric measured after the last epoch."""
    return Spread(np.array([row.metrics[metric] for row in side.finished]))


def over_epochs(side: Side, metric: str) -> NDArray[np.float64]:
    """Return a metric of the finished rounds at all logged epochs, `[rounds, epochs]`."""
    return side.curves.of([row.seed for row in side.finished], metric)


@dataclass(frozen=True)
class Result:
    """An experiment that was trained.

    Attributes:
        experiment: what was asked for.
        path: its run folder.
        sides: what it trained: its variants, or all of it.
        document: how the variants compare, as `summary.json` has it.
        wall: how many seconds it took as a whole.
    """

    experiment: Experiment
    path: Path
    sides: list[Side]
    document: Mapping[str, Any]
    wall: float

    @classmethod
    def of(cls, experiment: Experiment, archive: Archive) -> "Result":
        run = archive.run(experiment)
        document = run.summary()
        found = {each["label"]: run.variant(Path(each["run"]).name) for each in document.get("variants", [])}
        sides = [Side.of(label, each) for label, each in (found or {experiment.name: run}).items()]
        return cls(experiment, run.path, sides, document, archive.seconds(experiment))

    @property
    def only(self) -> Side:
        (side,) = self.sides
        return side

    @cached_property
    def _by_label(self) -> dict[str, Side]:
        return {side.label: side for side in self.sides}

    def __getitem__(self, label: str) -> Side:
        return self._by_label[label]

    def comparison(self, b: str, metric: str) -> Mapping[str, Any]:
        """Return how a variant compares with the first one."""
        return next(each for each in self.document["comparisons"] if (each["b"], each["metric"]) == (b, metric))

    def target(self, label: str, metric: str = "test_accuracy") -> Mapping[str, Any]:
        """Return how many rounds of a variant reach the config's target, and when."""
        variant = next(each for each in self.document["variants"] if each["label"] == label)
        found: Mapping[str, Any] = variant["targets"][metric]
        return found

    @property
    def torch_seconds(self) -> float:
        """How long PyTorch's rounds took to train."""
        return sum(side.seconds for side in self.sides if side.config.framework == "torch")


Results = Mapping[str, Result]


def collect(experiments: Iterable[Experiment], archive: Archive) -> Results:
    return {experiment.name: Result.of(experiment, archive) for experiment in experiments}
