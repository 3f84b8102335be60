"""Random numbers are a pure function of what they are for."""

from itertools import product
from typing import get_args

import pytest
import torch

from minidl_cli.randomness import Purpose, generator

PURPOSES = get_args(Purpose)


def numbers(seed: int, purpose: Purpose, epoch: int = 0) -> list[float]:
    return torch.rand(4, dtype=torch.float64, generator=generator(seed, purpose, epoch)).tolist()


@pytest.mark.parametrize("purpose", PURPOSES)
def test_the_same_purpose_gives_the_same_numbers(purpose: Purpose) -> None:
    assert numbers(3, purpose, 5) == numbers(3, purpose, 5)


def test_generators_do_not_share_their_state() -> None:
    first, second = generator(3, "train data"), generator(3, "train data")
    torch.rand(100, generator=first)
    assert torch.rand(1, generator=second) == torch.rand(1, generator=generator(3, "train data"))


def test_a_used_generator_begins_anew() -> None:
    used = torch.Generator()
    torch.randn(3, generator=used)
    again = generator(3, "noise", 5, used)
    assert again is used
    assert torch.equal(torch.randn(9, generator=again), torch.randn(9, generator=generator(3, "noise", 5)))


def test_every_seed_purpose_and_epoch_has_numbers_of_its_own() -> None:
    """Among them pairs whose digits are the same when written without a gap, as 1 and 12, 11 and 2."""
    uses = list(product([0, 1, 2, 11, 111, 2**40, 10**18 - 1], PURPOSES, [0, 1, 2, 11, 12, 112]))
    drawn = {tuple(numbers(*use)) for use in uses}
    assert len(drawn) == len(uses)


def test_neighbouring_seeds_are_uncorrelated() -> None:
    drawn = torch.stack([torch.randn(2000, generator=generator(seed, "parameters")) for seed in range(20)])
    correlations = torch.corrcoef(drawn) - torch.eye(20)
    assert correlations.abs().max() < 5 / 2000**0.5


def test_the_default_epoch_is_that_of_what_is_drawn_once() -> None:
    assert numbers(1, "order") == numbers(1, "order", 0)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    numbers(1, "train data", 3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("use", "seed"),
    [
        ((0, "train data", 0), 16997265221812142214),
        ((0, "parameters", 0), 14564145836059527260),
        ((7, "parameters", 0), 13364591807061663253),
        ((7, "order", 1), 12277621619514057580),
        ((999999999999999999, "order", 1000), 894651164664610887),
        ((0, "validation", 0), 17841941159712687210),
        ((7, "noise", 3), 12667399066429206800),
        ((0, "bootstrap", 0), 1235076423397757105),
    ],
)
def test_the_scheme_is_pinned(use: tuple[int, Purpose, int], seed: int) -> None:
    """Another scheme gives other results for every config there is: it must not change unnoticed."""
    assert generator(*use).initial_seed() == seed


def test_the_first_numbers_are_pinned() -> None:
    drawn = torch.rand(3, dtype=torch.float64, generator=generator(7, "parameters"))
    assert drawn.tolist() == [0.8429485952138729, 0.5734378297992277, 0.42715559685854665]
    assert torch.randperm(8, generator=generator(7, "order", 1)).tolist() == [2, 3, 4, 0, 6, 5, 1, 7]
