"""Runs side by side: what differs in their configs, their statistics, and whether a difference is real."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..comparison import Comparison, conclusion, holm, paired, welch
from ..config.schema import Config
from ..errors import InputError
from ..metrics import metric as metric_of
from ..runs.folder import DEFAULT_RUNS_DIR, RoundRow, Run
from ..runs.metrics import Curves, Numbers
from ..statistics import mean_and_deviation
from ..training.build import Task, build, load_config
from ..training.evaluation import count_rounds, summarize_rounds
from .targets import describe_targets

# What is compared, as far as both sides have it, and the differences that are too small to matter: a hundredth of
# all samples, and a tenth of the first side's mean squared error.
COMPARED = ("test_accuracy", "test_mse", "train_mse")
ACCURACY_MARGIN, MSE_MARGIN = 0.01, 0.1


@dataclass(frozen=True)
class Side:
    """One of the runs that are compared.

    Attributes:
        label: what tells it from the others.
        run: its folder.
        config: what it was trained by.
        rows: the ends of its rounds.
        seconds: how long its training took.
    """

    label: str
    run: Run
    config: Config
    rows: list[RoundRow]
    seconds: float

    @classmethod
    def of(cls, label: str, run: Run) -> "Side":
        """Read a finished run.

        Raises:
            InputError: it has not finished, or a file of it is damaged.
        """
        rows, summary = run.round_rows(), run.summary()
        try:
            seconds = float(summary["seconds"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{run.path / 'summary.json'}: is not a run's summary") from error
        config = load_config(run.config_path)
        if [row.seed for row in rows] != list(config.seeds):
            raise InputError(f"{run.path / 'rounds.csv'}: does not have the seeds that config.yaml asks for")
        side = cls(label, run, config, rows, seconds)
        for metric in side.task.metrics:
            if not all(metric in row.metrics for row in side.finished):
                raise InputError(f"{run.path / 'rounds.csv'}: has no column {metric}")
        return side

    @cached_property
    def task(self) -> Task:
        """What the config describes."""
        return build(self.config)

    @cached_property
    def finished(self) -> list[RoundRow]:
        """The rounds that finished."""
        return [row for row in self.rows if row.status == "finished"]

    @property
    def missing(self) -> int:
        """How many rounds have no result."""
        return len(self.rows) - len(self.finished)

    @cached_property
    def curves(self) -> Curves:
        """The metrics of all logged epochs.

        Raises:
            InputError: they cannot be read, or some are not there.
        """
        curves = self.run.curves()
        for metric in self.task.metrics:
            if metric not in curves.values:
                raise InputError(f"{self.run.metrics_path}: has no column {metric}")
        return curves

    def values(self, metric: str) -> Numbers:
        """Return a final metric of all rounds, `[rounds]`, NaN for those without a result."""
        return np.array([row.metrics.get(metric, np.nan) for row in self.rows])


def compare(*runs: Run | str | Path) -> dict[str, Any]:
    """Compare each run with the first: what `minidl compare` prints, as `contrast` describes it.

    Args:
        runs: the runs, or their folders; that of a sweep of variants stands for all of them.

    Raises:
        InputError: there are fewer than two, one has not finished, or a file of it is damaged.
    """
    references = [str(run.path) if isinstance(run, Run) else str(run) for run in runs]
    return contrast(find_sides(references, DEFAULT_RUNS_DIR))


def find_sides(references: Sequence[str], runs_dir: Path) -> list[Side]:
    """Return the runs that paths, ids or `latest` refer to; that of a sweep of variants stands for all of them.

    Each is labelled by its config's name, or by its id where others have the same name; variants by their own labels.

    Raises:
        InputError: there are fewer than two, one has not finished, or a file of it is damaged.
    """
    found: list[Side] = []
    for reference in references:
        run = Run.find(reference, runs_dir)
        if run.has_variants:
            found += [Side.of(label, variant) for label, variant in run.variants()]
        else:
            side = Side.of(run.id, run)
            found.append(replace(side, label=side.config.name))
    if len(found) < 2:
        raise InputError(f"there is nothing to compare {references[0]} with; name two runs or more")
    names = Counter(side.label for side in found)
    labelled = [side if names[side.label] == 1 else replace(side, label=side.run.id) for side in found]
    for label, times in Counter(side.label for side in labelled).items():
        if times > 1:
            raise InputError(f"{label} is there {times} times; name each run once")
    return labelled


def contrast(sides: Sequence[Side]) -> dict[str, Any]:
    """Compare each run with the first.

    Returns:
        `differences`: for each key in which the configs differ, its value on each side; `variants`: for each side
        `label`, `run`, `rounds` (counts), `final` (statistics of every metric), `seconds`, and `targets`, if its
        config has any; `comparisons`: for each other side and metric `a`, `b`, `metric`, all numbers of the
        comparison, and `conclusion`, a sentence.
    """
    return {
        "differences": differences({side.label: side.config for side in sides}),
        "variants": [_describe(side) for side in sides],
        "comparisons": [each for metric in COMPARED for each in _compare(sides[0], sides[1:], metric)],
    }


def differences(configs: Mapping[str, Config]) -> dict[str, dict[str, Any]]:
    """Return for each key in which configs differ its value in each of them, by their labels."""
    flat = {label: dict(_flatten(config.resolved())) for label, config in configs.items()}
    keys = dict.fromkeys(key for values in flat.values() for key in values if key != "name")
    values = {key: {label: each.get(key) for label, each in flat.items()} for key in keys}
    return {key: each for key, each in values.items() if any(one != each[next(iter(each))] for one in each.values())}


def _flatten(value: Any, key: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for name, each in value.items() for pair in _flatten(each, f"{key}.{name}".lstrip("."))]
    if isinstance(value, list) and any(isinstance(each, dict | str) for each in value):
        return [pair for place, each in enumerate(value) for pair in _flatten(each, f"{key}.{place}")]
    return [(key, value)]


def _describe(side: Side) -> dict[str, Any]:
    described = {
        "label": side.label,
        "run": str(side.run.path),
        "rounds": count_rounds([(row.seed, row.status) for row in side.rows]),
        "final": summarize_rounds([row.metrics for row in side.finished], side.missing),
        "seconds": side.seconds,
    }
    targets = side.config.sweep.target
    if targets:
        described["targets"] = describe_targets(targets, side.rows, side.curves)
    return described


def _compare(first: Side, others: Sequence[Side], metric: str) -> list[dict[str, Any]]:
    """Compare a metric of each of the others with that of the first, as far as it means the same there."""
    others = [other for other in others if _is_comparable(first, other, metric)]
    comparisons = holm([_comparison(first, other, metric) for other in others])
    return [_report(first, other, metric, found) for other, found in zip(others, comparisons, strict=True)]


def _is_comparable(a: Side, b: Side, metric: str) -> bool:
    if not all(any(metric in row.metrics for row in side.finished) for side in (a, b)):
        return False
    # Squared errors are on the scale of the targets.
    return metric_of(metric).higher_is_better or a.task.dataset.target_values == b.task.dataset.target_values


def _report(a: Side, b: Side, metric: str, comparison: Comparison) -> dict[str, Any]:
    said = conclusion(
        comparison,
        (a.label, b.label),
        metric,
        higher_is_better=metric_of(metric).higher_is_better,
        missing=(a.missing, b.missing),
        same_data=_samples(a) == _samples(b),
    )
    return {"a": a.label, "b": b.label, "metric": metric, **comparison.as_dict(), "conclusion": said}


def _comparison(a: Side, b: Side, metric: str) -> Comparison:
    values_a, values_b = ([row.metrics[metric] for row in side.finished] for side in (a, b))
    mean, _ = mean_and_deviation(values_a)
    relative = MSE_MARGIN * mean if 0 < mean < math.inf else None
    margin = ACCURACY_MARGIN if metric_of(metric).higher_is_better else relative
    if not share_seeds_and_data(a, b):
        return welch(values_a, values_b, margin)
    partners = {row.seed: row.metrics[metric] for row in b.finished}
    both = [row for row in a.finished if row.seed in partners]
    return paired([row.metrics[metric] for row in both], [partners[row.seed] for row in both], margin)


def share_seeds_and_data(a: Side, b: Side) -> bool:
    """Tell whether all rounds of one of the runs have partners of the same seeds and samples in the other."""
    seeds_a, seeds_b = ({row.seed for row in side.rows} for side in (a, b))
    return _samples(a) == _samples(b) and (seeds_a <= seeds_b or seeds_b <= seeds_a)


def _samples(side: Side) -> tuple[Any, ...]:
    """Return what, with a round's seed, decides its samples."""
    return side.config.data.spelled_out(), side.config.data_seed, side.config.training.validation
