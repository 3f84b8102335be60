"""The battery that every initializer passes. The registry says which there are: a new one needs no edit here.

One whose distribution is known deserves a line in `DISTRIBUTIONS`, and what PyTorch has too one in `COUNTERPARTS`.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import init

from minidl_cli.nn.initializers.uniform import Uniform
from minidl_cli.nn.layer import Fan
from minidl_cli.training.build import registry
from tests.components import Case, cases

# That of the activation after the layer, unless an initializer is given one.
GAIN = 1.25


def symmetric(bound: float) -> Any:
    return stats.uniform(-bound, 2 * bound)


def xavier_std(arguments: dict[str, Any], fan_in: int, fan_out: int) -> float:
    return float(arguments.get("gain") or GAIN) * math.sqrt(2 / (fan_in + fan_out))


def kaiming_std(arguments: dict[str, Any], fan_in: int, fan_out: int) -> float:
    fan = {"fan_in": fan_in, "fan_out": fan_out}[arguments.get("mode", "fan_in")]
    return float(arguments.get("gain") or GAIN) / math.sqrt(fan)


# SciPy's distribution of the values, given the arguments, fan_in and fan_out.
DISTRIBUTIONS: dict[str, Callable[[dict[str, Any], int, int], Any]] = {
    "normal": lambda arguments, fan_in, fan_out: stats.norm(0, arguments.get("std", 1.0)),
    "uniform": lambda arguments, fan_in, fan_out: stats.uniform(
        arguments.get("a", 0.0), arguments.get("b", 1.0) - arguments.get("a", 0.0)
    ),
    "torch_default": lambda arguments, fan_in, fan_out: symmetric(1 / math.sqrt(fan_in)),
    "xavier_normal": lambda *given: stats.norm(0, xavier_std(*given)),
    "xavier_uniform": lambda *given: symmetric(math.sqrt(3) * xavier_std(*given)),
    "kaiming_normal": lambda *given: stats.norm(0, kaiming_std(*given)),
    "kaiming_uniform": lambda *given: symmetric(math.sqrt(3) * kaiming_std(*given)),
}
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "normal": [{"std": 0.01}, {"std": 3.0}],
    "uniform": [{"a": -0.5, "b": 0.25}],
    "xavier_normal": [{"gain": 3.0}],
    "xavier_uniform": [{"gain": 0.5}],
    "kaiming_normal": [{"mode": "fan_out", "gain": 1.3}],
    "kaiming_uniform": [{"gain": 0.5}],
    "constant": [{"val": -2.0}],
}

# PyTorch's function that fills a weight in place; `gain` and `mode` are among the arguments, where there are any.
COUNTERPARTS: dict[str, Callable[..., Tensor]] = {
    "normal": init.normal_,
    "uniform": init.uniform_,
    "xavier_normal": init.xavier_normal_,
    "xavier_uniform": init.xavier_uniform_,
    "kaiming_normal": lambda weight, gain, **options: init.kaiming_normal_(weight, slope_of(gain), **options),
    "kaiming_uniform": lambda weight, gain, **options: init.kaiming_uniform_(weight, slope_of(gain), **options),
    "zeros": lambda weight, generator: init.zeros_(weight),
    "constant": lambda weight, generator, val: init.constant_(weight, val),
}


def slope_of(gain: float) -> float:
    """The slope of the leaky ReLU whose gain is √(2 / (1 + slope²)): that is how PyTorch's Kaiming is told a gain."""
    return math.sqrt(2 / gain**2 - 1)


class InitializerCase(Case):
    def draw(self, rows: int, columns: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
        """A weight of `rows` outputs and `columns` inputs, before an activation of gain `GAIN`."""
        numbers = torch.Generator().manual_seed(seed)
        values: Tensor = self.make().draw((rows, columns), Fan(columns, rows, GAIN), dtype, numbers)
        return values


CASES = cases("initializer", ARGUMENTS, InitializerCase)
every_initializer = pytest.mark.parametrize("case", CASES, ids=str)
both_types = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


@every_initializer
@both_types
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (25, 25)], ids=str)
def test_draws_a_fresh_contiguous_tensor(case: InitializerCase, dtype: torch.dtype, shape: tuple[int, int]) -> None:
    drawn = case.draw(*shape, dtype=dtype)
    assert drawn.shape == shape
    assert drawn.dtype == dtype
    assert drawn.is_contiguous()
    assert drawn.storage_offset() == 0
    assert drawn.isfinite().all()


@every_initializer
@both_types
def test_the_same_generator_gives_the_same_values(case: InitializerCase, dtype: torch.dtype) -> None:
    assert torch.equal(case.draw(13, 7, dtype=dtype), case.draw(13, 7, dtype=dtype))


@every_initializer
def test_the_global_generator_is_left_alone(case: InitializerCase) -> None:
    before = torch.get_rng_state()
    case.draw(13, 7)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("case", [case for case in CASES if case.name in DISTRIBUTIONS], ids=str)
@pytest.mark.parametrize("shape", [(100, 400), (400, 100)], ids=str)
def test_values_have_their_distribution(case: InitializerCase, shape: tuple[int, int]) -> None:
    drawn = case.draw(*shape)
    expected = DISTRIBUTIONS[case.name](case.arguments, shape[1], shape[0])
    assert not torch.equal(drawn, case.draw(*shape, seed=1))
    assert stats.kstest(drawn.flatten().numpy(), expected.cdf).pvalue > 1e-4
    count = drawn.numel()
    assert abs(float(drawn.mean()) - expected.mean()) < 5 * expected.std() / math.sqrt(count)
    assert float(drawn.std()) == pytest.approx(expected.std(), rel=0.02)
    low, high = expected.support()
    assert low <= float(drawn.min()) <= float(drawn.max()) <= high


def expected_of_pytorch(case: InitializerCase, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
    declared = registry().types["initializer"][case.name].arguments.model_fields
    arguments = dict(case.arguments)
    if "gain" in declared:
        arguments.setdefault("gain", GAIN)
    return COUNTERPARTS[case.name](
        torch.empty(shape, dtype=dtype), generator=torch.Generator().manual_seed(0), **arguments
    )


@both_types
@pytest.mark.parametrize("case", [case for case in CASES if case.name in COUNTERPARTS], ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (5, 40), (40, 5)], ids=str)
def test_draws_what_pytorch_draws(case: InitializerCase, shape: tuple[int, int], dtype: torch.dtype) -> None:
    """From the same generator, up to the rounding of the scale: so the scale is the same too."""
    expected = expected_of_pytorch(case, shape, dtype)
    few_units = 4 * torch.finfo(dtype).eps
    largest = float(expected.abs().max())
    torch.testing.assert_close(case.draw(*shape, dtype=dtype), expected, rtol=few_units, atol=few_units * largest)


def test_all_but_the_default_are_held_against_pytorch() -> None:
    assert set(registry().types["initializer"]) - set(COUNTERPARTS) == {"torch_default"}


@pytest.mark.parametrize("name", ["xavier_normal", "xavier_uniform", "kaiming_normal", "kaiming_uniform"])
def test_the_gain_scales_what_is_drawn(name: str) -> None:
    """It is that of the activation unless given, when the activation's own does not matter."""

    def draw(gain_of_activation: float, **arguments: float) -> Tensor:
        numbers = torch.Generator().manual_seed(0)
        fan = Fan(3, 7, gain_of_activation)
        drawn: Tensor = InitializerCase("initializer", name, arguments).make().draw((7, 3), fan, torch.float64, numbers)
        return drawn

    torch.testing.assert_close(draw(2.5), 2.5 * draw(1.0), rtol=1e-15, atol=0)
    assert torch.equal(draw(2.5, gain=0.5), draw(0.5))
    assert torch.equal(draw(1.0, gain=0.5), draw(0.5))


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (1.0, 0.5), (2.0, 1.0)])
def test_uniform_refuses_an_empty_range(a: float, b: float) -> None:
    with pytest.raises(ValueError, match="a must be less than b"):
        Uniform(a, b)


@both_types
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (2, 25), (25, 7), (3, 2)])
def test_torch_default_draws_what_torch_nn_linear_draws(dtype: torch.dtype, inputs: int, outputs: int) -> None:
    """From the same generator, up to the rounding of the bound: so the bound is the same too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        expected = torch.nn.Linear(inputs, outputs, dtype=dtype)
    numbers = torch.Generator().manual_seed(5)
    ours = InitializerCase("initializer", "torch_default", {}).make()
    fan = Fan(inputs, outputs)
    weight = ours.draw((outputs, inputs), fan, dtype, numbers)
    bias = ours.draw((outputs,), fan, dtype, numbers)
    few_units = 4 * torch.finfo(dtype).eps / math.sqrt(inputs)
    torch.testing.assert_close(weight, expected.weight.detach(), rtol=0, atol=few_units)
    torch.testing.assert_close(bias, expected.bias.detach(), rtol=0, atol=few_units)


def test_torch_default_reaches_its_bound() -> None:
    drawn = InitializerCase("initializer", "torch_default", {}).draw(400, 100)
    assert 0.0999 < float(drawn.abs().max()) <= 0.1
