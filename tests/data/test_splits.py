"""Splits: which rows belong to which part."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit
from torch import Tensor

from minidl_cli.data.split import PARTS, Population, Split
from minidl_cli.data.splits.column import ByColumn
from minidl_cli.data.splits.random import Random, apportioned
from minidl_cli.data.splits.stratified import Stratified

CLASS_SIZES = st.lists(st.integers(5, 40), min_size=2, max_size=5)
SHARES = st.sampled_from([0.1, 0.2, 0.25, 1 / 3])
SEEDS = st.integers(0, 10**6)


def population(sizes: list[int]) -> Population:
    classes = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(1))
    return Population(len(classes), classes[order], [f"k{index}" for index in range(len(sizes))])


def counts(split: Split, rows: Population, seed: int) -> dict[str, list[int]]:
    assert rows.classes is not None
    return {
        name: rows.classes[places].bincount(minlength=len(rows.labels)).tolist()
        for name, places in split.parts(rows, seed).items()
    }


def assert_is_partition(parts: dict[str, Tensor], size: int) -> None:
    assert set(parts) <= set(PARTS)
    assert torch.cat(list(parts.values())).sort().values.tolist() == list(range(size))
    for rows in parts.values():
        assert rows.dtype == torch.int64
        assert len(rows)
        assert (rows.diff() > 0).all()


@pytest.mark.parametrize("kind", [Random, Stratified])
@given(sizes=CLASS_SIZES, test=SHARES, validation=SHARES, seed=SEEDS)
def test_every_row_is_in_one_part(
    kind: type[Random], sizes: list[int], test: float, validation: float, seed: int
) -> None:
    rows = population(sizes)
    parts = kind(test, validation).parts(rows, seed)
    assert_is_partition(parts, rows.size)
    assert len(parts["test"]) == round(test * rows.size)
    assert len(parts["validation"]) == round(validation * rows.size)


@pytest.mark.parametrize("kind", [Random, Stratified])
def test_a_seed_gives_the_same_rows_again_and_another_seed_others(kind: type[Random]) -> None:
    rows = population([20, 30])
    first, again, other = (kind().parts(rows, seed)["test"].tolist() for seed in (3, 3, 4))
    assert first == again != other


@given(sizes=CLASS_SIZES, test=SHARES, validation=SHARES, seed=SEEDS)
def test_stratified_sizes_of_classes_do_not_depend_on_the_seed(
    sizes: list[int], test: float, validation: float, seed: int
) -> None:
    rows, split = population(sizes), Stratified(test, validation)
    assert counts(split, rows, seed) == counts(split, rows, seed + 1)


@given(sizes=CLASS_SIZES, test=SHARES)
def test_stratified_shares_are_off_by_less_than_a_row(sizes: list[int], test: float) -> None:
    rows = population(sizes)
    taken = counts(Stratified(test), rows, 0)["test"]
    for size, given_by_class in zip(sizes, taken, strict=True):
        assert abs(given_by_class - sum(taken) * size / sum(sizes)) < 1


@pytest.mark.parametrize("sizes", [[50, 50, 50], [212, 357], [7, 13, 91], [178, 182, 177, 183, 181]])
@pytest.mark.parametrize("test", [0.2, 0.25, 0.5])
def test_stratified_sizes_are_those_of_scikit_learn(sizes: list[int], test: float) -> None:
    rows = population(sizes)
    assert rows.classes is not None
    taken = counts(Stratified(test), rows, 0)["test"]
    reference = StratifiedShuffleSplit(1, test_size=sum(taken), random_state=0)
    _, chosen = next(reference.split(rows.classes, rows.classes))
    theirs = rows.classes[chosen].bincount().tolist()
    remainders = {sum(taken) * size % sum(sizes) for size in sizes}
    if len(remainders) == len(sizes):  # scikit-learn lets chance decide between equal remainders
        assert taken == theirs
    assert sorted(taken) == sorted(theirs)


def test_equal_remainders_go_to_the_larger_class() -> None:
    assert apportioned(1, [10, 10]) == [1, 0]
    assert apportioned(2, [1, 3]) == [0, 2]  # exact shares 0.5 and 1.5
    assert apportioned(3, [5, 5, 5]) == [1, 1, 1]
    assert apportioned(0, [5, 5]) == [0, 0]


@pytest.mark.parametrize("kind", [Random, Stratified])
def test_a_split_may_make_no_test_part(kind: type[Random]) -> None:
    split = kind(test=0.0, validation=0.5)
    assert not split.takes_test
    assert set(split.parts(population([5, 5]), 0)) == {"train", "validation"}
    assert set(kind(test=0.0).parts(population([5, 5]), 0)) == {"train"}


@pytest.mark.parametrize("kind", [Random, Stratified])
def test_shares_leave_rows_for_training(kind: type[Random]) -> None:
    with pytest.raises(ValueError, match=r"must leave rows for training, but are 0.5 and 0.5"):
        kind(0.5, 0.5)


@pytest.mark.parametrize(
    ("split", "sizes", "problem"),
    [
        (Random(0.1), [2, 2], "0.1 of 4 rows are none for test; take a larger share"),
        (Random(0.9), [1, 1], "no row is left for training, of 2; take smaller shares"),
        (Random(0.5, 0.1), [2, 2], "0.1 of 4 rows are none for validation; take a larger share"),
        (Stratified(0.1), [2, 2], "0.1 of 4 rows are none for test; take a larger share"),
        (Stratified(0.6), [1, 10], "no row of class 'k0' is left for training, of 1; take smaller shares"),
    ],
)
def test_a_part_that_gets_no_rows_is_an_error(split: Split, sizes: list[int], problem: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        split.parts(population(sizes), 0)
    assert str(caught.value) == problem


def test_a_rare_class_goes_to_training() -> None:
    assert counts(Stratified(0.2), population([1, 49, 50]), 0)["train"][0] == 1


def test_a_column_tells_the_parts() -> None:
    said = torch.tensor([PARTS.index(part) for part in ("test", "train", "train", "validation", "test")])
    parts = ByColumn("part").parts(Population(5, parts=said), 0)
    assert {name: rows.tolist() for name, rows in parts.items()} == {"train": [1, 2], "validation": [3], "test": [0, 4]}


@pytest.mark.parametrize("missing", ["train", "test"])
def test_a_column_without_rows_for_a_part_is_an_error(missing: str) -> None:
    others = [place for place, name in enumerate(PARTS) if name != missing]
    with pytest.raises(ValueError, match=f"the split's column has no row for {missing}"):
        ByColumn("part").parts(Population(2, parts=torch.tensor(others)), 0)
