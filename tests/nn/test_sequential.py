"""The graph: layers in any order against the same made from `torch.nn`, and the flat vectors beneath."""

from collections.abc import Callable, Sequence
from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from minidl_cli.errors import GraphError
from minidl_cli.nn.initializers.constant import Constant
from minidl_cli.nn.initializers.normal import Normal
from minidl_cli.nn.initializers.zeros import Zeros
from minidl_cli.nn.layer import Fan, Initializer, Layer
from minidl_cli.nn.layers.batch_norm import BatchNorm
from minidl_cli.nn.layers.dropout import Dropout
from minidl_cli.nn.layers.elu import ELU
from minidl_cli.nn.layers.gelu import GELU
from minidl_cli.nn.layers.identity import Identity
from minidl_cli.nn.layers.layer_norm import LayerNorm
from minidl_cli.nn.layers.leaky_relu import LeakyReLU
from minidl_cli.nn.layers.linear import Linear
from minidl_cli.nn.layers.relu import ReLU
from minidl_cli.nn.layers.sigmoid import Sigmoid
from minidl_cli.nn.layers.silu import SiLU
from minidl_cli.nn.layers.softmax import Softmax
from minidl_cli.nn.layers.tanh import Tanh
from minidl_cli.nn.product import matmul
from minidl_cli.nn.sequential import Sequential
from minidl_cli.randomness import generator

COUNTERPARTS: dict[type[Layer], Callable[[], torch.nn.Module]] = {
    ELU: torch.nn.ELU,
    GELU: torch.nn.GELU,
    Identity: torch.nn.Identity,
    LeakyReLU: torch.nn.LeakyReLU,
    ReLU: torch.nn.ReLU,
    Sigmoid: torch.nn.Sigmoid,
    SiLU: torch.nn.SiLU,
    Softmax: lambda: torch.nn.Softmax(dim=1),
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
        assert torch.equal(parameter.value[0], parameter.initial(network.init, 1.0, torch.float64, numbers))


def test_initialize_uses_the_init_of_the_model_where_a_layer_has_none() -> None:
    network = Sequential([Linear(7), Linear(5, init=Constant(2.0), bias_init=Zeros())], 3, Constant(3.0))
    network.allocate(2, torch.float64)
    network.initialize([0, 1])
    state = network.state()
    assert (state["0.weight"] == 3).all()
    assert (state["0.bias"].abs() <= 3**-0.5).all()
    assert (state["1.weight"] == 2).all()
    assert not state["1.bias"].any()


@pytest.mark.parametrize(
    ("layers", "gain"),
    [
        ([Linear(3), Tanh()], 5 / 3),
        ([Linear(3), BatchNorm(), Dropout(), Tanh()], 5 / 3),
        ([Linear(3), LayerNorm(), Identity(), ReLU()], 2**0.5),
        ([Linear(3), LeakyReLU(0.5)], (2 / 1.25) ** 0.5),
        ([Linear(3), Softmax()], 1),
        ([Linear(3)], 1),
        ([Linear(3), Dropout()], 1),
        ([Linear(3), Linear(3), Tanh()], 1),
        ([Linear(3), BatchNorm(), Linear(3), Tanh()], 1),
        ([Linear(3), Sigmoid(), Tanh()], 1),
    ],
    ids=lambda value: "-".join(type(layer).__name__ for layer in value) if isinstance(value, list) else "",
)
def test_the_gain_is_that_of_the_activation_after_a_layer(layers: list[Layer], gain: float) -> None:
    assert Sequential(layers, 2).gain_after(0) == pytest.approx(gain, rel=1e-15)


def test_initial_values_take_the_gain_of_the_activation_after_their_layer() -> None:
    class GainOnly(Initializer):
        def draw(self, shape: tuple[int, ...], fan: Fan, dtype: torch.dtype, generator: Generator) -> Tensor:
            return torch.full(shape, fan.gain, dtype=dtype)

    network = Sequential([Linear(3), Dropout(), Tanh(), Linear(2), ReLU(), Linear(1)], 4, GainOnly())
    network.allocate(2, torch.float64)
    network.initialize([0, 1])
    gains = [network.state()[name].unique().tolist() for name in ("0.weight", "3.weight", "5.weight")]
    assert gains == [[5 / 3], [2**0.5], [1.0]]


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


def normed_network(rounds: int, in_features: int = 3, dtype: torch.dtype = torch.float64) -> Sequential:
    """With all that a layer can declare: parameters, buffers and noise."""
    layers = [Linear(7), BatchNorm(), Tanh(), Dropout(0.3), Linear(5), LayerNorm(), Dropout(), GELU(), Linear(2)]
    network = Sequential(layers, in_features)
    network.allocate(rounds, dtype)
    network.initialize(range(rounds))
    return network


def train_a_step(network: Sequential, seeds: Sequence[int], first: int = 0) -> None:
    """The noise of 20 samples is drawn; the step takes 7 of them, and those samples."""
    network.train()
    network.draw_noise(20, [generator(seed, "noise", 1) for seed in seeds])
    network.select_noise(first, first + 7)
    dtype, width = network.values.dtype, network.widths[0]
    inputs = torch.cat([normal(1, width, 20, seed=seed, dtype=dtype) for seed in seeds])
    output = network.forward(inputs[:, :, first : first + 7])
    network.backward(output)
    network.values -= 0.1 * network.gradients


def clone(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in state.items()}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_the_state_is_parameters_then_buffers() -> None:
    network = normed_network(2)
    assert [*network.state()][-2:] == ["1.running_mean", "1.running_var"]
    assert [*network.state()][:-2] == [name for name, _ in network.named_parameters()]
    shapes = {name: (2, *shape) for name, shape in network.state_shapes().items()}
    assert shapes == {name: tuple(value.shape) for name, value in network.state().items()}
    assert network.noise_features() == 7 + 5


def test_allocate_and_initialize_reset_the_buffers() -> None:
    network = normed_network(2)
    start = clone(network.state())
    assert not start["1.running_mean"].any()
    assert (start["1.running_var"] == 1).all()
    train_a_step(network, [0, 1])
    assert not any(torch.equal(network.state()[name], start[name]) for name in ("1.running_mean", "1.running_var"))
    network.initialize([0, 1])
    assert_same(network.state(), start)


def test_a_network_is_in_use_until_it_is_trained() -> None:
    network = normed_network(1)
    assert not any(layer.training for layer in network.layers)
    network.train()
    assert all(layer.training for layer in network.layers)
    network.train(False)
    assert not any(layer.training for layer in network.layers)


def test_load_copies_parameters_and_buffers() -> None:
    network, other = normed_network(2), normed_network(2)
    train_a_step(network, [0, 1])
    state = clone(network.state())
    other.load(state)
    assert_same(other.state(), state)
    train_a_step(other, [0, 1])
    assert_same(network.state(), state)
    with pytest.raises(KeyError):
        other.load({name: value for name, value in state.items() if name != "1.running_mean"})


@pytest.mark.parametrize("chosen", [[0], [2], [1, 2], [2, 0]], ids=str)
def test_rounds_that_are_kept_go_on_as_if_nothing_had_been(chosen: list[int]) -> None:
    kept, whole = normed_network(3), normed_network(3)
    for network in (kept, whole):
        train_a_step(network, [0, 1, 2])
    kept.keep(chosen)
    train_a_step(kept, chosen, first=7)
    train_a_step(whole, [0, 1, 2], first=7)
    assert_same(kept.state(), {name: value[chosen] for name, value in whole.state().items()})


@pytest.mark.parametrize("rounds", [2, 3, 40])
@both_types
def test_a_round_with_buffers_and_noise_is_the_same_alone_and_stacked(rounds: int, dtype: torch.dtype) -> None:
    stacked = normed_network(rounds, dtype=dtype)
    for first in (0, 7, 13):
        train_a_step(stacked, range(rounds), first)
    for place in range(rounds):
        alone = normed_network(1, dtype=dtype)
        alone.initialize([place])
        for first in (0, 7, 13):
            train_a_step(alone, [place], first)
        assert_same(alone.state(), {name: value[place : place + 1] for name, value in stacked.state().items()})


def masks_of(network: Sequential) -> list[Tensor]:
    return [layer.mask.value for layer in network.layers if isinstance(layer, Dropout)]


def test_noise_is_drawn_for_many_samples_and_selected_for_some() -> None:
    network = normed_network(2)
    network.draw_noise(10, [generator(seed, "noise", 1) for seed in (3, 5)])
    drawn = masks_of(network)
    assert [tuple(mask.shape) for mask in drawn] == [(2, 7, 10), (2, 5, 10)]
    for first, last in ((0, 4), (4, 8), (8, 10)):
        network.select_noise(first, last)
        assert all(torch.equal(one, all_[:, :, first:last]) for one, all_ in zip(masks_of(network), drawn, strict=True))


def test_noise_goes_on_where_its_generator_is() -> None:
    network = normed_network(1)
    numbers = generator(3, "noise", 1)
    network.draw_noise(10, [numbers])
    first = masks_of(network)
    network.draw_noise(10, [numbers])
    assert not any(torch.equal(one, two) for one, two in zip(first, masks_of(network), strict=True))
    network.draw_noise(10, [generator(3, "noise", 1)])
    assert all(torch.equal(one, two) for one, two in zip(first, masks_of(network), strict=True))


def gradients_of(network: Sequential, place: int) -> Tensor:
    """All gradients of one round, flat."""
    return torch.cat([parameter.grad[place].flatten() for _, parameter in network.named_parameters()])


def test_gradient_norms_and_scaling_are_those_of_each_round() -> None:
    network = small_network(4)
    network.gradients.copy_(normal(len(network.gradients), seed=6))
    before = [gradients_of(network, place) for place in range(4)]
    expected = torch.stack([torch.linalg.vector_norm(gradient) for gradient in before])
    torch.testing.assert_close(network.gradient_norms(), expected, rtol=1e-14, atol=0)
    network.scale_gradients(torch.tensor([1.0, 0.5, 0.0, 3.0], dtype=torch.float64))
    for place, factor in enumerate([1.0, 0.5, 0.0, 3.0]):
        assert torch.equal(gradients_of(network, place), factor * before[place])


@both_types
def test_the_gradient_norm_of_a_round_is_the_same_alone_and_stacked(dtype: torch.dtype) -> None:
    stacked, alone = small_network(5, dtype), small_network(1, dtype)
    stacked.gradients.copy_(normal(len(stacked.gradients), seed=6, dtype=dtype))
    for place in range(5):
        alone.gradients.copy_(stacked.select(stacked.gradients, [place]))
        assert torch.equal(alone.gradient_norms()[0], stacked.gradient_norms()[place])


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


@pytest.mark.parametrize(
    "layers",
    [
        small_layers,
        lambda: [Linear(3)],
        lambda: [Tanh()],
        lambda: [Dropout(), Tanh(), Linear(5), ReLU(), Linear(2), Tanh()],
        lambda: [BatchNorm(), Linear(5), Tanh(), Identity()],
    ],
)
def test_without_the_gradient_of_the_input_all_others_are_the_same(layers: Callable[[], list[Layer]]) -> None:
    network = Sequential(layers(), 3)
    network.allocate(4, torch.float64)
    network.initialize(range(4))
    network.train()
    network.draw_noise(7, [generator(seed, "noise", 1) for seed in range(4)])
    grad = network.forward(normal(4, 3, 7, seed=2)).square()
    network.backward(grad)
    expected = network.gradients.clone()
    network.gradients.fill_(torch.nan)
    network.backward_parameters(grad)
    assert torch.equal(network.gradients, expected)


def test_what_only_the_gradient_of_the_input_takes_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Sequential([Tanh(), Linear(7), Tanh(), Linear(2)], 3)
    network.allocate(1, torch.float64)
    network.initialize([0])
    grad = network.forward(normal(1, 3, 4, seed=2))

    def unwanted(grad: Tensor) -> Tensor:
        raise AssertionError("nobody needs this layer's dL/d(input)")

    for layer in network.layers[:2]:
        monkeypatch.setattr(layer, "backward", unwanted)
    network.backward_parameters(grad)
    assert all(parameter.grad.any() for _, parameter in network.named_parameters())


def test_a_parameter_shows_its_value_in_other_shapes() -> None:
    network = small_network(4)
    for _, parameter in network.named_parameters():
        for value in (parameter.value, torch.ones_like(parameter.value)):
            parameter.value = value
            assert parameter.value is value
            assert torch.equal(parameter.column, value.unsqueeze(-1))
            assert value.ndim != 3 or torch.equal(parameter.transposed, value.mT)
            value.mul_(2)
            assert torch.equal(parameter.column.squeeze(-1), value)


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
    for backward in (network.backward, network.backward_parameters):
        with pytest.raises(GraphError, match=r"model\.4 \(Linear\): backward failed on \[1, 2, 5\]") as caught:
            backward(normal(1, 2, 5, seed=3))  # five samples, where there were four
        assert caught.value.place == ("model", 4)


def test_a_first_layer_that_fails_on_the_way_back_is_named() -> None:
    network = Sequential([Tanh(), Linear(2)], 3)
    network.allocate(1, torch.float64)
    network.forward(normal(1, 3, 4, seed=2))
    with pytest.raises(GraphError, match=r"model\.1 \(Linear\): backward failed on \[1, 2, 5\]") as caught:
        network.backward_parameters(normal(1, 2, 5, seed=3))
    assert caught.value.place == ("model", 1)


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
