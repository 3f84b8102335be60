"""What comes of a chunk: records, checkpoints, rounds; and what comes last when it is interrupted."""

import signal

import pytest

from minidl_cli.interrupts import Interrupted
from minidl_cli.sweeps import chunks
from minidl_cli.sweeps.chunks import train_chunk
from minidl_cli.sweeps.timetable import Timetable
from minidl_cli.training.checkpoint import Checkpoint
from minidl_cli.training.round import Round
from minidl_cli.training.trainer import EpochRecord, Trainer
from minidl_cli.training.trainers import Trainers


@pytest.fixture
def config(small_config):
    return small_config("training.epochs=4", "training.compiled=never")


def events_of(config, chunk=(0, 1), saved=None):
    """Return the events of a chunk, and the type of what it raised."""
    found, events = [], train_chunk(Trainers(config), chunk, Timetable(), saved)
    try:
        for event in events:
            found.append(event)
    except (Interrupted, KeyboardInterrupt) as error:
        return found, type(error)
    return found, None


def kinds(events):
    names = {EpochRecord: "record", Checkpoint: "checkpoint", Round: "round"}
    return [
        f"{names[type(event)]} {getattr(event, 'epoch', event)}" for event in events if not isinstance(event, Round)
    ]


def interrupt_within(monkeypatch, epoch, error):
    """Raise an error within an epoch, when the parameters have changed."""
    train = Trainer._train

    def interrupted(trainer, lr):
        metrics = train(trainer, lr)
        if trainer.epoch == epoch:
            raise error
        return metrics

    monkeypatch.setattr(Trainer, "_train", interrupted)


def test_the_last_checkpoint_comes_before_the_rounds(config):
    events, error = events_of(config)
    assert kinds(events) == ["record 1", "record 2", "record 3", "record 4", "checkpoint 4"]
    assert [event.seed for event in events[5:]] == [0, 1]
    assert error is None


def test_a_signal_ends_the_epoch_at_hand(config, monkeypatch):
    records = train_chunk(Trainers(config), (0, 1), Timetable())
    assert [next(records).epoch for _ in range(2)] == [1, 2]
    monkeypatch.setattr(Interrupted, "_came", signal.SIGTERM)
    assert next(records).epoch == 2
    with pytest.raises(Interrupted):
        next(records)


@pytest.mark.parametrize("error", [Interrupted(signal.SIGTERM), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("epoch", [2, 3, 4])
def test_within_a_long_epoch_the_state_before_it_is_saved(config, monkeypatch, epoch, error):
    expected = events_of(config)[0]
    monkeypatch.setattr(chunks, "GRACE_SECONDS", 0)
    with monkeypatch.context() as patched:
        interrupt_within(patched, epoch, error)
        events, raised = events_of(config)
    assert kinds(events) == [*(f"record {done}" for done in range(1, epoch)), f"checkpoint {epoch - 1}"]
    assert raised is type(error)
    rest, _ = events_of(config, saved=events[-1])
    assert kinds(rest)[0] == f"record {epoch}"
    for one, other in zip(rest[-2:], expected[-2:], strict=True):
        assert {name: values.tobytes() for name, values in one.weights.items()} == {
            name: values.tobytes() for name, values in other.weights.items()
        }


def test_nothing_is_kept_where_epochs_are_short(config, monkeypatch):
    interrupt_within(monkeypatch, 3, Interrupted(signal.SIGTERM))
    assert kinds(events_of(config)[0]) == ["record 1", "record 2"]
