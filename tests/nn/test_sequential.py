"""The graph: layers in any order against the same made from `torch.nn`, and the flat vectors beneath."""

from collections.abc import Callable, Sequence
from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from minidl_cli.errors import GraphError
from minidl_cli.nn.initializers.normal import Normal
from minidl_cli.nn.layer import Layer
from minidl_cli.nn.layers.identity import Identity
from minidl_cli.nn.layers.linear import Linear
from minidl_cli.nn.layers.relu import ReLU
from minidl_cli.nn.layers.sigmoid import Sigmoid
from minidl_cli.nn.layers.tanh import Tanh
from minidl_cli.nn.product import matmul
from minidl_cli.nn.sequential import Sequential
from minidl_cli.randomness import generator

COUNTERPARTS: dict[type[Layer], Callable[[], torch.nn.Module]] = {
    Identity: torch.nn.Identity,
    ReLU: torch.nn.ReLU,
    Sigmoid: torch.nn.Sigmoid,
    Tanh: torch.nn.Tanh,
}

both_types = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def small_layers() -> list[Layer]:
    return [Linear(7), Tanh(), Linear(5, bias=False), ReLU(), Linear(2, init=Normal(0.1))]


def small_network(rounds: int, dtype: torch.dtype = torch.float64) -> Sequential:
    network = Sequential(small_layers(), 3)
    network.allocate(rounds, dtype)
    network.values.copy_(normal(len(network.values), seed=1))
    return network


def counterpart(network: Sequential, place: int) -> torch.nn.Sequential:
    """The same network of one round, made from PyTorch's modules."""
    modules = []
    for layer, width in zip(network.layers, network.widths[:-1], strict=True):
        if isinstance(layer, Linear):
            module = torch.nn.Linear(width, layer.out_features, layer.bias is not None, dtype=network.values.dtype)
            for name, parameter in layer.parameters().items():
                getattr(module, name).data.copy_(parameter.value[place])
            modules.append(module)
        else:
            modules.append(COUNTERPARTS[type(layer)]())
    return torch.nn.Sequential(*modules)


def assert_is_its_counterpart(network: Sequential, rounds: int, batch: int) -> None:
    x = normal(rounds, network.widths[0], batch, seed=2)
    grad = normal(rounds, network.widths[-1], batch, seed=3)
    output, gradient = network.forward(x), network.backward(grad)
    for place in range(rounds):
        module, leaf = counterpart(network, place), x[place].T.clone().requires_grad_()
        expected = module(leaf)
        expected.backward(grad[place].T)
        assert_close(output[place], expected.detach().T)
        assert_close(gradient[place], leaf.grad.T)
        for name, parameter in network.named_parameters():
            assert_close(parameter.grad[place], module.get_parameter(name).grad)


def assert_close(found: Tensor, expected: Tensor) -> None:
    """To the rounding of numbers around 1: where a tanh or sigmoid saturates, so few digits of its slope are left."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-12 * expected.abs().max().clamp(min=0.1)


without_parameters = st.sampled_from(sorted(COUNTERPARTS, key=lambda kind: kind.__name__)).map(lambda kind: kind())
linear = st.builds(Linear, st.integers(1, 9), st.booleans())


@settings(deadline=None, max_examples=60, database=None, derandomize=True)
@given(
    layers=st.lists(linear | without_parameters, min_size=1, max_size=7),
    in_features=st.integers(1, 6),
    rounds=st.integers(1, 3),
    batch=st.integers(1, 6),
)
def test_any_layers_in_any_order_are_those_of_pytorch(
    layers: list[Layer], in_features: int, rounds: int, batch: int
) -> None:
    network = Sequential(layers, in_features)
    network.allocate(rounds, torch.float64)
    network.values.copy_(normal(len(network.values), seed=1))
    assert_is_its_counterpart(network, rounds, batch)


@pytest.mark.parametrize(
    "layers",
    [
        [Linear(5), Linear(3), Linear(1)],
        [Tanh(), Identity(), ReLU(), Linear(3)],
        [Linear(3), Sigmoid(), Tanh()],
        [Tanh(), Sigmoid()],
        [Linear(1)],
        [],
    ],
    ids=lambda layers: "-".join(type(layer).__name__ for layer in layers) or "none",
)
def test_lists_of_layers_that_are_easily_got_wrong(layers: list[Layer]) -> None:
    network = Sequential(layers, 4)
    network.allocate(2, torch.float64)
    network.values.copy_(normal(len(network.values), seed=1))
    assert_is_its_counterpart(network, 2, 3)


def test_widths_and_counts() -> None:
    network = Sequential(small_layers(), 3)
    assert network.widths == [3, 7, 7, 5, 5, 2]
    assert network.parameter_count() == 7 * 3 + 7 + 5 * 7 + 2 * 5 + 2
    assert [name for name, _ in network.named_parameters()] == ["0.weight", "0.bias", "2.weight", "4.weight", "4.bias"]


@pytest.mark.parametrize("rounds", [1, 2, 5])
@both_types
def test_the_flat_vectors_are_covered_by_disjoint_blocks(rounds: int, dtype: torch.dtype) -> None:
    network = small_network(rounds, dtype)
    assert network.rounds == rounds
    for vector, which in ((network.values, "value"), (network.gradients, "grad")):
        assert vector.shape == (rounds * network.parameter_count(),)
        assert vector.dtype == dtype
        begin = 0
        for _, parameter in network.named_parameters():
            block = getattr(parameter, which)
            assert block.shape == (rounds, *parameter.shape)
            assert block.is_contiguous()
            assert block.data_ptr() == vector.data_ptr() + begin * vector.element_size()
            begin += block.numel()
        assert begin == len(vector)
    assert network.values.data_ptr() != network.gradients.data_ptr()


def test_allocate_gives_zeros() -> None:
    network = Sequential(small_layers(), 3)
    network.allocate(2, torch.float64)
    assert not network.values.any()
    assert not network.gradients.any()


def marked_network(rounds: int) -> Sequential:
    """Every number says whose it is: the round times 1000, plus its place among the round's own."""
    network = small_network(rounds)
    begin = 0
    for _, parameter in network.named_parameters():
        places = torch.arange(begin, begin + prod(parameter.shape), dtype=torch.float64).view(parameter.shape)
        for place in range(rounds):
            parameter.value[place] = 1000 * place + places
        begin += prod(parameter.shape)
    return network


@pytest.mark.parametrize("chosen", [[0], [3], [1, 3], [3, 1], [0, 1, 2, 3]], ids=str)
def test_select_takes_the_numbers_of_the_given_rounds(chosen: list[int]) -> None:
    network = marked_network(4)
    expected = marked_network(len(chosen))
    for _, parameter in expected.named_parameters():
        for place, original in enumerate(chosen):
            parameter.value[place] += 1000 * (original - place)
    before = network.values.clone()
    selected = network.select(network.values, chosen)
    assert torch.equal(selected, expected.values)
    selected.zero_()
    assert torch.equal(network.values, before)


@pytest.mark.parametrize("chosen", [[0], [3], [1, 3], [3, 1]], ids=str)
def test_keep_drops_all_other_rounds(chosen: Sequence[int]) -> None:
    network = marked_network(4)
    expected = {name: parameter.value[list(chosen)].clone() for name, parameter in network.named_parameters()}
    network.keep(chosen)
    assert network.rounds == len(chosen)
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter.value, expected[name])
    assert_is_its_counterpart(network, len(chosen), 3)


@both_types
def test_initialize_gives_a_seed_the_same_parameters_at_every_place(dtype: torch.dtype) -> None:
    stacked, alone = small_network(4, dtype), small_network(1, dtype)
    seeds = [3, 10**17, 0, 7]
    stacked.initialize(seeds)
    for place, seed in enumerate(seeds):
        alone.initialize([seed])
        assert torch.equal(stacked.select(stacked.values, [place]), alone.values)
    assert len({stacked.select(stacked.values, [place])[0].item() for place in range(4)}) == 4


def test_initialize_draws_layer_by_layer_from_the_generator_of_the_parameters() -> None:
    network = small_network(1)
    network.initialize([5])
    numbers = generator(5, "parameters")
    for _, parameter in network.named_parameters():
        assert torch.equal(parameter.value[0], parameter.initial(torch.float64, numbers))


def test_initialize_draws_what_pytorch_draws_for_its_own_modules() -> None:
    network = Sequential([Linear(7), Tanh(), Linear(2)], 3)
    network.allocate(1, torch.float64)
    network.initialize([5])
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator(5, "parameters").get_state())
        module = torch.nn.Sequential(
            torch.nn.Linear(3, 7, dtype=torch.float64), torch.nn.Tanh(), torch.nn.Linear(7, 2, dtype=torch.float64)
        )
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.value[0], module.get_parameter(name).detach(), rtol=0, atol=1e-15)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    small_network(2).initialize([0, 1])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("rounds", [2, 3, 100])
@both_types
def test_a_round_is_the_same_alone_and_stacked(rounds: int, dtype: torch.dtype) -> None:
    """Through all layers: the blocks of the later ones start at odd places of the flat vector."""
    for in_features, batch in [(2, 20), (2, 1), (1, 7), (5, 3), (3, 33)]:
        stacked, alone = (Sequential(small_layers(), in_features) for _ in range(2))
        stacked.allocate(rounds, dtype)
        alone.allocate(1, dtype)
        stacked.initialize(range(rounds))
        x = normal(rounds, in_features, batch, seed=2, dtype=dtype)
        grad = normal(rounds, 2, batch, seed=3, dtype=dtype)
        output, gradient = stacked.forward(x), stacked.backward(grad)
        for place in range(rounds):
            one = slice(place, place + 1)
            alone.initialize([place])
            assert torch.equal(alone.forward(x[one].clone()), output[one])
            assert torch.equal(alone.backward(grad[one].clone()), gradient[one])
            assert torch.equal(alone.gradients, stacked.select(stacked.gradients, [place]))


def test_a_layer_that_fails_on_the_way_forward_is_named() -> None:
    network = small_network(1)
    network.layers[2].weight.value = torch.zeros(1, 5, 6, dtype=torch.float64)  # as if its input had 6 features, not 7
    with pytest.raises(GraphError, match=r"model\.2 \(Linear\): forward failed on \[1, 7, 4\]") as caught:
        network.forward(normal(1, 3, 4, seed=2))
    assert caught.value.place == ("model", 2)
    assert caught.value.exit_code == 1


def test_a_layer_that_fails_on_the_way_back_is_named() -> None:
    network = small_network(1)
    network.forward(normal(1, 3, 4, seed=2))
    with pytest.raises(GraphError, match=r"model\.4 \(Linear\): backward failed on \[1, 2, 5\]") as caught:
        network.backward(normal(1, 2, 5, seed=3))  # five samples, where there were four
    assert caught.value.place == ("model", 4)


class NotWhatItDeclared(Linear):
    """A linear layer with a mistake that only shapes can show."""

    def __init__(self, mistake: str):
        super().__init__(3)
        self.mistake = mistake

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y[:, :2] if self.mistake == "output" else y

    def backward(self, grad: Tensor) -> Tensor:
        if self.mistake == "parameter":
            torch.bmm(self.x, grad.mT, out=self.weight.grad)
        back = matmul(self.weight.value.mT, torch.zeros(len(grad), 3, grad.shape[2]))
        return back[:, :1] if self.mistake == "input" else back


@pytest.mark.parametrize("mistake", ["output", "input", "parameter"])
def test_a_layer_that_breaks_its_word_is_found_before_training(mistake: str) -> None:
    network = Sequential([Tanh(), NotWhatItDeclared(mistake), Tanh()], 2)
    with pytest.raises(GraphError, match=r"^model.1 \(NotWhatItDeclared\): a trial failed on \[2, 2, 2\]: "):
        network.allocate(2, torch.float32)
