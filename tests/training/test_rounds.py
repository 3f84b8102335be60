"""The two promises: a round is the same alone or in company, and it never disturbs another."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
import yaml

from minidl_cli.config.schema import Config
from minidl_cli.training.build import build
from minidl_cli.training.trainer import Round, Trainer
from tests.components import Case, cases

SHAPES = {
    "odd widths, ragged last batch": [],
    "one output": ["model.4.linear=1"],
    "one output, batches of one": ["model.4.linear=1", "training.batch_size=1", "data.disc.train=9"],
    "last batch of one": ["training.batch_size=23"],
    "a single batch": ["training.batch_size=47"],
    "hidden width one": ["model=[linear: 1, sigmoid, linear: 3, linear: 1, tanh, linear: 2]"],
    # The matrix library is asked only for products of 400 multiplications and more.
    "large products with one column, forward": [
        "model=[linear: 25, tanh, linear: 25, linear: 2]",
        "data.disc.train=41",
    ],
    "large products with one column, backward": ["model=[linear: 1, tanh, linear: 64, linear: 2]"],
    "width of one and batches of one": ["model=[linear: 64, tanh, linear: 1]", "training.batch_size=1"],
    "wide": ["model=[linear: 65, relu, linear: 33, tanh, linear: 1]", "training.epochs=2"],
    "a last block of one in the evaluation": ["data.disc.test=513"],
    "several blocks of training samples": ["data.disc.train=10003", "training.batch_size=500", "training.epochs=1"],
    "sigmoids": ["model=[linear: 7, sigmoid, linear: 5, sigmoid, linear: 2, sigmoid]"],
    "identities, linear after linear": [
        "model=[identity, linear: 5, linear: {out_features: 3, bias: false}, linear: 2]"
    ],
    "double precision": ["training.dtype=float64"],
    "own data": ["data_seed=round"],
    "no shuffling, no last batch": ["training.shuffle=false", "training.drop_last=true"],
    "sum as loss, every third epoch logged": ["loss.mse=sum", "optimizer.sgd.lr=0.01", "training.log_every=3"],
    "nesterov and weight decay": ["optimizer.sgd={lr: 0.05, momentum: 0.9, nesterov: true, weight_decay: 0.01}"],
    "normal initial values": ["model.0.linear={out_features: 7, init: {normal: 0.5}}"],
    "steps of three batches, the last of two": ["training.accumulate=3"],
    "steps of more than an epoch": ["training.accumulate=9", "loss.mse=sum", "optimizer.sgd.lr=0.001"],
    "clipped gradients": ["training.clip_norm=0.05"],
    "a validation part": ["training.validation=0.2"],
    "a validation part of the round's own data": ["training.validation=0.3", "data_seed=round"],
    "dropout and batch_norm": ["model=[linear: 7, batch_norm, relu, dropout: 0.3, linear: 5, dropout, linear: 2]"],
    "dropout in joined batches": ["model=[linear: 7, tanh, dropout: 0.3, linear: 2]", "training.accumulate=2"],
    "dropout over several blocks": [
        "model=[linear: 2, dropout, linear: 2]",
        *("data.disc.train=10003", "training.batch_size=500", "training.epochs=1"),
    ],
    "everything at once": [
        "model=[linear: 7, batch_norm, leaky_relu, dropout: 0.2, linear: 5, layer_norm, gelu, linear: 1]",
        *("init=kaiming_normal", "loss=bce_with_logits", "optimizer={adamw: 0.01}", "training.schedule={cosine: 2}"),
        *("training.accumulate=2", "training.clip_norm=0.1", "training.validation=0.2", "data_seed=round"),
    ],
}

# Where each kind of component stands in a config. The last layer's outputs suit every loss.
PLACES = {
    "layer": "model=[linear: 7, {}, linear: 5, {}, linear: 2]",
    "loss": "loss={}",
    "optimizer": "optimizer={}",
    "schedule": "training.schedule={}",
    "initializer": "init={}",
}
COMPONENTS = [
    case
    for kind in PLACES
    for case in cases(kind, {"piecewise": [{"rates": {0: 0.1, 2: 0.01}}], "rmsprop": [{"momentum": 0.5}]}, Case)
]


@dataclass
class Trained:
    """A round with every number that was logged of it."""

    round: Round
    logged: list[dict[str, float]]


def train(config: Config, seeds: Sequence[int]) -> dict[int, Trained]:
    trainer = Trainer(build(config), seeds)
    logged: dict[int, list[dict[str, float]]] = {seed: [] for seed in seeds}
    for record in trainer.epochs():
        for index, seed in enumerate(record.seeds):
            logged[seed].append({name: float(values[index]) for name, values in record.metrics.items()})
    return {each.seed: Trained(each, logged[each.seed]) for each in trainer.rounds()}


def assert_same(one: Trained, other: Trained) -> None:
    assert repr(one.logged) == repr(other.logged)  # as text, NaN equals NaN
    assert (one.round.seed, one.round.status, one.round.epochs) == (
        other.round.seed,
        other.round.status,
        other.round.epochs,
    )
    assert one.round.metrics == other.round.metrics
    assert one.round.best_epoch == other.round.best_epoch
    for weights, same in [(one.round.weights, other.round.weights), (one.round.best or {}, other.round.best or {})]:
        assert weights.keys() == same.keys()
        for name, values in weights.items():
            assert values.tobytes() == same[name].tobytes(), name  # by value, -0 and 0 were the same


@pytest.mark.parametrize("settings", SHAPES.values(), ids=SHAPES.keys())
def test_round_is_the_same_alone_or_in_company(small_config, settings):
    config = small_config(*settings)
    alone = {seed: train(config, [seed])[seed] for seed in range(6)}
    for stack in ([0, 1], [3, 4, 5], [2, 0, 5, 4, 1, 3]):
        for seed, trained in train(config, stack).items():
            assert_same(trained, alone[seed])


@pytest.mark.parametrize("case", COMPONENTS, ids=str)
def test_round_with_any_component_is_the_same_alone_or_in_company(small_config, case):
    written = yaml.safe_dump({case.name: case.arguments}, default_flow_style=True, width=1000).strip()
    settings = ["model=[linear: 7, tanh, linear: 2, sigmoid]", PLACES[case.kind].replace("{}", written)]
    config = small_config(*settings)
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
    config = small_config(*SHAPES[name])
    stacked = train(config, range(100))
    for seed in range(100):
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


# With this learning rate a linear network diverges from some seeds, in different epochs, and not from others.
DIVERGING = ["model=[linear: 7, linear: 5, linear: 2]", "optimizer.sgd.lr=0.84", "training.epochs=8"]
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


# Of these rounds some diverge, some stop early in different epochs, and few are left in the end.
STOPPING = [
    *("model=[linear: 7, linear: 5, linear: 2]", "optimizer.sgd={lr: 0.84, momentum: 0.1}", "training.epochs=12"),
    *("training.validation=0.2", "training.early_stopping={patience: 2}"),
]
# These have more to lose when a stack is rebuilt: buffers, noise, the state of an optimizer.
STOPPING_WITH_MORE_STATE = [
    "model=[linear: 7, batch_norm, tanh, dropout: 0.3, linear: 2]",
    *("optimizer={adam: 0.1}", "training.epochs=15", "training.log_every=2", "training.clip_norm=0.5"),
    *("training.validation=0.2", "training.early_stopping={patience: 3, monitor: validation_mse, min_delta: 0.001}"),
]


def test_some_rounds_stop_early(small_config):
    rounds = [each.round for each in train(small_config(*STOPPING), range(11)).values()]
    assert {each.status for each in rounds} == {"finished", "diverged"}
    assert len({each.epochs for each in rounds if each.status == "finished"}) > 2
    more = [each.round for each in train(small_config(*STOPPING_WITH_MORE_STATE), range(11)).values()]
    assert len({each.epochs for each in more}) > 2


@pytest.mark.parametrize("settings", [STOPPING, STOPPING_WITH_MORE_STATE], ids=["some diverge", "more state"])
@pytest.mark.parametrize("data_seed", ["0", "round"])
@pytest.mark.parametrize("stack", [range(11), [9, 2], [3, 8, 5, 0], [1, 2, 4, 6, 8]], ids=str)
def test_round_that_stops_early_disturbs_nobody(small_config, settings, data_seed, stack):
    config = small_config(*settings, f"data_seed={data_seed}")
    for seed, trained in train(config, stack).items():
        assert_same(trained, train(config, [seed])[seed])


def test_stack_is_rebuilt_without_those_that_stopped_early(small_config):
    trainer = Trainer(build(small_config(*STOPPING)), range(11))
    sizes = [len(trainer.stack) for _ in trainer.epochs()]
    assert sizes[0] == 11
    assert sizes[-1] < 3
