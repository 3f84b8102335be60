"""The datasets of points in a plane: what all of them promise, and the shape of each.

The bounds of tests on random points are five standard deviations of what is compared.
"""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from scipy.spatial.distance import cdist
from scipy.stats import norm
from sklearn.datasets import make_circles, make_moons
from torch import Tensor

from minidl_cli.data.checkerboard import Checkerboard
from minidl_cli.data.circles import Circles
from minidl_cli.data.dataset import Part
from minidl_cli.data.disc import Disc
from minidl_cli.data.gaussians import Gaussians
from minidl_cli.data.moons import Moons
from minidl_cli.data.plane import Plane
from minidl_cli.data.regression_2d import Regression2D, franke
from minidl_cli.data.spirals import Spirals
from minidl_cli.data.xor import Xor
from minidl_cli.training.build import registry

PLANES = {name: known.cls for name, known in registry().types["dataset"].items() if issubclass(known.cls, Plane)}
LABELLED = sorted(set(PLANES) - {"regression_2d"})
NOISY = sorted(set(PLANES) - {"disc"})


def make(name: str, **arguments: Any) -> Plane:
    dataset: Plane = PLANES[name](**arguments)
    return dataset


def train(dataset: Plane, seed: int = 0) -> Part:
    return dataset.draw(seed)["train"]


def share(condition: Tensor) -> float:
    return float(condition.double().mean())


def about(expected: float, size: int) -> Any:
    """A share of so many independent points that are each counted with the expected probability."""
    return pytest.approx(expected, abs=5 * math.sqrt(expected * (1 - expected) / size))


def border_crossings(start: Tensor, end: Tensor, border: list[Tensor]) -> int:
    """How often the line between two points crosses the corners' lines of curves `[points, 2]`."""

    def side(origin: Tensor, towards: Tensor, point: Tensor) -> Tensor:
        (x1, y1), (x2, y2) = (towards - origin).unbind(-1), (point - origin).unbind(-1)
        return (x1 * y2 - y1 * x2) > 0

    crossings = 0
    for curve in border:
        corners, following = curve[:-1], curve[1:]
        parted = side(start, end, corners) != side(start, end, following)
        parting = side(corners, following, start) != side(corners, following, end)
        crossings += int((parted & parting).sum())
    return crossings


def test_these_are_all() -> None:
    expected = {"checkerboard", "circles", "disc", "gaussians", "moons", "regression_2d", "spirals", "xor"}
    assert set(PLANES) == expected


@pytest.mark.parametrize("name", PLANES)
def test_columns_are_two_numbers_and_a_target(name: str) -> None:
    columns = make(name).columns
    assert columns.kinds == {"x1": "number", "x2": "number", ("class" if name in LABELLED else "y"): "number"}
    assert columns.classes == ((0, 1) if name in LABELLED else None)


@pytest.mark.parametrize("name", PLANES)
def test_points_lie_around_the_unit_square(name: str) -> None:
    inputs = train(make(name)).inputs
    assert inputs.abs().max() < 3
    assert inputs.std() > 0.25


@pytest.mark.parametrize("name", PLANES)
def test_train_and_test_are_different_points(name: str) -> None:
    parts = make(name, train=50, test=50).draw(0)
    assert not torch.isclose(parts["train"].inputs, parts["test"].inputs, rtol=1e-9).any()


@pytest.mark.parametrize("size", [1, 2, 3, 50, 101])
@pytest.mark.parametrize("name", sorted({*LABELLED} - {"disc"}))
def test_classes_are_balanced(name: str, size: int) -> None:
    for part in make(name, train=size, test=size + 1).draw(0).values():
        counts = torch.bincount(part.targets, minlength=2)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("name", NOISY)
def test_noise_is_gaussian_and_changes_nothing_else(name: str) -> None:
    without, with_noise = (train(make(name, train=20_000, noise=noise)) for noise in (0.0, 0.07))
    if name == "regression_2d":
        unchanged, noise = (without.inputs, with_noise.inputs), with_noise.targets - without.targets
    else:
        unchanged, noise = (without.targets, with_noise.targets), with_noise.inputs - without.inputs
    assert torch.equal(*unchanged)
    assert float(noise.mean()) == pytest.approx(0, abs=5 * 0.07 / math.sqrt(noise.numel()))
    assert float(noise.std()) == pytest.approx(0.07, rel=5 / math.sqrt(2 * noise.numel()))
    assert share(noise.abs() < 0.07) == about(0.6827, noise.numel())
    if len(noise) == 2:
        assert float(torch.corrcoef(noise)[0, 1]) == pytest.approx(0, abs=5 / math.sqrt(noise.shape[1]))


@pytest.mark.parametrize("name", NOISY)
def test_negative_noise_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        registry().component("dataset", {name: {"noise": -0.1}})


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("checkerboard", {"cells": 1}),
        ("circles", {"factor": 1.0}),
        ("gaussians", {"distance": 0.0}),
        ("spirals", {"arms": 1}),
        ("spirals", {"turns": 0.0}),
    ],
    ids=str,
)
def test_arguments_that_leave_nothing_to_learn_are_refused(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        registry().component("dataset", {name: arguments})


@pytest.mark.parametrize("values", [(1.0, 0.0), (0.5, 0.5)])
@pytest.mark.parametrize("name", LABELLED)
def test_target_values_that_do_not_ascend_are_refused(name: str, values: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="target_values must ascend"):
        make(name, target_values=values)


@pytest.mark.parametrize("name", LABELLED)
def test_target_values_are_taken_over(name: str) -> None:
    assert make(name, target_values=(-1.0, 2.0)).target_values == (-1.0, 2.0)


@pytest.mark.parametrize(
    "dataset",
    [
        Checkerboard(train=40),
        Checkerboard(train=40, cells=3),
        Circles(train=40, noise=0.01, factor=0.3),
        Disc(train=40, radius=0.3),
        Gaussians(train=40, noise=0.1),
        Spirals(train=40, noise=0.0),
        Spirals(train=40, noise=0.0, turns=2.3),
        Xor(train=40, noise=0.1),
    ],
    ids=lambda dataset: type(dataset).__name__,
)
def test_the_border_parts_the_classes(dataset: Plane) -> None:
    """The line between two points crosses it an odd number of times where their classes differ, else an even one."""
    part, border = train(dataset), dataset.border()
    points, labels = part.inputs.T, part.targets
    for one in range(40):
        for other in range(one):
            crossings = border_crossings(points[one], points[other], border)
            assert crossings % 2 == int(labels[one] != labels[other])


def test_no_border_is_drawn_where_none_is_known() -> None:
    assert Moons().border() == []
    assert Regression2D().border() == []


def test_disc_labels_points_by_their_radius() -> None:
    for radius in (0.25, 0.4, 1 / math.sqrt(2 * math.pi)):
        part = train(Disc(train=500, radius=radius))
        expected = [int(math.hypot(x - 0.5, y - 0.5) <= radius) for x, y in part.inputs.T.tolist()]
        assert part.targets.tolist() == expected
        assert {0, 1} == set(expected)


def test_disc_fills_the_unit_square_evenly() -> None:
    assert_even_in_the_unit_square(train(Disc(train=20_000)).inputs)


def assert_even_in_the_unit_square(inputs: Tensor) -> None:
    assert inputs.min() >= 0
    assert inputs.max() < 1
    cells = (inputs * 4).long()
    counts = torch.bincount(cells[0] * 4 + cells[1], minlength=16)
    expected = inputs.shape[1] / 16
    assert (counts - expected).abs().max() < 5 * math.sqrt(expected)


def test_inside_label_0_flips_exactly() -> None:
    ones, zeros = (Disc(inside_label=label).draw(0) for label in (1, 0))
    for name in ("train", "test"):
        assert torch.equal(ones[name].inputs, zeros[name].inputs)
        assert torch.equal(ones[name].targets, 1 - zeros[name].targets)


def test_the_default_disc_is_half_the_square() -> None:
    assert math.pi * Disc().radius ** 2 == pytest.approx(0.5, rel=1e-15)
    assert share(train(Disc(train=20_000)).targets) == about(0.5, 20_000)


def test_the_share_inside_is_the_area() -> None:
    assert share(train(Disc(train=20_000, radius=0.2)).targets) == about(math.pi * 0.2**2, 20_000)


def test_the_disc_of_a_seed_never_changes() -> None:
    """Else a run's config would no longer repeat the run."""
    part = train(Disc(train=5, radius=0.3))
    assert part.inputs.tolist() == [
        [0.3924863513270428, 0.4231267557096632, 0.441459081255024, 0.26039850896918915, 0.12700335283458886],
        [0.5793203553267701, 0.6928570416223353, 0.20296264237033323, 0.0998810798998494, 0.3507062901238185],
    ]
    assert part.targets.tolist() == [1, 1, 0, 0, 0]


def test_the_border_of_the_disc_is_its_circle() -> None:
    (curve,) = Disc(radius=0.3).border()
    assert curve.shape[1] == 2
    assert torch.allclose((curve - 0.5).norm(dim=1), torch.tensor(0.3, dtype=torch.float64), rtol=1e-14)
    assert torch.allclose(curve[0], curve[-1], atol=1e-15)
    assert {-1.0, 1.0} == {round(float(value), 3) for value in [*((curve - 0.5) / 0.3).aminmax()]}


def test_xor_without_noise_is_the_truth_table() -> None:
    part = train(Xor(train=20_000, noise=0.0))
    rows = [(*corner, label) for corner, label in zip(part.inputs.T.tolist(), part.targets.tolist(), strict=True)]
    assert set(rows) == {(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)}
    for row in set(rows):
        assert rows.count(row) / 10_000 == about(0.5, 10_000)


def test_xor_has_as_many_points_beyond_the_border_as_its_noise_says() -> None:
    part = train(Xor(train=20_000, noise=0.3))
    right = (part.inputs > 0.5).sum(dim=0) % 2 == part.targets
    past = norm.cdf(-0.5 / 0.3)
    assert share(right) == about(past**2 + (1 - past) ** 2, 20_000)


def test_gaussians_lie_a_distance_apart_and_overlap_as_documented() -> None:
    part = train(Gaussians(train=20_000, noise=0.4, distance=1.5))
    centres = torch.stack([part.inputs[:, part.targets == label].mean(dim=1) for label in (0, 1)])
    assert float((centres[1] - centres[0]).norm()) == pytest.approx(1.5, abs=5 * 0.4 * math.sqrt(2 / 10_000))
    assert centres[0].tolist() == pytest.approx([-1.5 / math.sqrt(8)] * 2, abs=5 * 0.4 / math.sqrt(10_000))
    right = (part.inputs.sum(dim=0) > 0) == (part.targets == 1)
    assert share(right) == about(norm.cdf(1.5 / 0.8), 20_000)


def test_the_documented_share_of_the_default_gaussians() -> None:
    dataset = Gaussians()
    assert norm.cdf(dataset.distance / 2 / dataset.noise) == pytest.approx(0.952, abs=0.0005)


@pytest.mark.parametrize(
    ("dataset", "theirs"),
    [
        (Circles(train=3000, noise=0.0, factor=0.4), make_circles(3000, shuffle=False, factor=0.4)),
        (Moons(train=3000, noise=0.0), make_moons(3000, shuffle=False)),
    ],
    ids=["circles", "moons"],
)
def test_curves_are_those_of_scikit_learn(dataset: Plane, theirs: tuple[Any, Any]) -> None:
    part, (points, labels) = train(dataset), theirs
    for label in (0, 1):
        distances = cdist(part.inputs[:, part.targets == label].T.numpy(), points[labels == label])
        assert distances.min(axis=1).max() < 0.0022  # half of the distance between two of their points
        assert distances.min(axis=0).max() < 0.03  # ours are not spaced evenly


def test_circles_are_drawn_evenly() -> None:
    part = train(Circles(train=20_000, noise=0.0))
    quadrants = (part.inputs > 0).long()
    for count in torch.bincount(quadrants[0] * 2 + quadrants[1]):
        assert int(count) / 20_000 == about(0.25, 20_000)


def test_moons_are_drawn_evenly() -> None:
    part = train(Moons(train=20_000, noise=0.0))
    for label, middle in ((0, 0.0), (1, 1.0)):
        assert share(part.inputs[0, part.targets == label] < middle) == about(0.5, 10_000)


@pytest.mark.parametrize(("turns", "arms"), [(1.5, 2), (0.5, 2), (3.0, 2), (1.2, 3), (1.0, 5)])
def test_spirals_have_the_documented_form(turns: float, arms: int) -> None:
    part = train(Spirals(train=200, noise=0.0, turns=turns, arms=arms))
    radius = part.inputs.norm(dim=0)
    angle = torch.atan2(part.inputs[1], part.inputs[0]) / (2 * math.pi)
    arm = (angle - turns * radius) * arms
    assert torch.allclose(arm, arm.round(), atol=1e-9)
    assert torch.equal(arm.round().long() % arms, part.targets)
    assert set(part.targets.tolist()) == set(range(arms))


def test_spirals_are_drawn_from_the_centre_to_the_rim() -> None:
    radius = train(Spirals(train=20_000, noise=0.0)).inputs.norm(dim=0)
    assert radius.max() <= 1 + 1e-12
    for quantile in (0.1, 0.5, 0.8):
        assert share(radius.square() < quantile) == about(quantile, 20_000)


def test_the_borders_of_spirals_lie_halfway_between_arms() -> None:
    dataset = Spirals(turns=1.2, arms=3)
    border = dataset.border()
    assert len(border) == 3
    for arm, curve in enumerate(border):
        radius, angle = curve.norm(dim=1), torch.atan2(curve[:, 1], curve[:, 0]) / (2 * math.pi)
        assert torch.allclose(radius, torch.linspace(0, 1, len(curve), dtype=torch.float64), atol=1e-12)
        between = ((angle - 1.2 * radius) * 3)[1:] % 3
        assert torch.allclose(between, torch.full_like(between, arm + 0.5), atol=1e-9)


@pytest.mark.parametrize("cells", [2, 3, 4, 7])
def test_checkerboard_labels_points_by_their_cell(cells: int) -> None:
    part = train(Checkerboard(train=20_000, noise=0.0, cells=cells))
    column, row = (part.inputs * cells).floor().long()
    assert torch.equal((column + row) % 2, part.targets)
    assert part.inputs.min() >= 0
    assert part.inputs.max() < 1
    counts = torch.bincount(column * cells + row, minlength=cells**2).view(cells, cells)
    for colour in (0, 1):
        of_colour = counts[(torch.arange(cells).unsqueeze(1) + torch.arange(cells)) % 2 == colour]
        for count in of_colour:
            assert int(count) / 10_000 == about(1 / len(of_colour), 10_000)


def test_points_of_a_cell_are_drawn_evenly() -> None:
    within = train(Checkerboard(train=20_000)).inputs * 4 % 1
    assert_even_in_the_unit_square(within)


def test_the_border_of_a_checkerboard_is_its_inner_lines() -> None:
    border = {tuple(map(tuple, line.tolist())) for line in Checkerboard(cells=2).border()}
    assert border == {((0.5, 0.0), (0.5, 1.0)), ((0.0, 0.5), (1.0, 0.5))}
    assert len(Checkerboard(cells=5).border()) == 8


def franke_of(x: float, y: float) -> float:
    """As in Franke's paper, without the substitution."""
    return (
        0.75 * math.exp(-((9 * x - 2) ** 2) / 4 - (9 * y - 2) ** 2 / 4)
        + 0.75 * math.exp(-((9 * x + 1) ** 2) / 49 - (9 * y + 1) / 10)
        + 0.5 * math.exp(-((9 * x - 7) ** 2) / 4 - (9 * y - 3) ** 2 / 4)
        - 0.2 * math.exp(-((9 * x - 4) ** 2) - (9 * y - 7) ** 2)
    )


def test_the_surface_is_frankes() -> None:
    part = train(Regression2D(train=500, noise=0.0))
    expected = torch.tensor([[franke_of(*point) for point in part.inputs.T.tolist()]], dtype=torch.float64)
    torch.testing.assert_close(part.targets, expected, rtol=1e-13, atol=1e-14)


def test_regression_2d_fills_the_unit_square_evenly() -> None:
    assert_even_in_the_unit_square(train(Regression2D(train=20_000)).inputs)


def test_the_documented_heights_and_variance_of_the_surface() -> None:
    side = torch.linspace(0, 1, 801, dtype=torch.float64)
    heights = franke(torch.cartesian_prod(side, side).T)
    assert heights.min() > 0
    assert float(heights.max()) == pytest.approx(1.22, abs=0.005)
    assert float(heights.var()) == pytest.approx(0.083, abs=0.0005)
