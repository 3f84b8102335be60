"""Runs side by side: what differs in their configs, their statistics, and whether a difference is real."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from ..comparison import Comparison, conclusion, paired, welch
from ..config.schema import Config
from ..errors import InputError
from ..runs.folder import RoundRow, Run
from ..runs.metrics import Curves, Numbers
from ..training.build import load_config, variants
from ..training.evaluation import count_rounds, higher_is_better, summarize_rounds
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
        rows, seconds = run.round_rows(), float(run.summary()["seconds"])
        return cls(label, run, load_config(run.config_path), rows, seconds)

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
        """The metrics of all logged epochs."""
        return self.run.curves()

    def values(self, metric: str) -> Numbers:
        """Return a final metric of all rounds, `[rounds]`, NaN for those without a result."""
        return np.array([row.metrics.get(metric, np.nan) for row in self.rows])


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
            found += [Side.of(each.label, run.variant(each.folder)) for each in variants(load_config(run.config_path))]
        else:
            side = Side.of(run.id, run)
            found.append(replace(side, label=side.config.name))
    if len(found) < 2:
        raise InputError(f"there is nothing to compare {found[0].label} with; name two runs or more")
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
        "comparisons": [
            _compare(sides[0], other, metric)
            for metric in COMPARED
            for other in sides[1:]
            if _has(sides[0], metric) and _has(other, metric)
        ],
    }


def differences(configs: Mapping[str, Config]) -> dict[str, dict[str, Any]]:
    """Return for each key in which configs differ its value in each of them, by their labels."""
    flat = {label: dict(_flatten(config.resolved())) for label, config in configs.items()}
    keys = dict.fromkeys(key for values in flat.values() for key in values if key != "name")
    values = {key: {label: each.get(key) for label, each in flat.items()} for key in keys}
    return {key: each for key, each in values.items() if any(one != each[next(iter(each))] for one in each.values())}


def _flatten(value: Any, key: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [pair for name, each in value.items() for pair in _flatten(each, f"{key}.{name}".lstrip("."))]
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


def _has(side: Side, metric: str) -> bool:
    return any(metric in row.metrics for row in side.finished)


def _compare(a: Side, b: Side, metric: str) -> dict[str, Any]:
    comparison = _comparison(a, b, metric)
    said = conclusion(
        comparison,
        (a.label, b.label),
        metric,
        higher_is_better=higher_is_better(metric),
        missing=(a.missing, b.missing),
    )
    return {"a": a.label, "b": b.label, "metric": metric, **comparison.as_dict(), "conclusion": said}


def _comparison(a: Side, b: Side, metric: str) -> Comparison:
    values_a, values_b = ([row.metrics[metric] for row in side.finished] for side in (a, b))
    margin = ACCURACY_MARGIN if higher_is_better(metric) else MSE_MARGIN * fmean(values_a) or None
    if not share_seeds_and_data(a, b):
        return welch(values_a, values_b, margin)
    partners = {row.seed: row.metrics[metric] for row in b.finished}
    both = [row for row in a.finished if row.seed in partners]
    return paired([row.metrics[metric] for row in both], [partners[row.seed] for row in both], margin)


def share_seeds_and_data(a: Side, b: Side) -> bool:
    """Tell whether all rounds of one of the runs have partners of the same seeds and samples in the other."""
    samples = [
        (side.config.data.spelled_out(), side.config.data_seed, side.config.training.validation) for side in (a, b)
    ]
    seeds_a, seeds_b = ({row.seed for row in side.rows} for side in (a, b))
    return samples[0] == samples[1] and (seeds_a <= seeds_b or seeds_b <= seeds_a)
