"""A stack that goes on from a checkpoint gives the same numbers as one that never stopped."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load, save

from minidl_cli.reference.torch_trainer import TorchTrainer, check_moments
from minidl_cli.training.build import build
from minidl_cli.training.checkpoint import Checkpoint, largest_file
from minidl_cli.training.round import Round
from minidl_cli.training.trainer import Trainer
from minidl_cli.training.trainers import Trainers
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


def fastest(config, seeds):
    return Trainers(config).of(seeds)


@pytest.mark.parametrize("settings", SHAPES.values(), ids=SHAPES.keys())
def test_shapes_and_options(small_config, settings):
    assert_stops_change_nothing(small_config(*settings), [2, 0, 1])


@pytest.mark.parametrize("case", COMPONENTS, ids=str)
def test_components(small_config, case):
    assert_stops_change_nothing(small_config(*with_component(case)), [2, 0, 1])


@pytest.mark.parametrize("make", [operations, fastest, torch])
@pytest.mark.parametrize("settings", [STOPPING, STOPPING_WITH_MORE_STATE], ids=["some diverge", "more state"])
def test_rounds_that_stop(small_config, settings, make):
    assert_stops_change_nothing(small_config(*settings), range(11), make)


@pytest.mark.parametrize(
    ("make", "optimizer"),
    [*((torch, each) for each in OPTIMIZERS), *((fastest, each) for each in OPTIMIZERS[1:4])],
)
def test_optimizers_of_other_trainers(small_config, optimizer, make):
    assert_stops_change_nothing(small_config(*BUSY, optimizer), [2, 0, 1], make)


def test_steps_are_compiled(small_config):
    assert type(Trainers(small_config(*BUSY, OPTIMIZERS[1])).of([0])) is not Trainer


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
    saved = after_an_epoch(small_config())
    with pytest.raises(ValueError, match=r"is .*, not ") as caught:
        saved.check(build(small_config(*settings)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [operations, torch])
@pytest.mark.parametrize("settings", [*SHAPES.values(), BUSY, ["training.epochs=0"]], ids=str)
def test_a_checkpoint_fits_its_own_config(small_config, settings, make):
    config = small_config(*settings, *framework(make))
    saved, task = after_an_epoch(config, make), build(config)
    saved.check(task)
    if make is torch:
        check_moments(saved, task)


@pytest.mark.parametrize("case", COMPONENTS, ids=str)
def test_a_checkpoint_fits_its_own_components(small_config, case):
    config = small_config(*with_component(case))
    after_an_epoch(config).check(build(config))


@pytest.mark.parametrize("make", [operations, torch])
@pytest.mark.parametrize("settings", [STOPPING, STOPPING_WITH_MORE_STATE], ids=["some diverge", "more state"])
def test_checkpoints_with_rounds_that_stopped_fit(small_config, settings, make):
    config = small_config(*settings, *framework(make))
    trainer, task, sizes = make(config, range(11)), build(config), set()
    for _ in trainer.epochs():
        saved = Checkpoint.decode(trainer.checkpoint().encode())
        saved.check(task)
        if make is torch:
            check_moments(saved, task)
        sizes.add((len(saved.stack), len(saved.stopped)))
    assert len(sizes) > 2


def test_the_number_of_steps_has_to_be_that_of_the_epochs(small_config):
    config = small_config(*BUSY, "optimizer={adam: 0.01}")
    saved = after_an_epoch(config)
    for steps in (0, saved.steps + 1, 10**400):
        with pytest.raises(ValueError, match="1 epochs take 5 steps"):
            replace(saved, steps=steps).check(build(config))


@pytest.mark.parametrize("name", ["best.epochs", "best.waiting_since"])
@pytest.mark.parametrize("epoch", [-1, 2, 2**62])
def test_the_best_epochs_are_among_those_trained(small_config, name, epoch):
    config = small_config("training.validation=0.2")
    saved = after_an_epoch(config)
    altered = replace(saved, state=saved.state | {name: np.array([1, epoch])})
    with pytest.raises(ValueError, match=f"{name} is of none"):
        altered.check(build(config))


def test_moments_where_pytorch_trains_only(small_config):
    saved = after_an_epoch(small_config())
    with pytest.raises(ValueError, match="PyTorch"):
        replace(saved, moments={"0.step": np.zeros(2)}).check(build(small_config()))


@pytest.mark.parametrize("which", ["weights", "best"])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"0.weight": None},
        {"0.weight": np.zeros((7, 3), np.float32)},
        {"0.weight": np.zeros((2, 7, 2), np.float32)},
        {"0.weight": np.float32(0)},
        {"0.weight": np.zeros((7, 2))},
        {"0.weigh\nt" * 100: np.zeros(3, np.float32)},
    ],
    ids=str,
)
def test_rounds_that_stopped_have_the_weights_of_the_config(small_config, which, change):
    config = small_config(*STOPPING)
    saved = Checkpoint.decode(stopped(config).encode())
    one, *others = saved.stopped
    changed = {**getattr(one, which), **change}
    weights = {name: values for name, values in changed.items() if values is not None}
    altered = replace(saved, stopped=[replace(one, **{which: weights}), *others])
    if not change:
        altered.check(build(config))
        return
    with pytest.raises(ValueError, match=r"0\.weigh.* is .*, not ") as caught:
        altered.check(build(config))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_rounds_that_stopped_have_best_weights_as_the_config_says(small_config):
    saved, task = stopped(small_config(*STOPPING)), build(small_config(*STOPPING))
    without = [replace(each, best=None, best_epoch=None) for each in saved.stopped]
    with pytest.raises(ValueError, match="is none, not float32"):
        replace(saved, stopped=without).check(task)
    unvalidated = [*STOPPING[:2], "training.epochs=12"]
    saved, task = stopped(small_config(*unvalidated)), build(small_config(*unvalidated))
    with_best = [replace(each, best=each.weights, best_epoch=0) for each in saved.stopped]
    with pytest.raises(ValueError, match=r"is float32 .*, not none"):
        replace(saved, stopped=with_best).check(task)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("epochs", [0, 1])
def test_moments_of_every_optimizer(small_config, optimizer, epochs):
    config = small_config(*BUSY, optimizer, "framework=torch", f"training.epochs={epochs}")
    saved, task = after_an_epoch(config, torch), build(config)
    check_moments(saved, task)
    for name in saved.moments:
        with pytest.raises(ValueError, match=rf"{name} is none"):
            check_moments(without_moment(saved, name), task)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x.y", np.zeros((2, 1), np.float32)),
        ("0.y", np.zeros((2, 1), np.float32)),
        ("99.exp_avg", np.zeros((2, 7, 2), np.float32)),
        ("step", np.zeros(2, np.float32)),
        ("", np.zeros(2, np.float32)),
        ("0.exp_avg", np.zeros((2, 1), np.float32)),
        ("0.exp_avg", np.zeros((3, 7, 2), np.float32)),
        ("0.exp_avg", np.zeros((), np.float32)),
        ("0.exp_avg", np.zeros((2, 7, 2))),
        ("0.step", np.zeros((2, 1), np.float32)),
        ("0.step", np.zeros((), np.float32)),
        ("0.step", np.array([3, -1], np.float32)),
        ("0.step", np.array([3, np.nan], np.float32)),
    ],
)
def test_moments_that_are_none(small_config, name, values):
    config = small_config("optimizer={adam: 0.01}", "framework=torch")
    saved = after_an_epoch(config, torch)
    with pytest.raises(ValueError, match="is"):
        check_moments(replace(saved, moments=saved.moments | {name: values}), build(config))


def framework(make):
    return ["framework=torch"] if make is torch else []


def after_an_epoch(config, make=operations):
    """Return the checkpoint of two rounds after the first epoch."""
    trainer = make(config, [3, 4])
    next(trainer.epochs(), None)
    return trainer.checkpoint()


def stopped(config):
    """Return the first checkpoint after some rounds have stopped."""
    trainer = operations(config, range(11))
    return next(saved for saved in (trainer.checkpoint() for _ in trainer.epochs()) if saved.stopped)


def without_moment(saved, name):
    return replace(saved, moments={each: values for each, values in saved.moments.items() if each != name})


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


def forged(saved, facts=None, arrays=None):
    """Return the content of a checkpoint's file with other facts and arrays; those that are None are left out."""
    content = load(saved.encode())
    altered = json.loads(content["facts"].tobytes()) | (facts or {})
    content["facts"] = np.frombuffer(json.dumps(altered).encode(), np.uint8)
    return save({name: values for name, values in {**content, **(arrays or {})}.items() if values is not None})


def stopped_round(seed, epochs=1, best_epoch=0, **others):
    return {"seed": seed, "status": "finished", "epochs": epochs, "best_epoch": best_epoch} | others


@pytest.fixture
def saved_with_two_stopped(small_config):
    """A checkpoint after two epochs, with two rounds that stopped after the first."""
    trainer = operations(small_config("training.validation=0.2"), [3, 4, 5])
    epochs = trainer.epochs()
    next(epochs)
    trainer.stopped = {each.seed: each for each in trainer._rounds([0, 1], "finished")}
    next(epochs)
    return trainer.checkpoint()


def test_what_does_not_contradict_itself(saved_with_two_stopped):
    assert Checkpoint.decode(forged(saved_with_two_stopped)).encode() == saved_with_two_stopped.encode()
    Checkpoint.decode(forged(saved_with_two_stopped, {"stopped": [stopped_round(3), stopped_round(4)]}))


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"stack": []}, "no rounds"),
        ({"stack": [3, 4, 3]}, "a seed twice"),
        ({"stopped": [stopped_round(3), stopped_round(3)]}, "a seed twice"),
        ({"stopped": [stopped_round(3), stopped_round(4, epochs=3)]}, "stopped later"),
        ({"stopped": [stopped_round(3), stopped_round(4, best_epoch=2)]}, "stopped later"),
        ({"stopped": [stopped_round(3), stopped_round(4, best_epoch=None)]}, "of some rounds only"),
        ({"stopped": [stopped_round(3, best_epoch=None), stopped_round(4, best_epoch=None)]}, "best weights are not"),
        ({"stopped": [stopped_round(3)]}, "not of the same number"),
        ({"stopped": []}, "not of the same number"),
        ({"stopped": [stopped_round(seed) for seed in (3, 4, 5)]}, "not of the same number"),
        ({"stopped": [stopped_round(3), stopped_round(4, status="failed")]}, "it is no checkpoint"),
        ({"epoch": 10**20}, "too long"),
        ({"seconds": 1e300}, "too long"),
        ({"seconds": float("inf")}, "it is no checkpoint"),
    ],
)
def test_facts_that_contradict_each_other(saved_with_two_stopped, facts, problem):
    with pytest.raises(ValueError, match=problem):
        Checkpoint.decode(forged(saved_with_two_stopped, facts))


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"more": np.zeros(2)}, "arrays of no kind"),
        ({"state": np.zeros(2)}, "arrays of no kind"),
        ({"stopped.wEIGHTS.0.weight": np.zeros(2)}, "arrays of no kind"),
        ({"facts.": np.zeros(2)}, "arrays of no kind"),
        ({"stopped.weights.0.weight": np.zeros(())}, "not of the same number"),
        ({"stopped.best.0.weight": np.zeros((1, 7, 2))}, "not of the same number"),
    ],
)
def test_arrays_that_contradict_the_facts(saved_with_two_stopped, arrays, problem):
    with pytest.raises(ValueError, match=problem):
        Checkpoint.decode(forged(saved_with_two_stopped, arrays=arrays))


def test_best_weights_that_are_missing_or_of_nothing(saved_with_two_stopped):
    best = [name for name in load(saved_with_two_stopped.encode()) if name.startswith("stopped.best.")]
    with pytest.raises(ValueError, match="best weights are not"):
        Checkpoint.decode(forged(saved_with_two_stopped, arrays=dict.fromkeys(best)))
    of_none = replace(saved_with_two_stopped, stopped=[])
    with pytest.raises(ValueError, match="not of the same number"):
        Checkpoint.decode(forged(of_none, arrays={"stopped.best.0.weight": np.zeros((0, 7, 2))}))


@pytest.mark.parametrize("settings", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("framework", ["minidl", "torch"])
def test_no_file_is_larger_than_the_largest(small_config, settings, framework):
    config = small_config(*settings, "optimizer={adam: {lr: 0.01, amsgrad: true}}", f"framework={framework}")
    task = build(config)
    trainer = (torch if framework == "torch" else operations)(config, [0, 1, 2])
    next(trainer.epochs())
    saved = trainer.checkpoint()
    one = {name: values[0] for name, values in trainer.network.state().items()}
    weights = {name: values.numpy() for name, values in one.items()}
    best = (weights, 10**9) if "validation" in task.sizes else (None, None)
    stopped = [Round(10**18 - 1 - seed, "finished", 10**9, weights, *best) for seed in range(3)]
    assert len(replace(saved, stopped=stopped).encode()) + 32 <= largest_file(task, 3)
