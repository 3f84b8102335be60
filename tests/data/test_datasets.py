"""The battery that every dataset passes. The registry says which there are: a new one needs no edit here.

A dataset that needs a file, or other arguments than numbers, needs a line in `ARGUMENTS`.
"""

import math
from typing import Any

import pytest
import torch

from minidl_cli.data.dataset import Part, encode
from minidl_cli.data.disc import Disc
from tests.components import Case, cases

ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "disc": [{"train": 1, "test": 3}, {"train": 37, "test": 11, "radius": 0.3, "inside_label": 0}],
}


CASES = cases("dataset", ARGUMENTS, Case)
every_dataset = pytest.mark.parametrize("case", CASES, ids=str)


def parts_are_equal(ones: dict[str, Part], others: dict[str, Part]) -> bool:
    return ones.keys() == others.keys() and all(
        torch.equal(one.inputs, others[name].inputs) and torch.equal(one.labels, others[name].labels)
        for name, one in ones.items()
    )


@every_dataset
def test_parts_are_as_declared(case: Case) -> None:
    dataset = case.make()
    parts = dataset.draw(0)
    assert {"train", "test"} <= set(parts) == set(dataset.sizes)
    for name, part in parts.items():
        size = dataset.sizes[name]
        assert part.inputs.shape == (dataset.features, size)
        assert part.inputs.dtype == torch.float64
        assert part.inputs.isfinite().all()
        assert part.labels.shape == (size,)
        assert part.labels.dtype == torch.int64
        assert part.labels.min() >= 0
        assert part.labels.max() < dataset.classes


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
    assert all(first[name].inputs.shape == part.inputs.shape for name, part in second.items())


@every_dataset
def test_the_global_generator_is_left_alone(case: Case) -> None:
    before = torch.get_rng_state()
    case.make().draw(0)
    assert torch.equal(torch.get_rng_state(), before)


@every_dataset
def test_target_values_ascend(case: Case) -> None:
    absent, present = case.make().target_values
    assert absent < present


def test_disc_labels_points_by_their_radius() -> None:
    for radius in (0.25, 0.4, 1 / math.sqrt(2 * math.pi)):
        part = Disc(train=500, radius=radius).draw(0)["train"]
        expected = [int(math.hypot(x - 0.5, y - 0.5) <= radius) for x, y in part.inputs.T.tolist()]
        assert part.labels.tolist() == expected
        assert {0, 1} == set(expected)


def test_disc_fills_the_unit_square_evenly() -> None:
    inputs = Disc(train=20000).draw(0)["train"].inputs
    assert inputs.min() >= 0
    assert inputs.max() < 1
    cells = (inputs * 4).long()
    counts = torch.bincount(cells[0] * 4 + cells[1], minlength=16)
    assert (counts - 1250).abs().max() < 5 * math.sqrt(1250)


def test_inside_label_0_flips_exactly() -> None:
    ones, zeros = (Disc(inside_label=label).draw(0) for label in (1, 0))
    for name in ("train", "test"):
        assert torch.equal(ones[name].inputs, zeros[name].inputs)
        assert torch.equal(ones[name].labels, 1 - zeros[name].labels)


def test_the_default_disc_is_half_the_square() -> None:
    assert math.pi * Disc().radius ** 2 == pytest.approx(0.5, rel=1e-15)
    labels = Disc(train=20000).draw(0)["train"].labels
    assert abs(float(labels.double().mean()) - 0.5) < 4 * 0.5 / math.sqrt(20000)


def test_the_share_inside_is_the_area() -> None:
    labels = Disc(train=20000, radius=0.2).draw(0)["train"].labels
    area = math.pi * 0.2**2
    assert abs(float(labels.double().mean()) - area) < 4 * math.sqrt(area * (1 - area) / 20000)


def test_train_and_test_are_different_points() -> None:
    parts = Disc(train=50, test=50).draw(0)
    assert not torch.isclose(parts["train"].inputs, parts["test"].inputs).any()


def test_the_border_of_the_disc_is_its_circle() -> None:
    (curve,) = Disc(radius=0.3).border()
    assert curve.shape[1] == 2
    assert torch.allclose((curve - 0.5).norm(dim=1), torch.tensor(0.3, dtype=torch.float64), rtol=1e-14)
    assert torch.allclose(curve[0], curve[-1], atol=1e-15)
    assert {-1.0, 1.0} == {round(float(value), 3) for value in [*((curve - 0.5) / 0.3).aminmax()]}


@pytest.mark.parametrize("values", [(1.0, 0.0), (0.5, 0.5)])
def test_disc_refuses_target_values_that_do_not_ascend(values: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="target_values must ascend"):
        Disc(target_values=values)


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
