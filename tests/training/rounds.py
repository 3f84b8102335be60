"""Trained rounds, with all their numbers, as several batteries train and compare them."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import yaml

from minidl_cli.config.schema import Config
from minidl_cli.training.build import build
from minidl_cli.training.checkpoint import Checkpoint
from minidl_cli.training.round import Round
from minidl_cli.training.trainer import Trainer
from tests.components import Case, cases

MakeTrainer = Callable[[Config, Sequence[int]], Trainer]

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


# With this learning rate a linear network diverges from some seeds, in different epochs, and not from others.
DIVERGING = ["model=[linear: 7, linear: 5, linear: 2]", "optimizer.sgd.lr=0.84", "training.epochs=8"]
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


def with_component(case: Case) -> list[str]:
    """Return settings of the small config that put a component to use."""
    written = yaml.safe_dump({case.name: case.arguments}, default_flow_style=True, width=1000).strip()
    return ["model=[linear: 7, tanh, linear: 2, sigmoid]", PLACES[case.kind].replace("{}", written)]


@dataclass
class Trained:
    """A round with every number that was logged of it."""

    round: Round
    logged: list[dict[str, float]]


def operations(config: Config, seeds: Sequence[int]) -> Trainer:
    """Return the trainer by PyTorch's operations."""
    return Trainer(build(config), seeds)


def train(
    config: Config, seeds: Sequence[int], make: MakeTrainer = operations, *, stops: Container[int] = ()
) -> dict[int, Trained]:
    """Train rounds, by a new trainer from a checkpoint after each of the epochs in `stops`."""
    trainer, is_running = make(config, seeds), True
    logged: dict[int, list[dict[str, float]]] = {seed: [] for seed in seeds}
    while is_running:
        is_running = False
        for record in trainer.epochs():
            for index, seed in enumerate(record.seeds):
                logged[seed].append({name: float(values[index]) for name, values in record.metrics.items()})
            if record.epoch in stops:
                saved = Checkpoint.decode(trainer.checkpoint().encode())
                trainer, is_running = make(config, saved.stack), True
                trainer.restore(saved)
                break
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
