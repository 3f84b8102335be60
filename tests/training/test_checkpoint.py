"""A stack that goes on from a checkpoint gives the same numbers as one that never stopped."""

import numpy as np
import pytest

from minidl_cli.errors import InputError
from minidl_cli.reference.torch_trainer import TorchTrainer
from minidl_cli.training import checkpoint
from minidl_cli.training.build import build
from minidl_cli.training.checkpoint import Checkpoint, Timetable
from minidl_cli.training.compiled import make_trainer
from minidl_cli.training.trainer import Trainer
from tests.training.rounds import (
    COMPONENTS,
    SHAPES,
    STOPPING,
    STOPPING_WITH_MORE_STATE,
    Trained,
    assert_same,
    operations,
    train,
    with_component,
)

EVERY = range(1, 100)
# What PyTorch's modules have, too.
OPTIMIZERS = [
    "optimizer={sgd: {lr: 0.1}}",
    "optimizer={sgd: {lr: 0.1, momentum: 0.9, nesterov: true}}",
    "optimizer={rmsprop: {lr: 0.01, momentum: 0.5}}",
    "optimizer={adam: {lr: 0.01, amsgrad: true}}",
    "optimizer={adamw: {lr: 0.01}}",
]
BUSY = ["model=[linear: 7, batch_norm, tanh, dropout: 0.3, linear: 2]", "training.schedule={cosine: 1}"]


def torch(config, seeds):
    return TorchTrainer(build(config), seeds)


def assert_stops_change_nothing(config, seeds, make=operations):
    through = train(config, seeds, make)
    for seed, trained in train(config, seeds, make, stops=EVERY).items():
        assert_same(trained, through[seed])


@pytest.mark.parametrize("settings", SHAPES.values(), ids=SHAPES.keys())
def test_shapes_and_options(small_config, settings):
    assert_stops_change_nothing(small_config(*settings), [2, 0, 1])


@pytest.mark.parametrize("case", COMPONENTS, ids=str)
def test_components(small_config, case):
    assert_stops_change_nothing(small_config(*with_component(case)), [2, 0, 1])


@pytest.mark.parametrize("make", [operations, make_trainer, torch])
@pytest.mark.parametrize("settings", [STOPPING, STOPPING_WITH_MORE_STATE], ids=["some diverge", "more state"])
def test_rounds_that_stop(small_config, settings, make):
    assert_stops_change_nothing(small_config(*settings), range(11), make)


@pytest.mark.parametrize("make", [make_trainer, torch])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_of_other_trainers(small_config, optimizer, make):
    assert_stops_change_nothing(small_config(*BUSY, optimizer), [2, 0, 1], make)


def test_steps_are_compiled(small_config):
    assert type(make_trainer(small_config(*BUSY), [0])) is not Trainer


@pytest.mark.parametrize("settings", [BUSY, STOPPING], ids=["busy", "stopping"])
def test_encoding_keeps_every_bit(small_config, settings):
    trainer = operations(small_config(*settings), range(5))
    for _ in trainer.epochs():
        saved = trainer.checkpoint()
        again = Checkpoint.decode(saved.encode())
        assert (again.epoch, again.seconds, again.steps, again.stack) == (
            saved.epoch,
            saved.seconds,
            saved.steps,
            saved.stack,
        )
        assert {name: values.tobytes() for name, values in again.state.items()} == {
            name: values.tobytes() for name, values in saved.state.items()
        }
        for one, other in zip(again.stopped, saved.stopped, strict=True):
            assert_same(Trained(one, []), Trained(other, []))
        assert again.seeds == [0, 1, 2, 3, 4]
        assert again.encode() == saved.encode()


def test_checkpoint_is_a_copy(small_config):
    trainer = operations(small_config(*BUSY), [0])
    epochs = trainer.epochs()
    next(epochs)
    saved = trainer.checkpoint()
    before = saved.encode()
    next(epochs)
    assert saved.encode() == before


@pytest.mark.parametrize(
    "settings",
    [
        ["model.0.linear=8"],
        ["model=[linear: 7, batch_norm, linear: 5, relu, linear: 2]"],
        ["optimizer={adam: 0.1}"],
        ["optimizer.sgd.momentum=0"],
        ["training.dtype=float64"],
        ["training.validation=0.2"],
    ],
    ids=str,
)
def test_a_checkpoint_of_another_config_is_refused(small_config, settings):
    trainer = operations(small_config(), [3, 4])
    next(trainer.epochs())
    with pytest.raises(InputError, match=r"the checkpoint of seed 3 does not fit the config: .* is .*, not ") as caught:
        operations(small_config(*settings), [3, 4]).restore(trainer.checkpoint())
    assert len(caught.value.problems) == 1


def _altered(content, old, new):
    assert content.count(old) == 1
    return content.replace(old, new)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[:100],
        lambda content: b"\0" * len(content),
        lambda content: _altered(content, b'"facts"', b'"farts"'),
        lambda content: _altered(content, b'"epoch":1', b'"epoch":x'),
        lambda content: _altered(content, b'"epoch":1', b'"epoch":-'),
        lambda content: _altered(content, b'"epoch":1', b'"epock":1'),
    ],
)
def test_what_is_no_checkpoint(small_config, damage):
    trainer = operations(small_config(), [0])
    next(trainer.epochs())
    with pytest.raises(ValueError, match="it is no checkpoint"):
        Checkpoint.decode(damage(trainer.checkpoint().encode()))


class TestTimetable:
    @pytest.fixture
    def clock(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(checkpoint, "monotonic", lambda: self.now)

    def due_times(self, every, seconds, until=1000):
        self.now = 0.0
        timetable, found = Timetable(), []
        for self.now in np.arange(0.0, until, 0.25):
            if timetable.is_due(every):
                found.append(self.now)
                timetable.took(seconds)
        return found

    def test_every_so_many_seconds(self, clock):
        assert self.due_times(30, 0.01, 100) == [30, 60, 90]
        assert self.due_times(0.5, 0.001, 2) == [0.5, 1.0, 1.5]

    @pytest.mark.parametrize("seconds", [0.25, 1, 7])
    def test_never_takes_more_than_a_hundredth(self, clock, seconds):
        due = self.due_times(0.01, seconds)
        assert len(due) * seconds <= 1000 / 100 + seconds
