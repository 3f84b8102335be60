"""The check passes on right gradients, and finds each wrong one at its own row."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from minidl_cli.errors import InputError
from minidl_cli.nn.layer import Layer
from minidl_cli.nn.layers.batch_norm import BatchNorm
from minidl_cli.nn.layers.dropout import Dropout
from minidl_cli.nn.layers.linear import Linear
from minidl_cli.nn.layers.relu import ReLU
from minidl_cli.nn.layers.sigmoid import Sigmoid
from minidl_cli.nn.layers.tanh import Tanh
from minidl_cli.nn.losses.mse import MSE
from minidl_cli.nn.product import matmul
from minidl_cli.nn.sequential import Sequential
from minidl_cli.randomness import generator
from minidl_cli.reference.gradient_check import TOLERANCE, Comparison, check_gradients
from minidl_cli.training.build import registry

# The small network, but with a square layer in the middle; and one with a layer of every other kind.
SQUARE = "model=[linear: 5, tanh, linear: 5, relu, linear: 2]"
ALL_NAMES = ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"]

Rows = set[tuple[str, str]]


def failed(comparisons: Iterable[Comparison]) -> Rows:
    return {(row.part, row.by) for row in comparisons if not row.passed}


def in_network(*names: str) -> Rows:
    return {("network", name) for name in names}


def times(factor: float) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    return lambda original: lambda *arguments: original(*arguments) * factor


def spoil(patch: pytest.MonkeyPatch, kind: type, spoiled: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    patch.setattr(kind, "backward", spoiled(kind.backward))


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["training.dtype=float32"],
        ["model=[linear: 1]", "data.disc.target_values=[-1, 1]"],
        ["model=[linear: 2, linear: 2]", "seed=3"],
        ["model=[tanh, identity, sigmoid, linear: {out_features: 2, bias: false}]"],
        ["model=[linear: 3, tanh, linear: 1, sigmoid]"],
        ["loss.mse.reduction=sum"],
        ["loss.mse.reduction=sum_outputs"],
        ["data_seed=round", "seed=5"],
        ["model=[linear: 7, leaky_relu, linear: 5, elu: 1.5, linear: 2, softmax]"],
        ["model=[linear: 7, gelu, linear: 5, gelu: tanh, linear: 5, silu, linear: 2]"],
        ["model=[linear: 7, layer_norm, tanh, linear: 5, layer_norm: {elementwise_affine: false}, linear: 2]"],
        ["model=[linear: 7, relu, dropout, linear: 5, dropout: 0.2, leaky_relu, linear: 2]"],
        ["model=[batch_norm, tanh, dropout, linear: 2]"],
    ],
    ids=str,
)
def test_right_gradients_pass(small_config: Callable[..., Any], settings: list[str]) -> None:
    comparisons = check_gradients(small_config(*settings))
    assert not failed(comparisons)
    assert all(row.difference_error <= 1e-8 for row in comparisons)
    assert all(row.autograd_error <= 1e-12 for row in comparisons)


def test_every_derivative_has_a_row(small_config: Callable[..., Any]) -> None:
    comparisons = check_gradients(small_config(SQUARE))
    assert [(row.part, row.by) for row in comparisons] == [
        ("0 linear", "input"),
        ("0 linear", "weight"),
        ("0 linear", "bias"),
        ("1 tanh", "input"),
        ("2 linear", "input"),
        ("2 linear", "weight"),
        ("2 linear", "bias"),
        ("3 relu", "input"),
        ("4 linear", "input"),
        ("4 linear", "weight"),
        ("4 linear", "bias"),
        ("loss mse", "output"),
        *[("network", name) for name in ALL_NAMES],
    ]
    sizes = {(row.part, row.by): row.size for row in comparisons}
    assert sizes["0 linear", "input"] == 2 * 10
    assert sizes["2 linear", "weight"] == sizes["network", "2.weight"] == 25
    assert all(0 < row.differences <= row.size for row in comparisons)


def test_batch_says_how_many_samples_are_used(small_config: Callable[..., Any]) -> None:
    rows = {(row.part, row.by): row.size for row in check_gradients(small_config(), batch=3)}
    assert rows["loss mse", "output"] == 2 * 3


def test_large_parameters_are_checked_in_part_by_differences(small_config: Callable[..., Any]) -> None:
    comparisons = check_gradients(small_config("model=[linear: 600, tanh, linear: 2]"), batch=2)
    assert not failed(comparisons)
    counts = {(row.part, row.by): (row.size, row.differences) for row in comparisons}
    assert counts["0 linear", "weight"] == (1200, 1000)
    assert counts["0 linear", "bias"] == (600, 600)


@pytest.mark.parametrize("name", sorted(registry().types["layer"]))
def test_a_wrong_input_gradient_is_found_in_every_kind_of_layer(
    small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    layer = registry().types["layer"][name]
    numbers = {int: 5, float: 0.5}
    required = {
        key: numbers[info.annotation] for key, info in layer.arguments.model_fields.items() if info.is_required()
    }
    model = [{"linear": 5}, {name: required} if required else name, {"linear": {"out_features": 2, "bias": False}}]
    config = small_config(f"model={json.dumps(model)}")
    assert not failed(check_gradients(config))

    spoil(monkeypatch, layer.cls, times(1.001))
    of_linear = {("0 linear", "input"), ("2 linear", "input")} if name == "linear" else set()
    # A bias before batch_norm has no effect: its derivative is 0, and 0 times 1.001 is still right.
    of_network = in_network("0.weight") if name == "batch_norm" else in_network("0.weight", "0.bias")
    assert failed(check_gradients(config)) >= {(f"1 {name}", "input"), *of_linear, *of_network}
    assert not failed(check_gradients(config)) & {("loss mse", "output"), ("2 linear", "weight")}


@pytest.mark.parametrize(
    ("kind", "wrong", "rows"),
    [
        (Tanh, lambda self, grad: grad * (1 - self.y), {("1 tanh", "input"), *in_network("0.weight", "0.bias")}),
        (Tanh, lambda self, grad: grad * (1 - self.y**2) * 1.001, {("1 tanh", "input"), *in_network(*ALL_NAMES[:2])}),
        (ReLU, lambda self, grad: grad * (self.y >= 0), {("3 relu", "input"), *in_network(*ALL_NAMES[:4])}),
        (ReLU, lambda self, grad: grad * (self.y > 0) * 0.999, {("3 relu", "input"), *in_network(*ALL_NAMES[:4])}),
    ],
    ids=["tanh without its square", "tanh times 1.001", "relu of every sign", "relu times 0.999"],
)
def test_a_wrong_activation_gradient_is_found_where_it_is(
    small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, kind: type[Layer], wrong: Any, rows: Rows
) -> None:
    monkeypatch.setattr(kind, "backward", wrong)
    assert failed(check_gradients(small_config(SQUARE))) == rows


def test_a_missing_factor_of_sigmoid_is_found(
    small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sigmoid, "backward", lambda self, grad: grad * self.y)
    found = failed(check_gradients(small_config("model=[linear: 5, sigmoid, linear: 2]")))
    assert found == {("1 sigmoid", "input"), *in_network("0.weight", "0.bias")}


def linear_backward(
    weight: Callable[[Tensor, Tensor], Tensor] = lambda grad, x: matmul(grad, x.mT),
    bias: Callable[[Tensor], Tensor] = lambda grad: grad.sum(dim=2),
    back: Callable[[Tensor], Tensor] = lambda weight: weight.mT,
) -> Callable[[Linear, Tensor], Tensor]:
    """The backward pass of a square linear layer, with a part of it exchanged; that of others is left right."""
    right = Linear.backward

    def backward(self: Linear, grad: Tensor) -> Tensor:
        if self.weight.shape != (5, 5):
            return right(self, grad)
        self.weight.grad.copy_(weight(grad, self.x))
        self.bias.grad.copy_(bias(grad))
        return matmul(back(self.weight.value), grad)

    return backward


@pytest.mark.parametrize(
    ("wrong", "rows"),
    [
        ({}, set()),
        (
            {"weight": lambda grad, x: matmul(grad, x.mT) * 1.001},
            {("2 linear", "weight"), *in_network("2.weight")},
        ),
        (
            {"weight": lambda grad, x: matmul(grad, x.mT).mT},
            {("2 linear", "weight"), *in_network("2.weight")},
        ),
        (
            {"weight": lambda grad, x: matmul(grad[:, :, :-1], x[:, :, :-1].mT)},
            {("2 linear", "weight"), *in_network("2.weight")},
        ),
        ({"bias": lambda grad: grad.mean(dim=2)}, {("2 linear", "bias"), *in_network("2.bias")}),
        ({"back": lambda weight: weight}, {("2 linear", "input"), *in_network("0.weight", "0.bias")}),
    ],
    ids=["right", "weight times 1.001", "weight transposed", "a sample missing", "mean for sum", "input transposed"],
)
def test_a_wrong_linear_gradient_is_found_where_it_is(
    small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], rows: Rows
) -> None:
    monkeypatch.setattr(Linear, "backward", linear_backward(**wrong))
    assert failed(check_gradients(small_config(SQUARE))) == rows


@pytest.mark.parametrize("entry", [0, 7])
def test_one_wrong_entry_is_enough(
    small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, entry: int
) -> None:
    def weight(grad: Tensor, x: Tensor) -> Tensor:
        product = matmul(grad, x.mT)
        product.view(-1)[entry] += 1e-5 * product.abs().max()
        return product

    monkeypatch.setattr(Linear, "backward", linear_backward(weight))
    assert failed(check_gradients(small_config(SQUARE))) == {("2 linear", "weight"), *in_network("2.weight")}


def test_differences_find_what_autograd_agrees_with(
    small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forward pass through which autograd sees the identity, and a backward pass that believes it."""
    monkeypatch.setattr(Tanh, "forward", lambda self, x: x + (torch.tanh(x) - x).detach())
    monkeypatch.setattr(Tanh, "backward", lambda self, grad: grad)
    comparisons = check_gradients(small_config(SQUARE))
    assert failed(comparisons) == {("1 tanh", "input"), *in_network("0.weight", "0.bias")}
    assert all(row.autograd_error <= 1e-12 for row in comparisons)


def test_autograd_finds_what_differences_do_not_reach(
    small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Differences are drawn from a tensor of 1200 entries: a wrong one among them may be missed, but not by both."""
    right = Linear.backward
    chosen = torch.randperm(1200, generator=torch.Generator().manual_seed(0))
    for entry, is_drawn in ((int(chosen[0]), True), (int(chosen[-1]), False)):

        def backward(self: Linear, grad: Tensor, entry: int = entry) -> Tensor:
            below = right(self, grad)
            if self.weight.grad.numel() == 1200 and self.weight.shape == (600, 2):
                self.weight.grad.view(-1)[entry] += 1e-3 * self.weight.grad.abs().max()
            return below

        monkeypatch.setattr(Linear, "backward", backward)
        rows = {
            (row.part, row.by): row for row in check_gradients(small_config("model=[linear: 600, tanh, linear: 2]"))
        }
        row = rows["0 linear", "weight"]
        assert not row.passed
        assert row.autograd_error == pytest.approx(1e-3, rel=0.01)
        assert (row.difference_error > 1e-4) == is_drawn


@pytest.mark.parametrize(
    ("difference_error", "autograd_error", "passed"),
    [
        (0.0, 0.0, True),
        (TOLERANCE, TOLERANCE, True),
        (1.01 * TOLERANCE, 0.0, False),
        (0.0, 1.01 * TOLERANCE, False),
        (float("nan"), 0.0, False),
        (0.0, float("nan"), False),
    ],
)
def test_both_yardsticks_must_agree(difference_error: float, autograd_error: float, passed: bool) -> None:
    assert Comparison("0 tanh", "input", 3, 3, difference_error, autograd_error).passed == passed
    assert TOLERANCE <= 1e-6


@pytest.mark.parametrize("factor", [1.001, 0.5, -1.0])
def test_a_wrong_loss_gradient_is_found(
    small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    spoil(monkeypatch, MSE, times(factor))
    assert failed(check_gradients(small_config(SQUARE))) == {("loss mse", "output"), *in_network(*ALL_NAMES)}


NORMED = "model=[linear: 5, batch_norm, tanh, linear: 2]"
DROPPED = "model=[linear: 5, dropout, tanh, linear: 2]"


def in_use(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A backward pass that believes the network in use."""

    def backward(self: Layer, grad: Tensor) -> Tensor:
        self.training = False
        below = original(self, grad)
        self.training = True
        return below

    return backward


@pytest.mark.parametrize(
    ("kind", "model", "rows"),
    [
        (BatchNorm, NORMED, {("1 batch_norm", "input"), *in_network("0.weight", "0.bias")}),
        (Dropout, DROPPED, {("1 dropout", "input"), *in_network("0.weight", "0.bias")}),
    ],
    ids=["batch_norm", "dropout"],
)
def test_a_gradient_that_is_right_in_use_only_is_found(
    small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, kind: type[Layer], model: str, rows: Rows
) -> None:
    spoil(monkeypatch, kind, in_use)
    assert failed(check_gradients(small_config(model))) == rows


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "layers",
    [
        "linear: 25, batch_norm, relu, linear: 5, batch_norm: {affine: false}, relu, linear: 2, softmax",
        "batch_norm, linear: 7, batch_norm, tanh, dropout, linear: 2",
        "linear: 7, batch_norm, batch_norm, gelu, linear: 2",
    ],
)
def test_what_cancels_is_not_called_wrong(small_config: Callable[..., Any], layers: str, seed: int) -> None:
    """The derivative of a bias before batch_norm is 0, of which rounding is left."""
    assert not failed(check_gradients(small_config(f"model=[{layers}]", f"seed={seed}")))


def test_a_wrong_gradient_is_found_where_the_right_one_cancels(
    small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Linear.backward

    def backward(self: Linear, grad: Tensor) -> Tensor:
        below = right(self, grad)
        if self.weight.shape == (5, 2):
            self.bias.grad.add_(1e-4 * grad[:, :, 0])
        return below

    monkeypatch.setattr(Linear, "backward", backward)
    assert failed(check_gradients(small_config(NORMED))) == {("0 linear", "bias"), *in_network("0.bias")}


def test_the_network_is_checked_with_the_noise_of_the_first_epoch(
    small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = []
    right = Dropout.backward

    def backward(self: Dropout, grad: Tensor) -> Tensor:
        masks.append(self.mask.value)
        return right(self, grad)

    monkeypatch.setattr(Dropout, "backward", backward)
    check_gradients(small_config(DROPPED, "seed=3"))
    layer = Dropout()
    layer.connect(5)
    expected = layer.mask
    expected.draw(10, torch.float64, [generator(3, "noise", epoch=1)])
    expected.select(0, 10)
    assert torch.equal(masks[-1], expected.value)


def test_too_small_a_batch_is_refused(small_config: Callable[..., Any]) -> None:
    assert not failed(check_gradients(small_config(NORMED), batch=2))
    with pytest.raises(InputError, match="at least 2 samples in training, not 1"):
        check_gradients(small_config(NORMED), batch=1)


def test_a_saturated_sigmoid_is_no_error(small_config: Callable[..., Any]) -> None:
    """Where exp(-x) would be infinite, autograd would find a NaN."""
    settings = ["init.normal.std=1e5", "model=[linear: 5, sigmoid, silu, linear: 2]"]
    assert not failed(check_gradients(small_config(*settings)))


def test_a_gradient_that_is_not_a_number_is_wrong(
    small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, MSE, times(float("nan")))
    assert ("loss mse", "output") in failed(check_gradients(small_config()))


def test_a_gradient_where_there_should_be_none_is_wrong(
    small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All outputs of the second relu are zero, so nothing comes down from it."""
    monkeypatch.setattr(ReLU, "forward", lambda self, x: x * 0)
    monkeypatch.setattr(ReLU, "backward", lambda self, grad: grad * 1e-9)
    assert ("1 relu", "input") in failed(check_gradients(small_config("model=[linear: 5, relu, linear: 2]")))


def test_kinks_are_left_out_and_are_no_error(small_config: Callable[..., Any]) -> None:
    """What the first relu cuts off comes to the second one as an exact zero, its kink."""
    comparisons = check_gradients(small_config("model=[linear: 7, relu, relu, linear: 2]"))
    assert not failed(comparisons)
    (second,) = (row for row in comparisons if row.part == "2 relu")
    assert 0 < second.differences < second.size


def test_kinks_everywhere_are_no_error(small_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def initialize_with_zeros(self: Sequential, seeds: list[int]) -> None:
        self.values.zero_()
        self.layers[2].weight.value.fill_(1)

    monkeypatch.setattr(Sequential, "initialize", initialize_with_zeros)
    comparisons = check_gradients(small_config("model=[linear: 7, relu, linear: 2]"))
    assert not failed(comparisons)
    assert next(row for row in comparisons if row.part == "1 relu").differences == 0


def test_the_check_is_the_same_every_time(small_config: Callable[..., Any]) -> None:
    before = torch.get_rng_state()
    assert check_gradients(small_config()) == check_gradients(small_config())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "settings",
    [
        ["data.disc.train=1000", "training.batch_size=20", "model=[linear: 25, tanh, linear: 25, relu, linear: 2]"],
        [f"model=[{'linear: 5, tanh, ' * 20} linear: 2]"],
    ],
    ids=["many samples, some at kinks", "vanishing gradients"],
)
def test_right_gradients_are_not_called_wrong(small_config, settings) -> None:
    for seed in range(3):
        comparisons = check_gradients(small_config(*settings, f"seed={seed}"), batch=1000)
        assert [each for each in comparisons if not each.passed] == []
