"""The battery that every initializer passes. The registry says which there are: a new one needs no edit here.

One whose distribution is known deserves a line in `DISTRIBUTIONS`.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from tests.components import Case, cases

# SciPy's distribution of the values, given the arguments, fan_in and fan_out.
DISTRIBUTIONS: dict[str, Callable[[dict[str, Any], int, int], Any]] = {
    "normal": lambda arguments, fan_in, fan_out: stats.norm(0, arguments.get("std", 1.0)),
    "torch_default": lambda arguments, fan_in, fan_out: stats.uniform(-1 / math.sqrt(fan_in), 2 / math.sqrt(fan_in)),
}
ARGUMENTS: dict[str, list[dict[str, Any]]] = {"normal": [{"std": 0.01}, {"std": 3.0}]}


class InitializerCase(Case):
    def draw(self, rows: int, columns: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
        """A weight of `rows` outputs and `columns` inputs."""
        numbers = torch.Generator().manual_seed(seed)
        values: Tensor = self.make().draw((rows, columns), columns, rows, dtype, numbers)
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
    assert abs(float(drawn.mean())) < 5 * expected.std() / math.sqrt(count)
    assert float(drawn.std()) == pytest.approx(expected.std(), rel=0.02)
    low, high = expected.support()
    assert low <= float(drawn.min()) <= float(drawn.max()) <= high


@both_types
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (2, 25), (25, 7), (3, 2)])
def test_torch_default_draws_what_torch_nn_linear_draws(dtype: torch.dtype, inputs: int, outputs: int) -> None:
    """From the same generator, up to the rounding of the bound: so the bound is the same too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        expected = torch.nn.Linear(inputs, outputs, dtype=dtype)
    numbers = torch.Generator().manual_seed(5)
    ours = InitializerCase("initializer", "torch_default", {}).make()
    weight = ours.draw((outputs, inputs), inputs, outputs, dtype, numbers)
    bias = ours.draw((outputs,), inputs, outputs, dtype, numbers)
    few_units = 4 * torch.finfo(dtype).eps / math.sqrt(inputs)
    torch.testing.assert_close(weight, expected.weight.detach(), rtol=0, atol=few_units)
    torch.testing.assert_close(bias, expected.bias.detach(), rtol=0, atol=few_units)


def test_torch_default_reaches_its_bound() -> None:
    drawn = InitializerCase("initializer", "torch_default", {}).draw(400, 100)
    assert 0.0999 < float(drawn.abs().max()) <= 0.1
