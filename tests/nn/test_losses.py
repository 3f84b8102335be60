"""The battery that every loss passes. The registry says which losses there are: a new one needs no edit here."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from minidl_cli.data.dataset import encode
from tests.components import Case, cases

# PyTorch's loss of each entry of `[outputs, batch]`.
COUNTERPARTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": lambda output, target: F.mse_loss(output, target, reduction="none"),
}
# The losses whose targets may be any number; those of others are the encoded classes.
REAL_TARGETS = {"mse"}

# Rounds, outputs, batch.
SHAPES = [(1, 1, 1), (1, 2, 20), (2, 1, 7), (2, 3, 1), (3, 5, 13)]
TAILS = [(1, 1), (2, 1), (1, 3), (2, 20), (3, 5), (5, 7), (10, 13), (1, 33), (25, 25)]


CASES = cases("loss", {}, Case)
every_loss = pytest.mark.parametrize("case", CASES, ids=str)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(name: str, shape: tuple[int, int, int], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Outputs away from the tenths, where losses may bend, and targets."""
    rounds, outputs, batch = shape
    values = torch.randn(shape, dtype=dtype, generator=generator(0))
    output = (values * 10).floor() / 10 + 0.03 + 0.04 * torch.rand(shape, dtype=dtype, generator=generator(1))
    if name in REAL_TARGETS:
        return output, torch.randn(shape, dtype=dtype, generator=generator(2))
    labels = torch.randint(max(2, outputs), (rounds, batch), generator=generator(2))
    return output, torch.stack([encode(each, outputs, (0.0, 1.0), dtype) for each in labels])


def test_every_reduction_is_tested() -> None:
    assert {case.arguments["reduction"] for case in CASES if case.name == "mse"} == {
        "mean",
        "sum_outputs",
        "sum",
    }


@every_loss
@every_shape
def test_shapes(case: Case, shape: tuple[int, int, int]) -> None:
    output, target = problem(case.name, shape)
    loss = case.make()
    assert loss.forward(output, target).shape == (shape[0], shape[2])
    assert loss.total(output, target).shape == (shape[0],)
    assert loss.backward(output, target).shape == shape


@every_loss
@every_shape
def test_derivative_is_that_of_central_differences(case: Case, shape: tuple[int, int, int]) -> None:
    output, target = problem(case.name, shape)
    loss, step = case.make(), 1e-5
    expected = torch.empty_like(output)
    flat = output.view(-1)
    for entry in range(len(flat)):
        before = flat[entry].item()
        flat[entry] = before + step
        above = loss.total(output, target).sum()
        flat[entry] = before - step
        expected.view(-1)[entry] = (above - loss.total(output, target).sum()) / (2 * step)
        flat[entry] = before
    error = (loss.backward(output, target) - expected).abs().max() / expected.abs().max()
    assert error <= 1e-7


@every_loss
@every_shape
def test_derivative_is_that_of_autograd(case: Case, shape: tuple[int, int, int]) -> None:
    output, target = problem(case.name, shape)
    loss, leaf = case.make(), output.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss.total(leaf, target).sum(), leaf)
    assert (loss.backward(output, target) - expected).abs().max() / expected.abs().max() <= 1e-12


@every_shape
@pytest.mark.parametrize("case", [case for case in CASES if case.name in COUNTERPARTS], ids=str)
def test_values_and_derivative_are_those_of_pytorch(case: Case, shape: tuple[int, int, int]) -> None:
    output, target = problem(case.name, shape)
    loss, reduction = case.make(), case.arguments["reduction"]
    leaf = output.clone().requires_grad_()
    entries = COUNTERPARTS[case.name](leaf, target)
    samples = entries.mean(dim=1) if reduction == "mean" else entries.sum(dim=1)
    totals = {
        "mean": lambda: entries.mean(dim=(1, 2)),
        "sum_outputs": lambda: entries.sum(dim=(1, 2)) / shape[2],
        "sum": lambda: entries.sum(dim=(1, 2)),
    }[reduction]()
    (derivative,) = torch.autograd.grad(totals.sum(), leaf)
    torch.testing.assert_close(loss.forward(output, target), samples.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(loss.total(output, target), totals.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(loss.backward(output, target), derivative, rtol=1e-12, atol=0)


def test_the_mean_of_mse_is_mse_loss() -> None:
    output, target = problem("mse", (1, 3, 7))
    found = Case("loss", "mse", {"reduction": "mean"}).make().total(output, target)
    assert float(found) == pytest.approx(float(F.mse_loss(output, target)), rel=1e-14)


@every_loss
def test_what_comes_in_is_left_as_it_is(case: Case) -> None:
    output, target = problem(case.name, (2, 3, 7))
    output_before, target_before, loss = output.clone(), target.clone(), case.make()
    for function in (loss.forward, loss.total, loss.backward):
        function(output, target)
    assert torch.equal(output, output_before)
    assert torch.equal(target, target_before)


@every_loss
def test_shared_targets_are_repeated_ones(case: Case) -> None:
    output, target = problem(case.name, (3, 2, 7))
    loss, shared = case.make(), target[:1].clone()
    repeated = shared.repeat(3, 1, 1)
    for function in (loss.forward, loss.total, loss.backward):
        assert torch.equal(function(output, shared), function(output, repeated))


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("rounds", [2, 3, 100])
@pytest.mark.parametrize("is_sliced", [False, True], ids=["contiguous", "sliced"])
def test_a_round_is_the_same_alone_and_stacked(case: Case, dtype: torch.dtype, rounds: int, is_sliced: bool) -> None:
    loss = case.make()
    for outputs, batch in TAILS:
        longer = problem(case.name, (rounds, outputs, batch + 8), dtype)

        def layout(tensor: Tensor, batch: int = batch) -> Tensor:
            part = tensor[:, :, 3 : 3 + batch]
            return part if is_sliced else part.contiguous()

        for function in (loss.forward, loss.total, loss.backward):
            together = function(*map(layout, longer))
            for place in range(rounds):
                alone = function(*(layout(tensor[place : place + 1].clone()) for tensor in longer))
                assert alone.dtype == dtype
                assert torch.equal(alone[0], together[place]), f"round {place}, {outputs} outputs, {batch} samples"
