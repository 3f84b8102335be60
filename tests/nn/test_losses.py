"""The battery that every loss passes. The registry says which losses there are: a new one needs no edit here.

What PyTorch has too deserves a line in `COUNTERPARTS`, and its options sets of arguments in `ARGUMENTS`.
"""

from collections.abc import Callable
from itertools import pairwise, product
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from minidl_cli.data.dataset import encode
from tests.components import Case, cases, places

# PyTorch's loss of each entry, `[rounds, outputs, batch]`, or of each sample, `[rounds, 1, batch]`.
COUNTERPARTS: dict[str, Callable[..., Tensor]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
    "bce": F.binary_cross_entropy,
    "bce_with_logits": F.binary_cross_entropy_with_logits,
    "cross_entropy": lambda *arguments, **options: F.cross_entropy(*arguments, **options).unsqueeze(1),
}
# PyTorch's function that makes the outputs into what is compared with targets; the identity if there is none.
LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "bce_with_logits": torch.sigmoid,
    "cross_entropy": lambda output: torch.softmax(output, dim=1),
}
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "huber": [{"delta": 0.5}, {"reduction": "sum", "delta": 2.0}],
    "cross_entropy": [{"label_smoothing": 0.1}, {"reduction": "sum", "label_smoothing": 0.5}],
}

# Rounds, outputs, batch.
SHAPES = [(1, 1, 1), (1, 2, 20), (2, 1, 7), (2, 3, 1), (3, 5, 13)]
TAILS = [(1, 1), (2, 1), (1, 3), (2, 20), (3, 5), (5, 7), (10, 13), (1, 33), (25, 25)]

Shape = tuple[int, int, int]


def takes(case: Case, outputs: int) -> bool:
    return outputs >= int(case.make().fewest_outputs)


CASES = cases("loss", ARGUMENTS, Case)
every_loss = pytest.mark.parametrize("case", CASES, ids=str)
every_shape = pytest.mark.parametrize(
    ("case", "shape"), [pair for pair in product(CASES, SHAPES) if takes(pair[0], pair[1][1])], ids=str
)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(case: Case, shape: Shape, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Outputs away from the tenths, where losses may bend, and targets; logits of outputs that are probabilities."""
    rounds, outputs, batch = shape
    loss = case.make()
    values = torch.randn(shape, dtype=dtype, generator=generator(0))
    output = (values * 10).floor() / 10 + 0.03 + 0.04 * torch.rand(shape, dtype=dtype, generator=generator(1))
    if loss.takes_probabilities:
        output = 1 / (1 + torch.exp(-output))
    if not loss.needs_indicators:
        return output, (torch.randn(shape, dtype=dtype, generator=generator(2)) * 10).round() / 10
    labels = torch.randint(max(2, outputs), (rounds, batch), generator=generator(2))
    return output, torch.stack([encode(each, outputs, (0.0, 1.0), dtype) for each in labels])


def counterpart(case: Case, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """PyTorch's losses of the samples and of the batch."""
    options = {key: value for key, value in case.arguments.items() if key != "reduction"}
    entries = COUNTERPARTS[case.name](output, target, reduction="none", **options)
    match case.arguments.get("reduction", "mean"):
        case "mean":
            return entries.mean(dim=1), entries.mean(dim=(1, 2))
        case "sum_outputs":
            return entries.sum(dim=1), entries.sum(dim=1).mean(dim=1)
        case _:
            return entries.sum(dim=1), entries.sum(dim=(1, 2))


def test_every_reduction_is_tested() -> None:
    tested = {(case.name, case.arguments.get("reduction")) for case in CASES}
    elementwise = {"mse", "l1", "huber", "bce", "bce_with_logits"}
    assert tested >= set(product(elementwise, ["mean", "sum_outputs", "sum"]))
    assert tested >= {("cross_entropy", "mean"), ("cross_entropy", "sum")}


@every_shape
def test_shapes(case: Case, shape: Shape) -> None:
    output, target = problem(case, shape)
    loss = case.make()
    assert loss.forward(output, target).shape == (shape[0], shape[2])
    assert loss.total(output, target).shape == (shape[0],)
    assert loss.backward(output, target).shape == shape


@every_shape
def test_derivative_is_that_of_central_differences(case: Case, shape: Shape) -> None:
    output, target = problem(case, shape)
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


@every_shape
def test_derivative_is_that_of_autograd(case: Case, shape: Shape) -> None:
    output, target = problem(case, shape)
    loss, leaf = case.make(), output.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss.total(leaf, target).sum(), leaf)
    assert (loss.backward(output, target) - expected).abs().max() / expected.abs().max() <= 1e-12


@every_shape
def test_values_and_derivative_are_those_of_pytorch(case: Case, shape: Shape) -> None:
    if case.name not in COUNTERPARTS:
        pytest.skip("PyTorch has no such loss")
    output, target = problem(case, shape)
    loss, leaf = case.make(), output.clone().requires_grad_()
    samples, totals = counterpart(case, leaf, target)
    (derivative,) = torch.autograd.grad(totals.sum(), leaf)
    torch.testing.assert_close(loss.forward(output, target), samples.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(loss.total(output, target), totals.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(loss.backward(output, target), derivative, rtol=1e-12, atol=0)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", COUNTERPARTS)
def test_reductions_are_those_of_pytorch(name: str, reduction: str) -> None:
    case = Case("loss", name, {"reduction": reduction})
    output, target = problem(case, (1, 3, 7))
    function: Any = F.cross_entropy if name == "cross_entropy" else COUNTERPARTS[name]
    expected = float(function(output, target, reduction=reduction))
    assert float(case.make().total(output, target)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_defaults_are_those_of_pytorch(name: str) -> None:
    case = Case("loss", name, {})
    output, target = problem(case, (1, 3, 7))
    function: Any = F.cross_entropy if name == "cross_entropy" else COUNTERPARTS[name]
    assert float(case.make().total(output, target)) == pytest.approx(float(function(output, target)), rel=1e-14)


def test_cross_entropy_of_one_hot_targets_is_that_of_labels() -> None:
    labels = torch.tensor([[0, 2, 1, 2]])
    output = torch.randn((1, 3, 4), dtype=torch.float64, generator=generator(0))
    for smoothing in (0.0, 0.2):
        loss = Case("loss", "cross_entropy", {"label_smoothing": smoothing}).make()
        found = loss.forward(output, encode(labels[0], 3, (0.0, 1.0), torch.float64).unsqueeze(0))
        expected = F.cross_entropy(output, labels, reduction="none", label_smoothing=smoothing)
        torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_extreme_outputs_are_those_of_pytorch(case: Case, dtype: torch.dtype) -> None:
    """Every extreme with either target: the loss and its derivative are finite, and as PyTorch has them."""
    extremes = [0.0, 1e-45, 1e-7, 0.5, 1.0] if case.make().takes_probabilities else [-1e4, -100, -20, 0, 20, 100, 1e4]
    output = torch.tensor(list(product(extremes, repeat=2)), dtype=dtype).T.unsqueeze(0)
    for present in ([1.0, 0.0], [0.0, 1.0]):
        target = torch.tensor(present, dtype=dtype).view(1, 2, 1).expand(output.shape)
        loss, leaf = case.make(), output.clone().requires_grad_()
        found, derivative = loss.forward(output, target), loss.backward(output, target)
        assert found.isfinite().all()
        assert derivative.isfinite().all()
        assert loss.link(output).isfinite().all()
        if case.name in COUNTERPARTS:
            samples, totals = counterpart(case, leaf, target)
            (expected,) = torch.autograd.grad(totals.sum(), leaf)
            few_units = 4 * torch.finfo(dtype).eps
            torch.testing.assert_close(found, samples.detach(), rtol=few_units, atol=few_units)
            torch.testing.assert_close(derivative, expected, rtol=few_units, atol=few_units)


def test_errors_that_logits_would_round_away_are_kept() -> None:
    """A loss of log(1 + exp(−50)) is exp(−50), and 50 on the wrong side: not the log of a rounded probability."""
    output, target = torch.tensor([[[50.0, -50.0]]], dtype=torch.float64), torch.tensor([[[1.0, 1.0]]])
    losses = Case("loss", "bce_with_logits", {}).make().forward(output, target.double())
    assert losses[0].tolist() == pytest.approx([1.9287498479639178e-22, 50.0], rel=1e-14)


@every_loss
def test_the_link_is_that_of_pytorch(case: Case) -> None:
    loss, link = case.make(), LINKS.get(case.name, lambda output: output)
    output, _ = problem(case, (2, 3, 40))
    scales = [1] if loss.takes_probabilities else [1e-3, 1, 10, 100]
    for scale in scales:
        torch.testing.assert_close(loss.link(output * scale), link(output * scale), rtol=2e-14, atol=1e-300)


@every_loss
def test_a_link_goes_up_with_its_output_and_stays_on_the_scale_of_the_targets(case: Case) -> None:
    """Raising one output never lowers what it says, but for rounding: so the largest output remains the largest."""
    loss = case.make()
    if loss.takes_probabilities or not loss.needs_indicators:
        output, _ = problem(case, (2, 3, 40))
        assert torch.equal(loss.link(output), output)
        return
    rising = torch.linspace(-50, 50, 1001, dtype=torch.float64)
    others = torch.tensor([0.3, -1.0], dtype=torch.float64).unsqueeze(1).expand(2, 1001)
    linked = loss.link(torch.cat([rising.unsqueeze(0), others]).unsqueeze(0))[0]
    assert (linked >= 0).all()
    assert (linked <= 1).all()
    assert (linked[0].diff() >= -2 * torch.finfo(torch.float64).eps).all()
    assert linked[0, 0] < 1e-15 < 1 - 1e-15 < linked[0, -1]


def test_probabilities_of_classes_add_up_to_one() -> None:
    case = Case("loss", "cross_entropy", {})
    output, _ = problem(case, (3, 7, 13))
    sums = case.make().link(output * 10).sum(dim=1)
    torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=1e-14)


@every_loss
@settings(max_examples=30)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5), outputs=st.integers(1, 4))
def test_the_loss_of_a_joined_batch_is_that_of_its_parts_by_their_shares(
    case: Case, sizes: list[int], outputs: int
) -> None:
    loss, joined = case.make(), sum(sizes)
    output, target = problem(case, (2, max(outputs, loss.fewest_outputs), joined))
    ends = [0, *torch.tensor(sizes).cumsum(0).tolist()]
    parts = [(output[:, :, first:last], target[:, :, first:last]) for first, last in pairwise(ends)]
    shares = [loss.share(size, joined) for size in sizes]
    total = sum(share * loss.total(*part) for share, part in zip(shares, parts, strict=True))
    derivative = torch.cat([share * loss.backward(*part) for share, part in zip(shares, parts, strict=True)], dim=2)
    torch.testing.assert_close(loss.total(output, target), total, rtol=1e-13, atol=0)
    # A smoothed target can be as good as met: what is left of the difference is rounding.
    torch.testing.assert_close(loss.backward(output, target), derivative, rtol=1e-13, atol=1e-15)


@every_loss
def test_what_comes_in_is_left_as_it_is(case: Case) -> None:
    output, target = problem(case, (2, 3, 7))
    output_before, target_before, loss = output.clone(), target.clone(), case.make()
    for function in (loss.forward, loss.total, loss.backward):
        function(output, target)
    loss.link(output)
    assert torch.equal(output, output_before)
    assert torch.equal(target, target_before)


@every_loss
def test_shared_targets_are_repeated_ones(case: Case) -> None:
    output, target = problem(case, (3, 2, 7))
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
    functions = loss.forward, loss.total, loss.backward, lambda output, target: loss.link(output)
    for outputs, batch in [each for each in TAILS if takes(case, each[0])]:
        longer = problem(case, (rounds, outputs, batch + 8), dtype)

        def layout(tensor: Tensor, batch: int = batch) -> Tensor:
            part = tensor[:, :, 3 : 3 + batch]
            return part if is_sliced else part.contiguous()

        for function in functions:
            together = function(*map(layout, longer))
            for place in places(rounds):
                alone = function(*(layout(tensor[place : place + 1].clone()) for tensor in longer))
                assert alone.dtype == dtype
                assert torch.equal(alone[0], together[place]), f"round {place}, {outputs} outputs, {batch} samples"
