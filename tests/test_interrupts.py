"""How a signal stops a process: at once, or where it is asked for."""

import os
import signal
import subprocess
import sys
import time

import pytest

from minidl_cli import interrupts
from minidl_cli.interrupts import Interrupted


@pytest.fixture(autouse=True)
def _handler(monkeypatch):
    monkeypatch.setattr(Interrupted, "_came", None)
    monkeypatch.setattr(Interrupted, "_when", 0.0)
    monkeypatch.setattr(Interrupted, "_has_begun", True)
    monkeypatch.setattr(interrupts, "GRACE_SECONDS", 0.1)
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


def deferred(*steps):
    """Take steps in the context, and return how many came to their end before something was raised, and what."""
    done = 0
    try:
        with Interrupted.deferred():
            for step in steps:
                step()
                done += 1
    except BaseException as error:
        return done, type(error)
    return done, None


def test_deferred_until_asked_for():
    assert deferred(send_signal, Interrupted.came, Interrupted.check, list) == (2, Interrupted)
    time.sleep(0.15)  # no alarm comes any more


def test_deferred_until_the_end():
    assert deferred(send_signal, list) == (2, Interrupted)


def work_long(seconds):
    with Interrupted.long_work():
        time.sleep(seconds)


def test_deferred_for_a_while_only_in_long_work():
    assert deferred(send_signal, lambda: work_long(10), list) == (1, Interrupted)


def test_what_is_saved_beside_long_work_is_not_cut_short():
    assert deferred(lambda: work_long(0), send_signal, lambda: time.sleep(0.2), list) == (4, Interrupted)


def test_errors_are_not_replaced():
    assert deferred(send_signal, lambda: 1 / 0) == (1, ZeroDivisionError)


def test_further_signals_leave_time_to_clean_up(monkeypatch):
    with pytest.raises(Interrupted):
        send_signal()
    send_signal()
    monkeypatch.setattr(Interrupted, "_when", time.monotonic() - interrupts.CLEANUP_SECONDS)
    with pytest.raises(Interrupted):
        send_signal()


def test_nothing_came():
    with Interrupted.deferred():
        Interrupted.check()
    assert Interrupted.came() is None


def test_ends_the_process_where_there_is_nothing_to_clean_up(tmp_path):
    """As an exception would come in the middle of an import."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, signal\nfrom minidl_cli.interrupts import Interrupted\n"
        "signal.signal(signal.SIGTERM, Interrupted.handle)\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM)\nexcept BaseException:\n    print('raised')\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "stopped by SIGTERM\n")
