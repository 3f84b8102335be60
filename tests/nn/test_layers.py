"""The battery that every layer passes. The registry says which layers there are: a new one needs no edit here.

A layer whose required arguments are not plain numbers needs a line in `ARGUMENTS`; one that PyTorch has too deserves
a line in `COUNTERPARTS`.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from minidl_cli.nn.sequential import Sequential
from tests.components import Case, cases

# Sets of arguments to test as well, besides the required ones filled in.
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "linear": [
        {"out_features": 1},
        {"out_features": 25, "bias": False},
        {"out_features": 5, "init": {"normal": {"std": 0.1}}},
    ],
}

Parameters = dict[str, Tensor]
# PyTorch's function of the input `[rounds, features, batch]`, given the parameters `[rounds, ...]`.
COUNTERPARTS: dict[str, Callable[[Tensor, Parameters], Tensor]] = {
    "identity": lambda x, _: torch.nn.Identity()(x),
    "linear": lambda x, p: torch.stack(
        [F.linear(x[i].mT, p["0.weight"][i], p["0.bias"][i] if "0.bias" in p else None).mT for i in range(len(x))]
    ),
    "relu": lambda x, _: F.relu(x),
    "sigmoid": lambda x, _: F.sigmoid(x),
    "tanh": lambda x, _: F.tanh(x),
}

# Rounds, width of the input, batch.
SHAPES = [(1, 1, 1), (1, 7, 20), (1, 13, 1), (2, 1, 20), (2, 13, 7), (3, 5, 20), (3, 2, 1)]
# Width of the input, batch: on both sides of what fits into vectors of 4, 8, 16 numbers.
TAILS = [
    (1, 1),
    (2, 3),
    (3, 20),
    (5, 1),
    (7, 13),
    (13, 7),
    (20, 2),
    (25, 20),
    (25, 25),
    (25, 1),
    (33, 5),
    (33, 1),
    (1, 33),
]


class LayerCase(Case):
    def network(self, rounds: int, width: int, dtype: torch.dtype = torch.float64) -> Sequential:
        """The layer as a network of its own, with normally distributed parameters."""
        network = Sequential([self.make()], width)
        network.allocate(rounds, dtype)
        network.values.copy_(normal(len(network.values), seed=1))
        return network


CASES = cases("layer", ARGUMENTS, LayerCase)

every_layer = pytest.mark.parametrize("case", CASES, ids=str)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
both_types = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def away_from_kinks(values: Tensor) -> Tensor:
    """Values between 0.03 and 0.07 above a tenth: so none is close to 0, 1/2, 1, -1, 3 or 6, where functions bend."""
    numbers = torch.Generator().manual_seed(9)
    return (values * 10).floor() / 10 + 0.03 + 0.04 * torch.rand(values.shape, dtype=values.dtype, generator=numbers)


def values_of(network: Sequential) -> Parameters:
    return {name: parameter.value for name, parameter in network.named_parameters()}


def gradients_of(network: Sequential) -> Parameters:
    return {name: parameter.grad for name, parameter in network.named_parameters()}


def derived(network: Sequential, x: Tensor, grad: Tensor) -> Parameters:
    """The output and all derivatives, by the layer's own formulas."""
    output = network.forward(x).clone()
    return {"output": output, "input": network.backward(grad).clone()} | {
        name: gradient.clone() for name, gradient in gradients_of(network).items()
    }


def weighted_output(network: Sequential, x: Tensor, grad: Tensor) -> Tensor:
    """A number whose derivatives are those that `grad` asks for."""
    return (network.forward(x) * grad).sum()


def differences(function: Callable[[], Tensor], place: Tensor, step: float = 1e-5) -> Tensor:
    """The central differences of a function with respect to each entry of a tensor that it reads."""
    slopes = torch.empty(place.numel(), dtype=place.dtype)
    flat = place.view(-1)
    for entry in range(len(flat)):
        before = flat[entry].item()
        flat[entry] = before + step
        above = function()
        flat[entry] = before - step
        slopes[entry] = (above - function()) / (2 * step)
        flat[entry] = before
    return slopes.view(place.shape)


def with_autograd(network: Sequential, x: Tensor, function: Callable[[Tensor], Tensor], grad: Tensor) -> Parameters:
    """The output and all derivatives of a function of the input and the network's parameters, by autograd."""
    leaves = {"input": x.clone().requires_grad_()}
    for name, parameter in network.named_parameters():
        parameter.value = leaves[name] = parameter.value.clone().requires_grad_()
    output = function(leaves["input"])
    found = torch.autograd.grad((output * grad).sum(), list(leaves.values()))
    return {"output": output.detach()} | dict(zip(leaves, found, strict=True))


def deviation(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest value."""
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-300))


def assert_close(found: Parameters, expected: Parameters, tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert deviation(found[name], value) <= tolerance, name


def problem(case: LayerCase, shape: tuple[int, int, int]) -> tuple[Sequential, Tensor, Tensor]:
    """A network of the layer, an input and dL/d(output)."""
    rounds, width, batch = shape
    network = case.network(rounds, width)
    x = away_from_kinks(normal(rounds, width, batch, seed=2))
    return network, x, normal(rounds, network.widths[-1], batch, seed=3)


@every_layer
@every_shape
def test_shapes_and_types(case: LayerCase, shape: tuple[int, int, int]) -> None:
    network, x, grad = problem(case, shape)
    found = derived(network, x, grad)
    assert found["output"].shape == (shape[0], network.widths[-1], shape[2])
    assert found["input"].shape == x.shape
    assert {value.dtype for value in found.values()} == {torch.float64}


@every_layer
@every_shape
def test_gradients_are_those_of_central_differences(case: LayerCase, shape: tuple[int, int, int]) -> None:
    network, x, grad = problem(case, shape)
    found = derived(network, x, grad)
    del found["output"]
    expected = {
        name: differences(lambda: weighted_output(network, x, grad), place)
        for name, place in {"input": x, **values_of(network)}.items()
    }
    assert_close(found, expected, 1e-7)


@every_layer
@every_shape
def test_gradients_are_those_of_autograd_through_the_forward_pass(case: LayerCase, shape: tuple[int, int, int]) -> None:
    network, x, grad = problem(case, shape)
    found = derived(network, x, grad)
    assert_close(found, with_autograd(network, x, network.forward, grad), 1e-12)


@every_shape
@pytest.mark.parametrize("case", [case for case in CASES if case.name in COUNTERPARTS], ids=str)
def test_output_and_gradients_are_those_of_pytorch(case: LayerCase, shape: tuple[int, int, int]) -> None:
    network, x, grad = problem(case, shape)
    found = derived(network, x, grad)
    counterpart = COUNTERPARTS[case.name]
    assert_close(found, with_autograd(network, x, lambda leaf: counterpart(leaf, values_of(network)), grad), 1e-12)


@pytest.mark.parametrize("case", [case for case in CASES if case.name in COUNTERPARTS], ids=str)
def test_large_inputs_are_those_of_pytorch(case: LayerCase) -> None:
    x = torch.tensor([-1000.0, -100.0, -30.0, -1e-9, 1e-9, 30.0, 100.0, 1000.0], dtype=torch.float64).view(1, 1, 8)
    network = case.network(1, 1)
    grad = torch.ones(1, network.widths[-1], 8, dtype=torch.float64)
    found = derived(network, x, grad)
    assert all(value.isfinite().all() for value in found.values())
    counterpart = COUNTERPARTS[case.name]
    assert_close(found, with_autograd(network, x, lambda leaf: counterpart(leaf, values_of(network)), grad), 1e-12)


@every_layer
def test_backward_overwrites_the_gradients(case: LayerCase) -> None:
    network, x, grad = problem(case, (2, 5, 7))
    first = derived(network, x, grad)
    network.gradients.fill_(torch.nan)
    assert_equal(derived(network, x, grad), first)
    other = derived(network, x + 1, 2 * grad)
    assert all(not torch.equal(other[name], first[name]) for name in values_of(network))


@every_layer
def test_backward_twice_after_one_forward_gives_the_same(case: LayerCase) -> None:
    network, x, grad = problem(case, (2, 5, 7))
    network.forward(x)
    first = network.backward(grad).clone(), network.gradients.clone()
    second = network.backward(grad), network.gradients
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


@every_layer
def test_gradients_are_written_into_their_views(case: LayerCase) -> None:
    network, x, grad = problem(case, (3, 5, 7))
    before = {name: gradient.data_ptr() for name, gradient in gradients_of(network).items()}
    network.gradients.fill_(torch.nan)
    derived(network, x, grad)
    assert {name: gradient.data_ptr() for name, gradient in gradients_of(network).items()} == before
    assert network.gradients.isfinite().all()


@every_layer
def test_what_comes_in_is_left_as_it_is(case: LayerCase) -> None:
    network, x, grad = problem(case, (2, 5, 7))
    x_before, grad_before, values_before = x.clone(), grad.clone(), network.values.clone()
    derived(network, x, grad)
    assert torch.equal(x, x_before)
    assert torch.equal(grad, grad_before)
    assert torch.equal(network.values, values_before)


@every_layer
@both_types
def test_numbers_stay_of_their_type(case: LayerCase, dtype: torch.dtype) -> None:
    network = case.network(2, 5, dtype)
    grad = normal(2, network.widths[-1], 3, seed=3, dtype=dtype)
    found = derived(network, normal(2, 5, 3, seed=2, dtype=dtype), grad)
    assert {value.dtype for value in found.values()} == {dtype}


def assert_equal(found: Parameters, expected: Parameters, message: str = "") -> None:
    """Bit for bit."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), f"{name} {message}"


def assert_rounds_are_the_same_alone(
    case: LayerCase, rounds: int, width: int, batch: int, dtype: torch.dtype, layout: Callable[[Tensor, int], Tensor]
) -> None:
    stacked = case.network(rounds, width, dtype)
    samples = normal(rounds, width, batch + 8, seed=4, dtype=dtype)
    if layout is shared_by_the_rounds:
        samples = samples[:1].expand_as(samples)
    grad = normal(rounds, stacked.widths[-1], batch, seed=5, dtype=dtype)
    together = derived(stacked, layout(samples, batch), grad)
    lone = case.network(1, width, dtype)
    for place in range(rounds):
        one = slice(place, place + 1)
        for name, value in values_of(lone).items():
            value.copy_(values_of(stacked)[name][one])
        alone = derived(lone, layout(samples[one].clone(), batch), grad[one].clone())
        of_the_stack = {name: value[one] for name, value in together.items()}
        assert_equal(alone, of_the_stack, f"of round {place} of {rounds}, {width} features, {batch} samples")


def contiguous(samples: Tensor, batch: int) -> Tensor:
    return samples[:, :, 3 : 3 + batch].contiguous()


def sliced(samples: Tensor, batch: int) -> Tensor:
    return samples[:, :, 3 : 3 + batch]


def shared_by_the_rounds(samples: Tensor, batch: int) -> Tensor:
    return samples[:1, :, 3 : 3 + batch].contiguous().expand(len(samples), -1, -1)


@every_layer
@both_types
@pytest.mark.parametrize("rounds", [2, 3, 100])
def test_a_round_is_the_same_alone_and_stacked(case: LayerCase, dtype: torch.dtype, rounds: int) -> None:
    for width, batch in TAILS:
        assert_rounds_are_the_same_alone(case, rounds, width, batch, dtype, contiguous)


@every_layer
@both_types
@pytest.mark.parametrize("layout", [sliced, shared_by_the_rounds])
def test_a_round_is_the_same_alone_and_stacked_on_other_layouts(
    case: LayerCase, dtype: torch.dtype, layout: Callable[[Tensor, int], Tensor]
) -> None:
    for width, batch in TAILS:
        assert_rounds_are_the_same_alone(case, 3, width, batch, dtype, layout)


@every_layer
@both_types
def test_the_layout_of_the_input_changes_no_bit(case: LayerCase, dtype: torch.dtype) -> None:
    for width, batch in TAILS:
        network = case.network(3, width, dtype)
        samples = normal(3, width, batch + 8, seed=4, dtype=dtype)
        grad = normal(3, network.widths[-1], batch, seed=5, dtype=dtype)
        expected = derived(network, contiguous(samples, batch), grad)
        assert_equal(derived(network, sliced(samples, batch), grad), expected, f"at {width} × {batch}")


def test_relu_takes_zero_at_its_kink() -> None:
    network = LayerCase("layer", "relu", {}).network(1, 3)
    x = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64).view(1, 3, 1)
    network.forward(x)
    assert network.backward(torch.ones_like(x)).flatten().tolist() == [0, 0, 1]


@pytest.mark.parametrize(("bias", "names"), [(True, ["0.weight", "0.bias"]), (False, ["0.weight"])])
def test_linear_declares_its_parameters(bias: bool, names: list[str]) -> None:
    network = LayerCase("layer", "linear", {"out_features": 3, "bias": bias}).network(2, 5)
    shapes = {name: tuple(value.shape) for name, value in values_of(network).items()}
    assert shapes == {name: {"0.weight": (2, 3, 5), "0.bias": (2, 3)}[name] for name in names}


@pytest.mark.parametrize(("init", "is_wide"), [({"torch_default": {}}, False), ({"normal": {"std": 100.0}}, True)])
def test_the_bias_of_linear_is_pytorchs_default_whatever_its_weight_is(init: dict[str, Any], is_wide: bool) -> None:
    network = LayerCase("layer", "linear", {"out_features": 50, "init": init}).network(1, 4)
    network.initialize([0])
    values = values_of(network)
    assert 0.4 < values["0.bias"].abs().max() <= 0.5
    assert (values["0.weight"].abs().max() > 0.5) == is_wide
