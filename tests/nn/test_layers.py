"""The battery that every layer passes. The registry says which layers there are: a new one needs no edit here.

Each is tested in training and in use. A layer whose required arguments are not plain numbers needs a line in
`ARGUMENTS`; one that PyTorch has too deserves a line in `COUNTERPARTS`.
"""

import gc
import math
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import ValidationError
from torch import Tensor

from minidl_cli.nn.initializers.normal import Normal
from minidl_cli.nn.sequential import Sequential
from minidl_cli.randomness import generator
from tests.components import Case, cases, places

# Sets of arguments to test as well, besides the required ones filled in.
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "linear": [
        {"out_features": 1},
        {"out_features": 25, "bias": False},
        {"out_features": 5, "init": {"normal": {"std": 0.1}}},
    ],
    "leaky_relu": [{"negative_slope": 0.3}, {"negative_slope": 0.0}, {"negative_slope": 1.0}],
    "elu": [{"alpha": 1.7}, {"alpha": 0.3}],
    "dropout": [{"p": 0.0}, {"p": 0.3}, {"p": 1.0}],
    "batch_norm": [{"affine": False}, {"eps": 0.1, "momentum": 0.3}],
    "layer_norm": [{"elementwise_affine": False}, {"eps": 0.1}],
}

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class LayerCase(Case):
    """A layer with arguments, in training or in use."""

    training: bool = False

    def __str__(self) -> str:
        return f"{super().__str__()}-{'training' if self.training else 'use'}"

    @property
    def smallest_batch(self) -> int:
        return self.make().smallest_batch if self.training else 1

    def network(self, rounds: int, width: int, batch: int, dtype: torch.dtype = torch.float64) -> Sequential:
        """The layer as a network of its own, with random parameters and buffers, and noise for a batch."""
        network = Sequential([self.make()], width)
        network.allocate(rounds, dtype)
        network.values.copy_(normal(len(network.values), seed=1))
        for _, buffer in network.named_buffers():
            buffer.value = 0.5 + normal(*buffer.value.shape, seed=2, dtype=dtype).abs()
        network.train(self.training)
        draw_noise(network, batch, range(rounds))
        return network


def draw_noise(network: Sequential, batch: int, seeds: Iterable[int]) -> None:
    """Draw the noise of more samples than a batch has, as training does, and select a batch from among them."""
    network.draw_noise(batch + 8, [torch.Generator().manual_seed(seed) for seed in seeds])
    network.select_noise(3, 3 + batch)


def each_round(function: Callable[[Tensor, Tensors], Tensor]) -> Callable[[Tensor, Tensors], Tensor]:
    """A function of rounds, from one of a round: of samples in rows, as PyTorch has them."""
    return lambda x, state: torch.stack(
        [function(x[i].mT, {name: value[i] for name, value in state.items()}).mT for i in range(len(x))]
    )


def linear(x: Tensor, state: Tensors, case: LayerCase) -> Tensor:
    return each_round(lambda x, s: F.linear(x, s["0.weight"], s.get("0.bias")))(x, state)


def dropout(x: Tensor, state: Tensors, case: LayerCase) -> Tensor:
    """Given the mask, as only its distribution can be that of PyTorch's."""
    return x * state["noise"] if case.training else x


def batch_norm(x: Tensor, state: Tensors, case: LayerCase) -> Tensor:
    def of_a_round(x: Tensor, s: Tensors) -> Tensor:
        running = s["0.running_mean"].detach().clone(), s["0.running_var"].detach().clone()
        eps = case.arguments.get("eps", 1e-5)
        return F.batch_norm(x, *running, s.get("0.weight"), s.get("0.bias"), case.training, eps=eps)

    return each_round(of_a_round)(x, state)


def layer_norm(x: Tensor, state: Tensors, case: LayerCase) -> Tensor:
    eps = case.arguments.get("eps", 1e-5)
    return each_round(lambda x, s: F.layer_norm(x, x.shape[1:], s.get("0.weight"), s.get("0.bias"), eps))(x, state)


# PyTorch's function of the input `[rounds, features, batch]`, given parameters, buffers and noise `[rounds, ...]`.
COUNTERPARTS: dict[str, Callable[[Tensor, Tensors, LayerCase], Tensor]] = {
    "batch_norm": batch_norm,
    "dropout": dropout,
    "elu": lambda x, _, case: F.elu(x, **case.arguments),
    "gelu": lambda x, _, case: F.gelu(x, **case.arguments),
    "identity": lambda x, *_: torch.nn.Identity()(x),
    "layer_norm": layer_norm,
    "leaky_relu": lambda x, _, case: F.leaky_relu(x, **case.arguments),
    "linear": linear,
    "relu": lambda x, *_: F.relu(x),
    "sigmoid": lambda x, *_: F.sigmoid(x),
    "silu": lambda x, *_: F.silu(x),
    "softmax": lambda x, *_: F.softmax(x, dim=1),
    "tanh": lambda x, *_: F.tanh(x),
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


CASES = [
    replace(case, training=training) for case in cases("layer", ARGUMENTS, LayerCase) for training in (True, False)
]
WITH_COUNTERPARTS = [case for case in CASES if case.name in COUNTERPARTS]


def shapes_of(chosen: list[LayerCase]) -> pytest.MarkDecorator:
    """Each case with each shape that it takes."""
    pairs = [(case, shape) for case in chosen for shape in SHAPES if shape[2] >= case.smallest_batch]
    return pytest.mark.parametrize(("case", "shape"), pairs, ids=str)


every_layer = pytest.mark.parametrize("case", CASES, ids=str)
every_layer_and_shape = shapes_of(CASES)
both_types = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def away_from_kinks(values: Tensor) -> Tensor:
    """Values between 0.03 and 0.07 above a tenth: so none is close to 0, 1/2, 1, -1, 3 or 6, where functions bend."""
    numbers = torch.Generator().manual_seed(9)
    return (values * 10).floor() / 10 + 0.03 + 0.04 * torch.rand(values.shape, dtype=values.dtype, generator=numbers)


def values_of(network: Sequential) -> Tensors:
    return {name: parameter.value for name, parameter in network.named_parameters()}


def state_of(network: Sequential) -> Tensors:
    """Parameters, buffers, and the noise of a layer that has one, by name."""
    noises = [each.value for layer in network.layers for each in layer.noises()]
    return network.state() | dict(zip(["noise"], noises, strict=False))


def gradients_of(network: Sequential) -> Tensors:
    return {name: parameter.grad for name, parameter in network.named_parameters()}


def derived(network: Sequential, x: Tensor, grad: Tensor) -> Tensors:
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


def with_autograd(network: Sequential, x: Tensor, function: Callable[[Tensor], Tensor], grad: Tensor) -> Tensors:
    """The output and all derivatives of a function of the input and the network's parameters, by autograd."""
    leaves = {"input": x.clone().requires_grad_()}
    for name, parameter in network.named_parameters():
        parameter.value = leaves[name] = parameter.value.clone().requires_grad_()
    output = function(leaves["input"])
    found = torch.autograd.grad((output * grad).sum(), list(leaves.values()))
    return {"output": output.detach()} | dict(zip(leaves, found, strict=True))


def deviation(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest value.

    Or over a tenth, if that is more: inputs and gradients are around 1, and where they cancel (as those before a
    normalization do), rounding is all that is left of them.
    """
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=0.1))


def assert_close(found: Tensors, expected: Tensors, tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert deviation(found[name], value) <= tolerance, name


def counterpart(case: LayerCase, network: Sequential) -> Callable[[Tensor], Tensor]:
    return lambda x: COUNTERPARTS[case.name](x, state_of(network), case)


def problem(case: LayerCase, shape: tuple[int, int, int]) -> tuple[Sequential, Tensor, Tensor]:
    """A network of the layer, an input and dL/d(output)."""
    rounds, width, batch = shape
    network = case.network(rounds, width, batch)
    x = away_from_kinks(normal(rounds, width, batch, seed=2))
    return network, x, normal(rounds, network.widths[-1], batch, seed=3)


@every_layer_and_shape
def test_shapes_and_types(case: LayerCase, shape: tuple[int, int, int]) -> None:
    network, x, grad = problem(case, shape)
    found = derived(network, x, grad)
    assert found["output"].shape == (shape[0], network.widths[-1], shape[2])
    assert found["input"].shape == x.shape
    assert {value.dtype for value in found.values()} == {torch.float64}


@every_layer_and_shape
def test_gradients_are_those_of_central_differences(case: LayerCase, shape: tuple[int, int, int]) -> None:
    network, x, grad = problem(case, shape)
    found = derived(network, x, grad)
    del found["output"]
    expected = {
        name: differences(lambda: weighted_output(network, x, grad), place)
        for name, place in {"input": x, **values_of(network)}.items()
    }
    assert_close(found, expected, 1e-7)


@every_layer_and_shape
def test_gradients_are_those_of_autograd_through_the_forward_pass(case: LayerCase, shape: tuple[int, int, int]) -> None:
    network, x, grad = problem(case, shape)
    found = derived(network, x, grad)
    assert_close(found, with_autograd(network, x, network.forward, grad), 1e-12)


@shapes_of(WITH_COUNTERPARTS)
def test_output_and_gradients_are_those_of_pytorch(case: LayerCase, shape: tuple[int, int, int]) -> None:
    network, x, grad = problem(case, shape)
    found = derived(network, x, grad)
    assert_close(found, with_autograd(network, x, counterpart(case, network), grad), 1e-12)


@pytest.mark.parametrize("case", WITH_COUNTERPARTS, ids=str)
def test_large_inputs_are_those_of_pytorch(case: LayerCase) -> None:
    x = torch.tensor([-1000.0, -100.0, -30.0, -1e-9, 1e-9, 30.0, 100.0, 1000.0], dtype=torch.float64).view(1, 1, 8)
    network = case.network(1, 1, 8)
    grad = torch.ones(1, network.widths[-1], 8, dtype=torch.float64)
    found = derived(network, x, grad)
    assert all(value.isfinite().all() for value in found.values())
    assert_close(found, with_autograd(network, x, counterpart(case, network), grad), 1e-12)


@every_layer
def test_a_layer_that_is_done_with_is_gone_at_once(case: LayerCase) -> None:
    """No circle of references keeps what it holds, on a GPU, until the collector finds it."""
    network = case.network(rounds=1, width=5, batch=3)
    network.forward(normal(1, 5, 3, seed=3))
    remains = [weakref.ref(layer) for layer in network.layers]
    gc.disable()
    try:
        del network
        assert [each() for each in remains] == [None]
    finally:
        gc.enable()


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


@every_layer_and_shape
def test_leaving_out_the_gradient_of_the_input_changes_no_other(case: LayerCase, shape: tuple[int, int, int]) -> None:
    network, x, grad = problem(case, shape)
    network.forward(x)
    network.backward(grad)
    expected, grad_before = network.gradients.clone(), grad.clone()
    network.gradients.fill_(torch.nan)
    network.backward_parameters(grad)
    assert torch.equal(network.gradients, expected)
    assert torch.equal(grad, grad_before)


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
    network = case.network(2, 5, 3, dtype)
    grad = normal(2, network.widths[-1], 3, seed=3, dtype=dtype)
    found = derived(network, normal(2, 5, 3, seed=2, dtype=dtype), grad)
    assert {value.dtype for value in (*found.values(), *network.state().values())} == {dtype}


@every_layer
def test_large_numbers_stay_numbers_in_single_precision(case: LayerCase) -> None:
    sizes = torch.tensor([0.0, 1e-30, 1e-3, 30.0, 88.0, 89.0, 104.0, 1000.0, 1e4])
    x = torch.cat([-sizes, sizes]).view(1, 1, -1).expand(1, 3, -1) * torch.tensor([1.0, -1.0, 0.5]).view(1, 3, 1)
    network = case.network(1, 3, x.shape[2], torch.float32)
    grad = normal(1, network.widths[-1], x.shape[2], seed=3, dtype=torch.float32)
    found = derived(network, x, grad)
    assert all(value.isfinite().all() for value in (*found.values(), *network.state().values()))


@every_layer
def test_nothing_but_training_changes_buffers(case: LayerCase) -> None:
    network, x, grad = problem(case, (2, 5, 7))
    before = {name: value.clone() for name, value in network.state().items()}
    derived(network, x, grad)
    buffers = [name for name, _ in network.named_buffers()]
    assert all(torch.equal(network.state()[name], before[name]) != case.training for name in buffers)
    assert_equal(values_of(network), {name: before[name] for name in values_of(network)})


def assert_equal(found: Tensors, expected: Tensors, message: str = "") -> None:
    """Bit for bit."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), f"{name} {message}"


def assert_rounds_are_the_same_alone(
    case: LayerCase, rounds: int, width: int, batch: int, dtype: torch.dtype, layout: Callable[[Tensor, int], Tensor]
) -> None:
    stacked = case.network(rounds, width, batch, dtype)
    before = {name: value.clone() for name, value in stacked.state().items()}
    samples = normal(rounds, width, batch + 8, seed=4, dtype=dtype)
    if layout is shared_by_the_rounds:
        samples = samples[:1].expand_as(samples)
    grad = normal(rounds, stacked.widths[-1], batch, seed=5, dtype=dtype)
    together = derived(stacked, layout(samples, batch), grad) | stacked.state()
    lone = case.network(1, width, batch, dtype)
    for place in places(rounds):
        one = slice(place, place + 1)
        lone.load({name: value[one] for name, value in before.items()})
        draw_noise(lone, batch, [place])
        alone = derived(lone, layout(samples[one].clone(), batch), grad[one].clone()) | lone.state()
        of_the_stack = {name: value[one] for name, value in together.items()}
        assert_equal(alone, of_the_stack, f"of round {place} of {rounds}, {width} features, {batch} samples")


def tails_of(case: LayerCase) -> list[tuple[int, int]]:
    return [(width, batch) for width, batch in TAILS if batch >= case.smallest_batch]


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
    for width, batch in tails_of(case):
        assert_rounds_are_the_same_alone(case, rounds, width, batch, dtype, contiguous)


@every_layer
@both_types
@pytest.mark.parametrize("layout", [sliced, shared_by_the_rounds])
def test_a_round_is_the_same_alone_and_stacked_on_other_layouts(
    case: LayerCase, dtype: torch.dtype, layout: Callable[[Tensor, int], Tensor]
) -> None:
    for width, batch in tails_of(case):
        assert_rounds_are_the_same_alone(case, 3, width, batch, dtype, layout)


@every_layer
@both_types
def test_the_layout_of_the_input_changes_no_bit(case: LayerCase, dtype: torch.dtype) -> None:
    for width, batch in tails_of(case):
        network = case.network(3, width, batch, dtype)
        samples = normal(3, width, batch + 8, seed=4, dtype=dtype)
        grad = normal(3, network.widths[-1], batch, seed=5, dtype=dtype)
        before = {name: value.clone() for name, value in network.state().items()}
        expected = derived(network, contiguous(samples, batch), grad) | network.state()
        network.load(before)
        found = derived(network, sliced(samples, batch), grad) | network.state()
        assert_equal(found, expected, f"at {width} × {batch}")


def test_relu_takes_zero_at_its_kink() -> None:
    network = LayerCase("layer", "relu", {}).network(1, 3, 1)
    x = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64).view(1, 3, 1)
    network.forward(x)
    assert network.backward(torch.ones_like(x)).flatten().tolist() == [0, 0, 1]


@pytest.mark.parametrize(("bias", "names"), [(True, ["0.weight", "0.bias"]), (False, ["0.weight"])])
def test_linear_declares_its_parameters(bias: bool, names: list[str]) -> None:
    network = LayerCase("layer", "linear", {"out_features": 3, "bias": bias}).network(2, 5, 1)
    shapes = {name: tuple(value.shape) for name, value in values_of(network).items()}
    assert shapes == {name: {"0.weight": (2, 3, 5), "0.bias": (2, 3)}[name] for name in names}


@pytest.mark.parametrize(("init", "is_wide"), [({"torch_default": {}}, False), ({"normal": {"std": 100.0}}, True)])
def test_the_bias_of_linear_is_pytorchs_default_whatever_its_weight_is(init: dict[str, Any], is_wide: bool) -> None:
    network = LayerCase("layer", "linear", {"out_features": 50, "init": init}).network(1, 4, 1)
    network.initialize([0])
    values = values_of(network)
    assert 0.4 < values["0.bias"].abs().max() <= 0.5
    assert (values["0.weight"].abs().max() > 0.5) == is_wide


@pytest.mark.parametrize(("slope", "at_zero"), [(0.01, 0.01), (0.3, 0.3), (0.0, 0.0), (1.0, 1.0)])
def test_leaky_relu_takes_the_slope_of_the_left_at_its_kink(slope: float, at_zero: float) -> None:
    network = LayerCase("layer", "leaky_relu", {"negative_slope": slope}).network(1, 3, 1)
    x = torch.tensor([-2.0, 0.0, 2.0], dtype=torch.float64).view(1, 3, 1)
    assert network.forward(x).flatten().tolist() == [-2 * slope, 0, 2]
    assert network.backward(torch.ones_like(x)).flatten().tolist() == [slope, at_zero, 1]


def test_elu_takes_the_slope_of_the_left_at_zero() -> None:
    network = LayerCase("layer", "elu", {"alpha": 2.0}).network(1, 1, 1)
    network.forward(torch.zeros(1, 1, 1, dtype=torch.float64))
    assert network.backward(torch.ones(1, 1, 1, dtype=torch.float64)).item() == 2


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("tanh", {}), ("relu", {}), ("sigmoid", {}), ("leaky_relu", {}), ("leaky_relu", {"negative_slope": 0.3})],
)
def test_gains_are_those_of_pytorch(name: str, arguments: dict[str, float]) -> None:
    gain = LayerCase("layer", name, arguments).make().gain
    assert gain == pytest.approx(torch.nn.init.calculate_gain(name, arguments.get("negative_slope")), rel=1e-15)


@pytest.mark.parametrize("name", ["batch_norm", "dropout", "identity", "layer_norm"])
def test_layers_that_leave_the_gain_to_the_next(name: str) -> None:
    assert LayerCase("layer", name, {}).make().gain is None


@every_layer
def test_probabilities_lie_between_0_and_1(case: LayerCase) -> None:
    network, x, _ = problem(case, (2, 13, 7))
    output = network.forward(100 * x)
    is_within = bool(((output >= 0) & (output <= 1)).all())
    assert is_within or not network.layers[0].has_probabilities


def test_which_layers_have_probabilities() -> None:
    assert {case.name for case in CASES if case.make().has_probabilities} == {"sigmoid", "softmax"}


@both_types
def test_softmax_sums_to_1(dtype: torch.dtype) -> None:
    network = LayerCase("layer", "softmax", {}).network(2, 13, 7, dtype)
    output = network.forward(30 * normal(2, 13, 7, seed=2, dtype=dtype))
    torch.testing.assert_close(output.sum(dim=1), torch.ones(2, 7, dtype=dtype))


@both_types
def test_sigmoid_is_exact_in_its_tails(dtype: torch.dtype) -> None:
    network = LayerCase("layer", "sigmoid", {}).network(1, 1, 4, dtype)
    x = torch.tensor([-80.0, -40.0, 40.0, 1e9], dtype=dtype)
    expected = torch.tensor([math.exp(-80), math.exp(-40), 1, 1], dtype=dtype)
    torch.testing.assert_close(network.forward(x.view(1, 1, 4)).flatten(), expected, rtol=1e-6, atol=0)


def mask(p: float, features: int, samples: int, seeds: Iterable[int], epoch: int = 1) -> Tensor:
    """The mask of dropout, as training draws it."""
    network = LayerCase("layer", "dropout", {"p": p}, training=True).network(1, features, 1)
    network.draw_noise(samples, [generator(seed, "noise", epoch) for seed in seeds])
    return network.forward(torch.ones(1, features, samples, dtype=torch.float64))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.8])
def test_dropout_keeps_its_share_and_scales_it_up(p: float) -> None:
    numbers = 50 * 4000
    found = mask(p, 50, 4000, [0])
    assert set(found.unique().tolist()) <= {0.0, 1 / (1 - p)}
    share = (found > 0).double()
    assert abs(share.mean() - (1 - p)) <= 4 * math.sqrt(p * (1 - p) / numbers)
    for dim, count in ((1, 50), (2, 4000)):  # in every sample, and of every feature
        assert (share.mean(dim=dim) - (1 - p)).abs().max() <= 5.5 * math.sqrt(p * (1 - p) / count)


def test_dropout_of_everything_gives_zeros() -> None:
    assert not mask(1.0, 5, 20, [0]).any()


def test_masks_are_independent() -> None:
    """Of each other: features, samples, rounds and epochs agree about half of them in half of the numbers."""
    masks = torch.cat([mask(0.5, 20, 500, [0, 1, 2], epoch) for epoch in (1, 2)])
    for dim in range(3):
        one_by_one = masks.transpose(0, dim).flatten(1)
        agreement = torch.corrcoef(one_by_one[:40]) - torch.eye(min(len(one_by_one), 40), dtype=torch.float64)
        assert agreement.abs().max() <= 5 / math.sqrt(one_by_one.shape[1])


def test_a_mask_is_that_of_the_rounds_seed_and_epoch() -> None:
    together = mask(0.5, 7, 20, [3, 5, 8])
    for place, seed in enumerate([3, 5, 8]):
        assert torch.equal(mask(0.5, 7, 20, [seed]), together[place : place + 1])
    assert not torch.equal(mask(0.5, 7, 20, [3], epoch=2), mask(0.5, 7, 20, [3], epoch=1))


def test_dropout_in_use_is_the_identity() -> None:
    network, x, grad = problem(LayerCase("layer", "dropout", {"p": 0.5}), (2, 5, 7))
    assert torch.equal(network.forward(x), x)
    assert torch.equal(network.backward(grad), grad)


@pytest.mark.parametrize(
    "arguments", [{}, {"momentum": 0.3, "eps": 0.01}, {"affine": False}, {"momentum": 1.0}], ids=str
)
def test_batch_norm_is_pytorchs_over_several_steps(arguments: dict[str, Any]) -> None:
    """The outputs, all derivatives and the running statistics, in training; then in use."""
    rounds, width = 3, 5
    network = Sequential([LayerCase("layer", "batch_norm", arguments).make()], width)
    network.allocate(rounds, torch.float64)
    network.initialize(range(rounds))
    modules = [torch.nn.BatchNorm1d(width, dtype=torch.float64, **arguments) for _ in range(rounds)]
    for step, (batch, is_training) in enumerate([(20, True), (7, True), (2, True), (1, False), (20, False), (7, True)]):
        x = 3 * normal(rounds, width, batch, seed=10 + step) + step
        grad = normal(rounds, width, batch, seed=20 + step)
        network.train(is_training)
        found = derived(network, x, grad)
        for place, module in enumerate(modules):
            module.train(is_training)
            module.zero_grad()
            leaf = x[place].T.clone().requires_grad_()
            output = module(leaf)
            output.backward(grad[place].T)
            expected = {"output": output.detach().T, "input": leaf.grad.T}
            expected |= {f"0.{name}": parameter.grad for name, parameter in module.named_parameters()}
            assert_close({name: value[place] for name, value in found.items()}, expected, 1e-12)
            buffers = {f"0.{name}": value for name, value in module.named_buffers() if name.startswith("running")}
            assert_close({name: network.state()[name][place] for name in buffers}, buffers, 1e-12)
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter -= 0.1 * parameter.grad
        network.values -= 0.1 * network.gradients


@pytest.mark.parametrize("name", ["batch_norm", "layer_norm"])
def test_normalizations_start_as_pytorchs_whatever_the_init_of_the_model(name: str) -> None:
    network = Sequential([LayerCase("layer", name, {}).make()], 5, Normal(3.0))
    network.allocate(2, torch.float64)
    network.initialize([0, 1])
    state = network.state()
    names = ["0.weight", "0.bias", "0.running_mean", "0.running_var"]
    assert list(state) == names[: len(state)]
    assert all((value == start).all() for value, start in zip(state.values(), [1, 0, 0, 1], strict=False))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("leaky_relu", {"negative_slope": 1.1}),
        ("leaky_relu", {"negative_slope": -0.1}),
        ("elu", {"alpha": 0.0}),
        ("gelu", {"approximate": "erf"}),
        ("dropout", {"p": 1.1}),
        ("dropout", {"p": -0.1}),
        ("batch_norm", {"eps": 0.0}),
        ("batch_norm", {"momentum": 1.1}),
        ("layer_norm", {"eps": 0.0}),
    ],
)
def test_arguments_out_of_range_are_refused(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(arguments))):
        LayerCase("layer", name, arguments).make()
