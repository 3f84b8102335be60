"""The two promises: a round is the same alone or in company, and it never disturbs another."""

import pytest
import torch

from minidl_cli.training.build import build
from minidl_cli.training.trainer import Trainer
from tests.components import places
from tests.training.rounds import (
    COMPONENTS,
    DIVERGING,
    SHAPES,
    STOPPING,
    STOPPING_WITH_MORE_STATE,
    assert_same,
    train,
    with_component,
)


@pytest.mark.parametrize("settings", SHAPES.values(), ids=SHAPES.keys())
def test_round_is_the_same_alone_or_in_company(small_config, settings):
    config = small_config(*settings)
    alone = {seed: train(config, [seed])[seed] for seed in range(6)}
    for stack in ([0, 1], [3, 4, 5], [2, 0, 5, 4, 1, 3]):
        for seed, trained in train(config, stack).items():
            assert_same(trained, alone[seed])


@pytest.mark.parametrize("case", COMPONENTS, ids=str)
def test_round_with_any_component_is_the_same_alone_or_in_company(small_config, case):
    config = small_config(*with_component(case))
    stacked = train(config, [2, 0, 1])
    for seed in range(3):
        assert_same(stacked[seed], train(config, [seed])[seed])


@pytest.mark.parametrize(
    "name",
    [
        *["odd widths, ragged last batch", "hidden width one", "sigmoids", "own data"],
        *["dropout and batch_norm", "everything at once"],
    ],
)
def test_every_place_in_a_stack_of_a_hundred(small_config, name):
    """Every round has two places, of which either would give it away if the other were wrong; and some are alone."""
    config = small_config(*SHAPES[name])
    stacked, reversed_ = train(config, range(100)), train(config, range(99, -1, -1))
    for seed in range(100):
        assert_same(stacked[seed], reversed_[seed])
    for seed in places(100):
        assert_same(stacked[seed], train(config, [seed])[seed])


def test_threads_of_the_caller_change_nothing(small_config):
    """With two threads this network would get other bits in a stack than alone."""
    data = ["data.disc={train: 100, test: 1000}", "training.batch_size=20", "training.dtype=float64"]
    config = small_config(*data, "model=[linear: 16, linear: 8, linear: 1]")
    torch.set_num_threads(2)
    try:
        for seed, trained in train(config, range(5)).items():
            assert_same(trained, train(config, [seed])[seed])
    finally:
        torch.set_num_threads(1)


def test_rounds_differ(small_config):
    config = small_config()
    losses = [each.logged[-1]["train_loss"] for each in train(config, range(5)).values()]
    assert len(set(losses)) == 5


DIVERGED, FINISHED = [1, 2, 4, 6, 8, 10], [0, 3, 5, 7, 9]


def test_some_rounds_diverge(small_config):
    rounds = train(small_config(*DIVERGING), range(11))
    assert [seed for seed, each in rounds.items() if each.round.status == "diverged"] == DIVERGED
    assert {rounds[seed].round.epochs for seed in FINISHED} == {8}
    assert len({rounds[seed].round.epochs for seed in DIVERGED}) > 1
    for seed in DIVERGED:
        assert rounds[seed].round.metrics == {}
        assert len(rounds[seed].logged) == rounds[seed].round.epochs


@pytest.mark.parametrize(
    "stack",
    [[0, 3, 2, 5, 7], [0, 2], [2, 0, 4], [4, 2, 6, 0, 8, 3], [8, 5, 10, 2], range(11), [10, 8]],
    ids=["one of five", "half of two", "most of three", "most of six", "all but one", "most of eleven", "all"],
)
@pytest.mark.parametrize("data_seed", ["0", "round"])
def test_diverging_round_disturbs_nobody(small_config, stack, data_seed):
    config = small_config(*DIVERGING, f"data_seed={data_seed}", "optimizer.sgd.momentum=0.5")
    together = train(config, stack)
    assert sorted(together) == sorted(stack)
    for seed in stack:
        assert_same(together[seed], train(config, [seed])[seed])


def test_stack_is_rebuilt_without_those_that_diverged(small_config):
    trainer = Trainer(build(small_config(*DIVERGING)), [4, 2, 6, 0, 8, 3])
    sizes = [len(trainer.stack) for _ in trainer.epochs()]
    assert sizes[0] == 6
    assert sizes[-1] == 2
    assert trainer.stack == [0, 3]


def test_some_rounds_stop_early(small_config):
    rounds = [each.round for each in train(small_config(*STOPPING), range(11)).values()]
    assert {each.status for each in rounds} == {"finished", "diverged"}
    assert len({each.epochs for each in rounds if each.status == "finished"}) > 2
    more = [each.round for each in train(small_config(*STOPPING_WITH_MORE_STATE), range(11)).values()]
    assert len({each.epochs for each in more}) > 2


@pytest.mark.parametrize("settings", [STOPPING, STOPPING_WITH_MORE_STATE], ids=["some diverge", "more state"])
@pytest.mark.parametrize("data_seed", ["0", "round"])
def test_round_that_stops_early_disturbs_nobody(small_config, settings, data_seed):
    config = small_config(*settings, f"data_seed={data_seed}")
    alone = {seed: train(config, [seed])[seed] for seed in range(11)}
    for stack in (range(11), [9, 2], [3, 8, 5, 0], [1, 2, 4, 6, 8]):
        for seed, trained in train(config, stack).items():
            assert_same(trained, alone[seed])


def test_stack_is_rebuilt_without_those_that_stopped_early(small_config):
    trainer = Trainer(build(small_config(*STOPPING)), range(11))
    sizes = [len(trainer.stack) for _ in trainer.epochs()]
    assert sizes[0] == 11
    assert sizes[-1] < 3
