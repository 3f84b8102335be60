"""Legs: a chunk that is trained in many of them is the chunk that was trained at once; and how they are stopped."""

import pickle
import sys
from threading import Thread
from time import monotonic, sleep

import pytest

from minidl_cli.errors import TrainingError
from minidl_cli.sweeps import chunks
from minidl_cli.sweeps.chunks import train_chunk
from minidl_cli.sweeps.cluster import legs
from minidl_cli.sweeps.cluster.legs import Facts, Leg, hand_out, stop, train_leg
from minidl_cli.sweeps.timetable import Timetable
from minidl_cli.training.build import make_dataset
from minidl_cli.training.round import Round
from minidl_cli.training.trainer import EpochRecord, Trainer
from minidl_cli.training.trainers import Trainers
from tests.training.rounds import STOPPING


@pytest.fixture(autouse=True)
def sweep(monkeypatch, request):
    """The name of a sweep: its own for each test, as what stops a sweep may come late."""
    monkeypatch.setattr(legs, "GRACE_SECONDS", 0.05)
    return request.node.nodeid


def leg(config, saved=None, seconds=0.0, sweep="another"):
    saved = saved.encode() if saved else None
    hand_out(sweep, config, "cpu", make_dataset(config).parcel())
    return train_leg(sweep, tuple(config.seeds), saved, seconds)


def all_legs(config, seconds=0.0):
    """Return the legs of a config's rounds, each sent as over a network."""
    found = [leg(config, seconds=seconds)]
    while not found[-1].rounds:
        found.append(pickle.loads(pickle.dumps(leg(config, found[-1].checkpoint, seconds))))
    return found


def comparable(events):
    """Return events without what they took."""
    of_epochs = [(e.epoch, e.seeds, e.lr, str(e.metrics)) for e in events if isinstance(e, EpochRecord)]
    return of_epochs, [
        (e.seed, e.status, e.metrics, {name: values.tobytes() for name, values in e.weights.items()})
        for e in events
        if isinstance(e, Round)
    ]


@pytest.mark.parametrize(
    "settings", [(), ("training.compiled=never",), ("framework=torch", "sweep.rounds=1"), STOPPING]
)
def test_many_legs_are_one_training(small_config, settings):
    config = small_config("sweep.rounds=3", "training.epochs=5", *settings)
    chunk = tuple(config.seeds)
    at_once = list(train_chunk(Trainers(config), chunk, Timetable()))
    found = all_legs(config)
    assert len(found) > 3
    events = [event for each in found for event in (*each.records, *each.rounds)]
    assert comparable(events) == comparable(at_once)


def test_a_leg_that_has_the_time_comes_to_the_end(small_config):
    (whole,) = all_legs(small_config("training.epochs=3"), seconds=60)
    assert [each.epoch for each in whole.records] == [1, 2, 3]
    assert whole.checkpoint.epoch == 3
    assert [each.seed for each in whole.rounds] == [0]


def test_stopped_before_it_begins(small_config, sweep):
    stop(sweep)
    assert leg(small_config(), seconds=60, sweep=sweep) == Leg()
    assert leg(small_config(), seconds=60).rounds


def stop_within(monkeypatch, sweep, epoch, seconds):
    """Stop the sweep within an epoch, which then takes so long."""
    train = Trainer._train

    def stopped(trainer, lr):
        metrics = train(trainer, lr)
        if trainer.epoch == epoch:
            stop(sweep)
            for _ in range(int(100 * seconds)):
                sleep(0.01)
        return metrics

    monkeypatch.setattr(Trainer, "_train", stopped)


def test_stopped_at_the_end_of_an_epoch(small_config, monkeypatch, sweep):
    stop_within(monkeypatch, sweep, epoch=2, seconds=0)
    found = leg(small_config("training.compiled=never"), seconds=60, sweep=sweep)
    assert [each.epoch for each in found.records] == [1, 2]
    assert found.checkpoint.epoch == 2
    assert not found.rounds


def test_stopped_within_a_long_epoch(small_config, monkeypatch, sweep):
    monkeypatch.setattr("minidl_cli.sweeps.chunks.GRACE_SECONDS", 0)  # every epoch is a long one
    stop_within(monkeypatch, sweep, epoch=2, seconds=10)
    found = leg(small_config("training.compiled=never"), seconds=60, sweep=sweep)
    assert [each.epoch for each in found.records] == [1]
    assert found.checkpoint.epoch == 1


def test_what_came_too_late_is_not_raised_any_more(small_config, sweep):
    with legs._AtWork(sweep):
        pass
    legs._AtWork.interrupt(sweep)
    assert leg(small_config(), seconds=60, sweep=sweep).rounds


def test_what_is_raised_at_the_very_end_loses_nothing(small_config, monkeypatch):
    leave = legs._AtWork.__exit__

    def leave_late(self, *error):
        leave(self, *error)
        raise legs._Stopped

    monkeypatch.setattr(legs._AtWork, "__exit__", leave_late)
    assert leg(small_config(), seconds=60).rounds


def test_one_leg_at_a_time(small_config, monkeypatch):
    within, most = [], []
    train = Trainer._train

    def counted(trainer, lr):
        within.append(trainer)
        most.append(len({id(each) for each in within}))
        metrics = train(trainer, lr)
        sleep(0.01)
        within.remove(trainer)
        return metrics

    monkeypatch.setattr(Trainer, "_train", counted)
    config = small_config("training.compiled=never")
    threads = [Thread(target=leg, args=(config, None, 60.0)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 9
    assert set(most) == {1}


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (TrainingError(["a wheel", "came off"]), TrainingError(["a wheel", "came off"])),
        (MemoryError("no more"), MemoryError("no more")),
        (RuntimeError("can't allocate memory: 9 bytes"), MemoryError("can't allocate memory: 9 bytes")),
        (RecursionError("too deep"), RuntimeError("RecursionError: too deep\nOn a worker:\nTraceback")),
        (OSError(lambda: "what cannot be pickled"), RuntimeError("OSError: <function")),
    ],
    ids=["of minidl", "of memory", "of PyTorch's memory", "of depth", "that cannot be sent"],
)
def test_errors_come_as_results(small_config, monkeypatch, raised, told):
    def fail(trainer, lr):
        raise raised

    monkeypatch.setattr(Trainer, "_train", fail)
    error = pickle.loads(pickle.dumps(leg(small_config("training.compiled=never")))).error
    assert type(error) is type(told)
    assert str(error).startswith(str(told))


def test_without_data(small_config, monkeypatch, sweep):
    monkeypatch.setattr(legs, "_address", lambda: "tls://here:1")
    assert train_leg(sweep, (0,), None, 60) == Leg(without_data="tls://here:1")
    assert leg(small_config(), seconds=60, sweep=sweep).rounds
    assert train_leg(sweep, (0,), None, 60).rounds
    stop(sweep)
    assert sweep not in legs._trainers


def test_data_of_sweeps_that_are_not_heard_of_are_forgotten(small_config, sweep, monkeypatch):
    what = small_config(), "cpu", make_dataset(small_config()).parcel()
    hand_out(sweep, *what)
    hand_out(f"{sweep}, later", *what)
    assert sweep in legs._trainers
    monkeypatch.setitem(legs._AtWork.last_use, sweep, monotonic() - 2 * legs.FORGET_SECONDS)
    hand_out(f"{sweep}, later", *what)
    assert sweep not in legs._trainers


def test_building_the_trainer_takes_no_time_of_a_leg(small_config, monkeypatch):
    build = chunks._trainer
    monkeypatch.setattr(chunks, "_trainer", lambda *arguments: (sleep(0.3), build(*arguments))[1])
    assert leg(small_config(), seconds=0.2).rounds


def test_facts():
    here = Facts.here()
    assert here == Facts.here()
    assert here.python == "{}.{}".format(*sys.version_info)
    assert here.memory > 2**20
    assert bool(here.compiler) == bool(here.target)
