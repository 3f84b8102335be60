"""The battery that every optimizer passes. The registry says which there are: a new one needs no edit here.

What PyTorch has too deserves a line in `COUNTERPARTS`, and its options sets of arguments in `ARGUMENTS`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from minidl_cli.nn.layers.linear import Linear
from minidl_cli.nn.layers.tanh import Tanh
from minidl_cli.nn.sequential import Sequential
from minidl_cli.optim.optimizer import Optimizer
from minidl_cli.optim.sgd import SGD
from minidl_cli.training.build import registry
from tests.components import Case, cases, places

COUNTERPARTS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}

ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "sgd": [
        {"lr": 0.07, "momentum": 0.15},
        {"lr": 0.01, "momentum": 0.9},
        {"lr": 0.01, "momentum": 0.9, "nesterov": True},
        {"lr": 0.1, "weight_decay": 0.01},
        {"lr": 0.03, "momentum": 0.5, "weight_decay": 0.1},
        {"lr": 0.03, "momentum": 0.5, "weight_decay": 0.1, "nesterov": True},
    ],
    "rmsprop": [
        {"lr": 0.1, "alpha": 0.9, "eps": 1e-3},
        {"alpha": 0.0, "weight_decay": 0.1},
        {"momentum": 0.9},
        {"centered": True},
        {"lr": 0.03, "alpha": 0.5, "weight_decay": 0.01, "momentum": 0.5, "centered": True},
    ],
    "adam": [
        {"lr": 0.1, "betas": [0.8, 0.9], "eps": 1e-3},
        {"lr": 0.01, "betas": [0.0, 0.99]},
        {"lr": 0.01, "betas": [0.9, 0.0]},
        {"weight_decay": 0.1},
        {"amsgrad": True, "betas": [0.9, 0.5]},
        {"lr": 0.03, "weight_decay": 0.1, "amsgrad": True, "betas": [0.5, 0.7]},
    ],
    "adamw": [
        {"lr": 0.1, "betas": [0.8, 0.9], "eps": 1e-3, "weight_decay": 0.5},
        {"lr": 0.01, "weight_decay": 0.0},
        {"lr": 0.03, "weight_decay": 0.1, "amsgrad": True, "betas": [0.5, 0.7]},
    ],
}

STEPS = 20


CASES = cases("optimizer", ARGUMENTS, Case)
every_optimizer = pytest.mark.parametrize("case", CASES, ids=str)
with_counterpart = pytest.mark.parametrize("case", [case for case in CASES if case.name in COUNTERPARTS], ids=str)


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def gradients(size: int, dtype: torch.dtype = torch.float64, steps: int = STEPS) -> Iterator[Tensor]:
    """Gradients of all sizes, that of a step some way from those before; the first one's first entry is exactly 0."""
    scales = torch.logspace(-3, 3, size, dtype=dtype)
    for step in range(steps):
        gradient = normal(size, seed=100 + step, dtype=dtype) * scales * (1 + step % 3)
        gradient[0] *= step > 0
        yield gradient


def learning_rates(optimizer: Optimizer, is_scheduled: bool) -> list[float]:
    return [optimizer.lr * (0.8**step if is_scheduled else 1) for step in range(STEPS)]


@with_counterpart
@pytest.mark.parametrize("is_scheduled", [False, True], ids=["constant", "scheduled"])
def test_twenty_steps_are_those_of_pytorch(case: Case, is_scheduled: bool) -> None:
    optimizer, values = case.make(), normal(53, seed=0)
    parameter = torch.nn.Parameter(values.clone())
    counterpart = COUNTERPARTS[case.name]([parameter], **case.arguments)
    optimizer.start(values)
    for lr, gradient in zip(learning_rates(optimizer, is_scheduled), gradients(53), strict=True):
        parameter.grad = gradient.clone()
        counterpart.param_groups[0]["lr"] = lr
        counterpart.step()
        optimizer.step(values, gradient, lr)
        assert (values - parameter.detach()).abs().max() / parameter.abs().max() <= 1e-12


@with_counterpart
def test_the_defaults_are_those_of_pytorch(case: Case) -> None:
    declared = registry().types["optimizer"][case.name].arguments.model_fields
    required = {key: 0.1 for key, info in declared.items() if info.is_required()}
    counterpart = COUNTERPARTS[case.name]([torch.nn.Parameter(torch.zeros(1))], **required)
    ours = {key: info.default for key, info in declared.items() if not info.is_required()}
    assert ours == {key: counterpart.defaults[key] for key in ours}


@every_optimizer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_the_state_is_flat_vectors_like_the_parameters(case: Case, dtype: torch.dtype) -> None:
    optimizer, values = case.make(), normal(53, seed=0, dtype=dtype)
    optimizer.start(values)
    started = set(optimizer.state)
    for gradient in gradients(53, dtype):
        optimizer.step(values, gradient, optimizer.lr)
    assert set(optimizer.state) == started
    assert all(state.shape == (53,) and state.dtype == dtype for state in optimizer.state.values())
    assert values.dtype == dtype


@every_optimizer
def test_a_step_updates_the_values_in_place(case: Case) -> None:
    optimizer, vector = case.make(), normal(60, seed=0)
    before, values = vector.clone(), vector[3:56]
    optimizer.start(values)
    optimizer.step(values, normal(53, seed=1), optimizer.lr)
    assert (values != before[3:56]).all()
    assert torch.equal(vector[:3], before[:3])
    assert torch.equal(vector[56:], before[56:])


@every_optimizer
def test_a_start_forgets_all_steps(case: Case) -> None:
    optimizer, runs = case.make(), []
    for _ in range(2):
        values = normal(53, seed=0)
        optimizer.start(values)
        for gradient in gradients(53):
            optimizer.step(values, gradient, optimizer.lr)
        runs.append(values)
    assert torch.equal(*runs)


@every_optimizer
def test_restored_state_continues_as_if_never_stopped(case: Case) -> None:
    through, values = case.make(), normal(53, seed=0)
    through.start(values)
    for step, gradient in enumerate(gradients(53)):
        if step == STEPS // 2:
            resumed, continued = case.make(), values.clone()
            resumed.start(continued)
            resumed.state = {name: state.clone() for name, state in through.state.items()}
            resumed.steps = through.steps
        if step >= STEPS // 2:
            resumed.step(continued, gradient.clone(), resumed.lr)
        through.step(values, gradient, through.lr)
    assert torch.equal(values, continued)


@every_optimizer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("rounds", [2, 3, 100])
def test_a_round_is_the_same_alone_and_stacked(case: Case, dtype: torch.dtype, rounds: int) -> None:
    network = Sequential([Linear(7), Tanh(), Linear(5), Linear(1)], 3)  # blocks of odd lengths
    network.allocate(rounds, dtype)
    size = len(network.values)
    start = normal(size, seed=0, dtype=dtype)

    def run(vectors: Iterator[Tensor], values: Tensor) -> Tensor:
        optimizer = case.make()
        optimizer.start(values)
        for gradient in vectors:
            optimizer.step(values, gradient, optimizer.lr)
        return values

    together = run(gradients(size, dtype, steps=4), start.clone())
    for place in places(rounds):
        own = (network.select(gradient, [place]) for gradient in gradients(size, dtype, steps=4))
        alone = run(own, network.select(start, [place]))
        assert torch.equal(alone, network.select(together, [place])), f"round {place} of {rounds}"


@every_optimizer
def test_steps_are_counted_from_the_start(case: Case) -> None:
    optimizer, values = case.make(), normal(53, seed=0)
    for _ in range(2):
        optimizer.start(values)
        assert optimizer.steps == 0
        for step, gradient in enumerate(gradients(53), start=1):
            optimizer.step(values, gradient, optimizer.lr)
            assert optimizer.steps == step


@every_optimizer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_gradients_that_never_change_or_are_zero_do_no_harm(case: Case, dtype: torch.dtype) -> None:
    optimizer, values = case.make(), torch.ones(7, dtype=dtype)
    optimizer.start(values)
    for _ in range(2000):
        gradient = torch.tensor([0, 1e-30, 1e-8, 1.7, -3.3, 0.1, 1e3], dtype=dtype)
        optimizer.step(values, gradient, 1e-4)
        assert values.isfinite().all()


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_a_loss_is_minimized(name: str) -> None:
    """Every rule finds the lowest point of a bowl whose sides are steep in one direction and gentle in the other."""
    steepness = torch.tensor([1.0, 20.0], dtype=torch.float64)
    values, optimizer = torch.tensor([2.0, -1.0], dtype=torch.float64), Case("optimizer", name, {"lr": 0.05}).make()
    optimizer.start(values)
    for step in range(2000):
        optimizer.step(values, steepness * values, 0.05 * 0.995**step)
    assert values.abs().max() < 1e-3


def test_the_first_step_of_adam_is_the_learning_rate_against_the_sign() -> None:
    """Both corrected means are those of the first gradient alone."""
    values, optimizer = torch.zeros(3, dtype=torch.float64), Case("optimizer", "adam", {"eps": 1e-12}).make()
    optimizer.start(values)
    optimizer.step(values, torch.tensor([100.0, -0.01, 3.0], dtype=torch.float64), 0.5)
    torch.testing.assert_close(values, torch.tensor([-0.5, 0.5, -0.5], dtype=torch.float64), rtol=1e-9, atol=0)


def test_adamw_decays_the_parameters_alone_and_adam_the_gradient() -> None:
    """Without a gradient of the loss, one shrinks a parameter by lr × weight_decay, the other makes a whole step."""
    found = {}
    for name in ("adam", "adamw"):
        values = torch.tensor([2.0], dtype=torch.float64)
        optimizer = Case("optimizer", name, {"weight_decay": 0.1}).make()
        optimizer.start(values)
        optimizer.step(values, torch.zeros(1, dtype=torch.float64), 0.5)
        found[name] = values.item()
    assert found == {"adam": pytest.approx(1.5), "adamw": pytest.approx(1.9)}


@pytest.mark.parametrize(
    ("name", "arguments", "names"),
    [
        ("rmsprop", {}, {"square"}),
        ("rmsprop", {"centered": True}, {"square", "mean"}),
        ("rmsprop", {"momentum": 0.5}, {"square", "velocity"}),
        ("adam", {}, {"mean", "square"}),
        ("adamw", {"amsgrad": True}, {"mean", "square", "largest_square"}),
    ],
)
def test_only_what_a_rule_needs_is_kept(name: str, arguments: dict[str, Any], names: set[str]) -> None:
    optimizer = Case("optimizer", name, arguments).make()
    optimizer.start(torch.zeros(3))
    assert set(optimizer.state) == names


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("adam", {"betas": [0.9, 1.0]}),
        ("adam", {"betas": [-0.1, 0.9]}),
        ("adamw", {"betas": [1.0, 0.9]}),
        ("adamw", {"betas": [0.9]}),
        ("adam", {"eps": 0.0}),
        ("rmsprop", {"alpha": 1.0}),
        ("rmsprop", {"lr": 0.0}),
    ],
)
def test_arguments_out_of_range_are_refused(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Case("optimizer", name, arguments).make()


def test_sgd_keeps_no_velocity_without_momentum() -> None:
    plain, heavy = SGD(0.1), SGD(0.1, momentum=0.5)
    for optimizer in (plain, heavy):
        optimizer.start(torch.zeros(3))
    assert plain.state == {}
    assert set(heavy.state) == {"velocity"}


def test_sgd_refuses_nesterov_without_momentum() -> None:
    with pytest.raises(ValueError, match="nesterov needs a momentum above 0"):
        SGD(0.1, nesterov=True)


def test_sgd_by_hand() -> None:
    values, optimizer = torch.tensor([1.0, -2.0], dtype=torch.float64), SGD(0.5, momentum=0.5)
    optimizer.start(values)
    optimizer.step(values, torch.tensor([1.0, 2.0], dtype=torch.float64), 0.5)
    assert values.tolist() == [0.5, -3.0]
    optimizer.step(values, torch.tensor([1.0, 2.0], dtype=torch.float64), 0.25)
    assert values.tolist() == [0.125, -3.75]  # the velocity is 1.5 times the gradient by now
