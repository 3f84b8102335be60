"""Runs side by side: what differs in their configs, their statistics, and whether a difference is real."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .. import metrics
from ..comparison import Comparison, conclusion, holm, paired, welch
from ..config.schema import Config
from ..data.columns import Columns
from ..errors import InputError
from ..runs.folder import DEFAULT_RUNS_DIR, RoundRow, Run
from ..runs.metrics import Curves, Numbers
from ..statistics import mean_and_deviation
from ..training.build import Task, build_run, load_config, registry
from ..training.evaluation import count_rounds, summarize_rounds
from ..training.prediction import read_columns
from .targets import describe_targets

# What is compared, as far as both sides have it.
COMPARED = ("test_accuracy", "test_mse", "test_mae", "train_mse")


@dataclass(frozen=True)
class Side:
    """One of the runs that are compared.

    Attributes:
        label: what tells it from the others.
        run: its folder.
        config: what it was trained by.
        rows: the ends of its rounds.
        seconds: how long its training took.
        failures: why rounds of it failed, as `summary.json` has it: the `seeds` and the `reason` of each.
    """

    label: str
    run: Run
    config: Config
    rows: list[RoundRow]
    seconds: float
    failures: list[dict[str, Any]]

    @classmethod
    def of(cls, label: str, run: Run) -> "Side":
        """Read a finished run.

        Raises:
            InputError: it has not finished, or a file of it is damaged.
        """
        rows, summary = run.round_rows(), run.summary()
        try:
            seconds = float(summary["seconds"])
            if not math.isfinite(seconds):
                raise ValueError("a time is no number")
            failures = [_failure(each) for each in summary["rounds"].get("failures", [])]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"{run.path / 'summary.json'}: is not a run's summary") from error
        config = load_config(run.config_path)
        if [row.seed for row in rows] != list(config.seeds):
            raise InputError(f"{run.path / 'rounds.csv'}: does not have the seeds that config.yaml asks for")
        side = cls(label, run, config, rows, seconds, failures)
        for metric in side.metrics:
            if not all(metric in row.metrics for row in side.finished):
                raise InputError(f"{run.path / 'rounds.csv'}: has no column {metric}")
        return side

    @cached_property
    def columns(self) -> Columns:
        """What the network takes and gives.

        Raises:
            InputError: `columns.json` cannot be read.
        """
        return read_columns(self.run)

    @cached_property
    def task(self) -> Task:
        """What the config describes.

        Raises:
            InputError: a data file cannot be read, or has changed since.
        """
        return build_run(self.run)

    @cached_property
    def metrics(self) -> list[str]:
        """The names of the metrics of training and test samples."""
        names = metrics.measured(of_classes=self.columns.classes is not None)
        return [f"{part}_{name}" for part in ("train", "test") for name in names]

    @cached_property
    def contents(self) -> dict[str, str]:
        """What `Run.data_files` returns."""
        return self.run.data_files()

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
        curves = self.run.curves(self.config.training.epochs)
        for metric in self.metrics:
            if metric not in curves.values:
                raise InputError(f"{self.run.metrics_path}: has no column {metric}")
        return curves

    def values(self, metric: str) -> Numbers:
        """Return a final metric of all rounds, `[rounds]`, NaN for those without a result."""
        return np.array([row.metrics.get(metric, np.nan) for row in self.rows])


def _failure(described: Mapping[str, Any]) -> dict[str, Any]:
    return {"seeds": [int(seed) for seed in described["seeds"]], "reason": str(described["reason"])}


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
        `differences`: for each key in which the configs differ, its value on each side; `headline`: the metric that
        tells most of all; `variants`: for each side `label`, `run`, `rounds` (counts), `final` (statistics of every
        metric), `seconds`, and `targets`, if its config has any; `comparisons`: for each other side and metric `a`,
        `b`, `metric`, all numbers of the comparison, and `conclusion`, a sentence; `incomparable`: for each other side
        of which no metric means the same `a`, `b` and `conclusion`.
    """
    first, *others = sides
    return {
        "differences": differences({side.label: side.config for side in sides}) | _differing_contents(sides),
        "headline": common_headline(sides),
        "variants": [_describe(side) for side in sides],
        "comparisons": [each for metric in COMPARED for each in _compare(first, others, metric)],
        "incomparable": [_incomparable(first, other) for other in others if _learned(first) != _learned(other)],
    }


def common_headline(sides: Sequence[Side]) -> str:
    """Return which of the metrics that all runs have tells most of them."""
    return metrics.headline(set.intersection(*(set(side.metrics) for side in sides)))


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


def _differing_contents(sides: Sequence[Side]) -> dict[str, dict[str, str]]:
    """Return for each data file of several runs that has changed in between the SHA-256 that each has trained on."""
    paths = dict.fromkeys(path for side in sides for path in side.contents)
    found = {path: {side.label: side.contents[path] for side in sides if path in side.contents} for path in paths}
    return {f"SHA-256 of {path}": each for path, each in found.items() if len(set(each.values())) > 1}


def _describe(side: Side) -> dict[str, Any]:
    failures = {"failures": side.failures} if side.failures else {}
    described = {
        "label": side.label,
        "run": str(side.run.path),
        "rounds": count_rounds([(row.seed, row.status) for row in side.rows]) | failures,
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
    # Errors are on the scale of the targets.
    return _learned(a) == _learned(b) and (metrics.metric(metric).is_share or _target_values(a) == _target_values(b))


def _learned(side: Side) -> str:
    """Return what a network predicts, as far as metrics depend on it."""
    columns = side.columns
    if columns.classes is not None:
        return "a class"
    return f"{'numbers' if len(columns.targets) > 1 else 'a number'} ({', '.join(columns.targets)})"


def _target_values(side: Side) -> tuple[float, float]:
    values: tuple[float, float] = registry().make("dataset", side.config.data).target_values
    return values


def _incomparable(a: Side, b: Side) -> dict[str, str]:
    said = f"there is nothing to compare: {a.label} predicts {_learned(a)}, but {b.label} {_learned(b)}"
    return {"a": a.label, "b": b.label, "conclusion": said}


def _report(a: Side, b: Side, metric: str, comparison: Comparison) -> dict[str, Any]:
    said = conclusion(
        comparison,
        (a.label, b.label),
        metrics.title(metric),
        higher_is_better=metrics.metric(metric).higher_is_better,
        missing=(a.missing, b.missing),
        same_data=_share_data(a, b),
    )
    return {"a": a.label, "b": b.label, "metric": metric, **comparison.as_dict(), "conclusion": said}


def _comparison(a: Side, b: Side, metric: str) -> Comparison:
    values_a, values_b = ([row.metrics[metric] for row in side.finished] for side in (a, b))
    margin = metrics.metric(metric).margin(mean_and_deviation(values_a)[0])
    if not share_seeds_and_data(a, b):
        return welch(values_a, values_b, margin)
    partners = {row.seed: row.metrics[metric] for row in b.finished}
    both = [row for row in a.finished if row.seed in partners]
    return paired([row.metrics[metric] for row in both], [partners[row.seed] for row in both], margin)


def share_seeds_and_data(a: Side, b: Side) -> bool:
    """Tell whether all rounds of one of the runs have partners of the same seeds and samples in the other."""
    seeds_a, seeds_b = ({row.seed for row in side.rows} for side in (a, b))
    return _share_data(a, b) and (seeds_a <= seeds_b or seeds_b <= seeds_a)


def _share_data(a: Side, b: Side) -> bool:
    """Tell whether rounds of the same seeds had the same samples.

    Where both runs know the contents of their files, these count, and not the paths.
    """
    known = bool(a.contents and b.contents)
    return _samples(a, a.contents if known else {}) == _samples(b, b.contents if known else {})


def _samples(side: Side, contents: Mapping[str, str]) -> tuple[Any, ...]:
    """Return what, with a round's seed, decides its samples; paths are replaced by contents."""
    spelled_out, treatments = side.config.data.spelled_out(), registry().make("dataset", side.config.data).treatments
    data = {key: contents.get(str(value), value) for key, value in _flatten(spelled_out)}
    data = {key: value for key, value in data.items() if not treatments & set(key.split(".")[1:2])}
    return data, side.config.data_seed, side.config.training.validation
