"""A cluster that a sweep starts on its own machine, and stops."""

import os
import signal

import pytest

from tests.cluster.cases import CASE, SOON
from tests.faults.comparing import assert_same_results
from tests.faults.training import IN_THIS_PROCESS, Training

pytestmark = pytest.mark.long

ENGINE = ("--engine", "dask", "--workers", "2", "--chunk", "1")


@pytest.fixture
def begun(here):
    """A sweep that has begun to train, and its process."""
    training = Training(here.processes, CASE, "runs")
    process = training.go_on(*ENGINE, **here.minidl)
    process.wait_until(training.has_grown(50))
    return training, process


def test_workers_that_are_killed(begun, undisturbed):
    training, process = begun
    for _ in range(2):
        os.kill(process.workers()[0], signal.SIGKILL)
        process.wait_until(training.has_grown(50))
    assert process.wait() == 0, process.err
    assert "Traceback" not in process.err
    assert_same_results(training.run, undisturbed)


def test_ctrl_c(begun, undisturbed, here):
    """It goes to all processes of the terminal, but the first one decides when the workers end."""
    training, process = begun
    process.signal_group(signal.SIGINT)
    assert_stopped(process, signal.SIGINT)
    assert_same_results(training.finish(*IN_THIS_PROCESS, **here.minidl), undisturbed)


def test_termination(begun):
    _, process = begun
    process.signal(signal.SIGTERM)
    assert_stopped(process, signal.SIGTERM)


def assert_stopped(process, number):
    assert process.wait(SOON) == 128 + number
    process.wait_until_all_are_gone(SOON)
    assert process.err.splitlines()[-1] == f"stopped by {number.name}"
    assert "Traceback" not in process.err


def test_process_that_is_killed(begun, undisturbed, here):
    """Its workers end by themselves."""
    training, process = begun
    process.signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.wait_until_all_are_gone()
    assert_same_results(training.finish(*ENGINE, **here.minidl), undisturbed)
