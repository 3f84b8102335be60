"""Programs: memory that is shared in turn, passes for each width, rounds one after the other."""

import random
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from minidl_cli.compiled.program import ALIGNMENT, _Memory
from minidl_cli.errors import CompilationError
from tests.compiled.repeating import assert_agree, repeat


@given(
    sizes=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 5)), max_size=60), fixed=st.sampled_from([0, 64, 640])
)
def test_places_in_use_never_overlap(sizes, fixed):
    """Each block is taken, and given back after a while."""
    memory, used = _Memory(fixed), {}
    for now, (size, duration) in enumerate(sizes):
        place = memory.take(size)
        used[now] = (place, size, now + duration)
        assert place % ALIGNMENT == 0
        assert fixed <= place <= place + size <= memory.size
        for other, (start, length, _) in used.items():
            assert other == now or place + size <= start or start + length <= place
        for gone in [each for each, (*_, end) in used.items() if end <= now]:
            memory.give_back(*used.pop(gone)[:2])


def test_memory_that_was_given_back_is_used_again():
    memory = _Memory()
    for _ in range(100):
        first, second = memory.take(100), memory.take(200)
        memory.give_back(first, 100)
        memory.give_back(second, 200)
    assert memory.size == 128 + 256


UNARY = [torch.neg, torch.tanh, torch.square, torch.relu, lambda x: x * 0.5, lambda x: x.mT.tanh().mT, torch.clone]
BINARY = [torch.add, torch.mul, torch.sub, torch.maximum, lambda x, y: torch.bmm(x.tanh(), y.mT.tanh()).tanh() * y]
CHANGES = [
    lambda x, y: x.mul_(0.5).add_(y),
    lambda x, y: x[:, 2:5].copy_(y[:, 1:4]),
    lambda x, y: x[:, :, 0].add_(y.sum(dim=2)),
    lambda x, y: x.mT.tanh_(),
]


def any_function(seed: int) -> Callable[..., Tensor]:
    """A function of three tensors: many random operations on all that there is, much of which is dropped on the way."""

    def function(*given: Tensor) -> Tensor:
        choose = random.Random(seed)
        pool = [each.clone() for each in given]
        for _ in range(40):
            kind, (x, y) = choose.randrange(4), choose.choices(pool, k=2)
            if kind == 0:
                pool.append(choose.choice(UNARY)(x))
            elif kind == 1:
                pool.append(choose.choice(BINARY)(x, y))
            elif kind == 2 and x is not y:
                choose.choice(CHANGES)(x, y)
            elif len(pool) > 2:
                pool.pop(choose.randrange(len(pool)))
        return torch.stack(pool)

    return function


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_whatever_is_done_to_memory_is_done_in_c(compiler, dtype):
    numbers = torch.Generator().manual_seed(2)
    tensors = [torch.randn(1, 9, 9, generator=numbers, dtype=dtype).tanh() for _ in range(3)]
    functions = {f"seed {seed}": any_function(seed) for seed in range(4)}
    assert_agree(repeat(compiler, functions, tensors), 1e4)


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        (lambda x: x + LAST_YEARS, "add reads what was there before the step"),
        (lambda x: torch.stack([x, LAST_YEARS]), "stack reads what was there before the step"),
        (lambda x: x * torch.from_numpy(x.numpy() * 2), "mul reads what was there before the step"),
        (lambda x: x * float(x.sum(dim=0, keepdim=True)), "no translation"),
        (lambda x: x.erfinv(), "erfinv has no translation"),
        (lambda x: x * x.sum(), "sum"),
        (lambda x: x - x.mean(), "mean"),
        (lambda x: x - x.max(), "max"),
        (lambda x: x - x.view(2, 3).sum((0, 1)), "sum"),
        (lambda x: x - x[0].sum(dim=0), "sum"),
        (lambda x: torch.div(x, 0.3, rounding_mode="floor"), "div"),
        (lambda x: x.clamp(min=x / 2), "a number that is itself computed"),
        (lambda x: x * ((x > 1) + (x > 0)), "add of numbers of these types"),
        (lambda x: x * (x.view(2, 3).max(dim=0).indices / 2).sum(dim=0, keepdim=True), "div of numbers of these types"),
        (lambda x: x.view(2, 3).sum(dim=0, dtype=torch.float64).mul_(2), "mul of numbers of these types"),
    ],
)
def test_what_cannot_be_repeated_is_refused(compiler, operation, problem):
    with pytest.raises(CompilationError, match=problem):
        repeat(compiler, {"operation": operation}, [torch.ones(6)])


LAST_YEARS = torch.ones(6)
