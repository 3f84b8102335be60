"""The battery that every dataset passes. The registry says which there are: a new one needs no edit here.

A dataset that needs a file, or other arguments than numbers, needs a line in `ARGUMENTS`.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from minidl_cli.data.dataset import Part, encode
from tests.components import Case, cases

SHIPPED = Path(__file__).parents[2] / "configs/data"
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "disc": [{"train": 1, "test": 3}, {"train": 37, "test": 11, "radius": 0.3, "inside_label": 0}],
    "checkerboard": [{"train": 1, "test": 3}, {"train": 37, "test": 11, "cells": 3, "noise": 0.1}],
    "spirals": [{"train": 1, "test": 3}, {"train": 37, "test": 11, "arms": 3, "noise": 0.0}],
    "regression_2d": [{"train": 1, "test": 3}],
    "table": [
        {"file": f"{SHIPPED}/iris.csv", "target": "species"},
        {"file": f"{SHIPPED}/diabetes.csv", "target": "progression", "split": {"random": {"validation": 0.1}}},
    ],
}


CASES = cases("dataset", ARGUMENTS, Case)
every_dataset = pytest.mark.parametrize("case", CASES, ids=str)


def samples(part: Part) -> tuple[Tensor, Tensor]:
    """The inputs `[features, samples]` and targets `[samples]` or `[outputs, samples]` of a part."""
    chosen = slice(None) if part.rows is None else part.rows
    return part.inputs[:, chosen], part.targets[..., chosen]


def parts_are_equal(ones: dict[str, Part], others: dict[str, Part]) -> bool:
    return ones.keys() == others.keys() and all(
        torch.equal(one, other)
        for name, part in ones.items()
        for one, other in zip(samples(part), samples(others[name]), strict=True)
    )


@every_dataset
def test_parts_are_as_declared(case: Case) -> None:
    dataset = case.make()
    parts = dataset.draw(0)
    assert {"train", "test"} <= set(parts) == set(dataset.sizes)
    for name, part in parts.items():
        inputs, targets = samples(part)
        size = len(part)
        assert size == dataset.sizes[name]
        assert inputs.shape == (len(dataset.columns.features), size)
        assert inputs.dtype == torch.float64
        assert inputs.isfinite().all()
        if dataset.columns.classes is None:
            assert targets.shape == (len(dataset.columns.targets), size)
            assert targets.dtype == torch.float64
            assert targets.isfinite().all()
        else:
            assert targets.shape == (size,)
            assert targets.dtype == torch.int64
            assert targets.min() >= 0
            assert targets.max() < len(dataset.columns.classes)


@every_dataset
def test_what_is_fitted_is_as_declared(case: Case) -> None:
    dataset = case.make()
    fitted = dataset.fit(dataset.draw(0)["train"])
    assert {name: len(values) for name, values in fitted.items()} == dataset.fitted
    for values in fitted.values():
        assert values.dtype == torch.float64
        assert values.isfinite().all()


@every_dataset
def test_columns_are_such_that_a_run_folder_holds_them(case: Case) -> None:
    columns = case.make().columns
    assert type(columns).from_dict(columns.as_dict()) == columns


@every_dataset
def test_the_same_generator_gives_the_same_data(case: Case) -> None:
    dataset = case.make()
    first = dataset.draw(3)
    assert parts_are_equal(first, dataset.draw(3))
    assert parts_are_equal(first, case.make().draw(3))


@every_dataset
def test_another_seed_gives_other_data_of_the_same_sizes(case: Case) -> None:
    dataset = case.make()
    first, second = (dataset.draw(seed) for seed in (0, 1))
    assert not parts_are_equal(first, second)
    assert {name: len(part) for name, part in first.items()} == {name: len(part) for name, part in second.items()}


@every_dataset
def test_the_global_generator_is_left_alone(case: Case) -> None:
    before = torch.get_rng_state()
    case.make().draw(0)
    assert torch.equal(torch.get_rng_state(), before)


@every_dataset
def test_target_values_ascend(case: Case) -> None:
    absent, present = case.make().target_values
    assert absent < present


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (1, [[-1, 2, -1]]),
        (2, [[2, -1, -1], [-1, 2, -1]]),
        (3, [[2, -1, -1], [-1, 2, -1], [-1, -1, 2]]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_encode(outputs: int, expected: list[list[int]], dtype: torch.dtype) -> None:
    encoded = encode(torch.tensor([0, 1, 2]), outputs, (-1.0, 2.0), dtype)
    assert encoded.tolist() == expected
    assert encoded.dtype == dtype


def test_encode_rounds_target_values_once() -> None:
    encoded = encode(torch.tensor([0, 1]), 1, (0.1, 0.9), torch.float64)
    assert encoded.tolist() == [[0.1, 0.9]]
