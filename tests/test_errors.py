"""How a signal stops a process: at once, or where it is asked for."""

import os
import signal
import time

import pytest

from minidl_cli import errors
from minidl_cli.errors import Interrupted


@pytest.fixture(autouse=True)
def _handler(monkeypatch):
    monkeypatch.setattr(Interrupted, "_came", None)
    monkeypatch.setattr(Interrupted, "_when", 0.0)
    monkeypatch.setattr(errors, "GRACE_SECONDS", 0.1)
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGALRM)}
    signal.signal(signal.SIGUSR1, Interrupted.handle)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)


def send_signal():
    os.kill(os.getpid(), signal.SIGUSR1)


def test_raises_at_once():
    with pytest.raises(Interrupted) as caught:
        send_signal()
    assert caught.value.signal == signal.SIGUSR1


def test_deferred_until_asked_for():
    with pytest.raises(Interrupted), Interrupted.deferred():
        send_signal()
        reached = True
        assert Interrupted.came()
        Interrupted.check()
        reached = False
    assert reached
    time.sleep(0.15)  # no alarm comes any more


def test_deferred_until_the_end():
    with pytest.raises(Interrupted), Interrupted.deferred():
        send_signal()
        reached = True
    assert reached


def test_deferred_for_a_while_only():
    with pytest.raises(Interrupted), Interrupted.deferred():
        send_signal()
        time.sleep(10)
        pytest.fail("nothing came")


def test_errors_are_not_replaced():
    with pytest.raises(ZeroDivisionError), Interrupted.deferred():
        send_signal()
        1 / 0  # noqa: B018


def test_further_signals_leave_time_to_clean_up(monkeypatch):
    with pytest.raises(Interrupted):
        send_signal()
    send_signal()
    monkeypatch.setattr(Interrupted, "_when", time.monotonic() - errors.CLEANUP_SECONDS)
    with pytest.raises(Interrupted):
        send_signal()


def test_nothing_came():
    with Interrupted.deferred():
        Interrupted.check()
    assert not Interrupted.came()
