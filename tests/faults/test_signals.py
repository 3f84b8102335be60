"""A command that is stopped by a signal makes a checkpoint, says how to go on, and leaves no process behind."""

import random
import signal
import time
from functools import partial

import pytest

from minidl_cli.runs.sealed import unseal
from minidl_cli.training.checkpoint import Checkpoint
from tests.faults.cases import CASES, ENDLESS
from tests.faults.comparing import assert_same_results
from tests.faults.dying import signal_at_change, signal_in_epoch
from tests.faults.processes import in_a_shell
from tests.faults.training import IN_THIS_PROCESS, IN_WORKERS, Training
from tests.sweeps.contents import read_table

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Workers should be gone within two seconds, and the command with them; a busy machine may take longer.
SOON = 5.0


def ignore(*numbers):
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def assert_stopped(process, number, training, verb="sweep"):
    """Check how a command ends on a signal that has just come, and return the command that it names to go on."""
    assert process.wait(SOON) == 128 + number, process.err
    process.wait_until_all_are_gone(SOON)
    assert "Traceback" not in process.err
    *_, how, why = process.err.splitlines()
    assert why == f"stopped by {number.name}"
    run = training.run
    assert how == f"to go on: minidl {verb} --resume {run.parent.name}/{run.name}"
    assert list(run.rglob("*.checkpoint"))
    assert not (run / "summary.json").exists()
    return how.removeprefix("to go on: ")


def assert_no_epoch_is_lost(run):
    """Check that there is a checkpoint of the last epoch that each round was trained for: every tenth is logged."""
    checkpoints = [Checkpoint.decode(unseal(path.read_bytes())) for path in run.rglob("*.checkpoint")]
    saved = {seed: last for each in checkpoints for seed, last in each.last_epochs.items()}
    logged: dict[int, int] = {}
    for row in read_table(run / "metrics.csv"):
        logged[int(row["seed"])] = int(row["epoch"])
    assert saved.keys() >= logged.keys()
    assert all(last <= saved[seed] < last + 10 for seed, last in logged.items()), (saved, logged)


@pytest.mark.parametrize(("verb", "number"), [("train", SIGNALS[0]), ("train", SIGNALS[1]), ("sweep", SIGNALS[2])])
def test_stops(processes, verb, number):
    """Also where it is a shell's background job, which ignores SIGINT, and where an impatient user presses twice."""
    training = Training(processes, ENDLESS.but("training.checkpoint_every=1000"), "runs", verb)
    process = training.go_on(*(IN_WORKERS if verb == "sweep" else ()), prepare=partial(ignore, signal.SIGINT))
    process.wait_until(training.has_grown(10))
    process.signal_group(number)
    process.signal_group(number)
    assert_stopped(process, number, training, verb)
    assert_no_epoch_is_lost(training.run)


@pytest.mark.long
def test_workers_of_variants_stop_too(processes):
    variants = "sweep.vary={optimizer: [{sgd: 0.1}, {adam: 0.01}]}"
    training = Training(processes, ENDLESS.but(variants), "runs")
    process = training.go_on(*IN_WORKERS)
    process.wait_until(training.has_grown(100))
    assert len(process.workers()) == 2
    process.signal_group(signal.SIGINT)
    assert process.wait(SOON) == 128 + signal.SIGINT, process.err
    process.wait_until_all_are_gone(SOON)


def test_command_that_is_printed_goes_on_in_a_shell(processes):
    training = Training(processes, ENDLESS, "runs")
    process = training.go_on(*IN_THIS_PROCESS)
    process.wait_until(training.has_grown(100))
    process.signal(signal.SIGTERM)
    shown = assert_stopped(process, signal.SIGTERM, training)
    again = processes.start(program=in_a_shell(shown))
    again.wait_until(training.has_grown(100))
    again.signal(signal.SIGINT)
    assert_stopped(again, signal.SIGINT, training)


def test_hangup_that_is_ignored_stays_so(processes):
    """As `nohup` does it."""
    training = Training(processes, ENDLESS, "runs")
    process = training.go_on(*IN_THIS_PROCESS, prepare=partial(ignore, signal.SIGHUP))
    process.wait_until(training.has_grown(10))
    process.signal(signal.SIGHUP)
    process.wait_until(training.has_grown(1000))
    process.signal(signal.SIGTERM)
    assert_stopped(process, signal.SIGTERM, training)


def test_stopped_while_there_is_no_run_yet(processes):
    """What has been made of the folder is removed."""
    for change in (1, 4, 9):
        training = Training(processes, ENDLESS, "runs")
        process = training.go_on(prepare=partial(signal_at_change, signal.SIGTERM, change))
        assert process.wait(SOON) == 128 + signal.SIGTERM
        assert process.err == "stopped by SIGTERM\n"
        assert list((processes.folder / "runs").glob("*")) == []


@pytest.mark.long
@pytest.mark.parametrize("number", SIGNALS)
def test_stopped_while_it_starts(processes, number):
    """There are imports that swallow what a signal raises, make another error of it, or end the process."""
    moments = random.Random(number)
    for attempt in range(15):
        process = Training(processes, ENDLESS, f"runs-{attempt}").go_on(is_forked=False)
        process.wait_until_it_catches(signal.SIGTERM)
        time.sleep(moments.uniform(0, 1.5))
        process.signal(number)
        assert process.wait(SOON) == 128 + number, process.err
        assert process.err.endswith(f"stopped by {number.name}\n")
        assert "Traceback" not in process.err


@pytest.mark.long
@pytest.mark.parametrize("name", ["rmsprop, piecewise", "batch_norm, early stopping", "PyTorch", "variants"])
def test_stopped_at_random_moments(processes, name):
    moments = random.Random(name)
    began = time.monotonic()
    undisturbed = Training(processes, CASES[name], "undisturbed").finish(*IN_THIS_PROCESS, is_forked=False)
    longest = time.monotonic() - began
    training = Training(processes, CASES[name], "disturbed")
    prepare = partial(signal_in_epoch, signal.SIGTERM, 0, moments.randrange(1, 100))
    assert_stopped(training.go_on(*IN_THIS_PROCESS, prepare=prepare), signal.SIGTERM, training)
    for _ in range(10):
        number, way = moments.choice(SIGNALS), moments.choice([IN_THIS_PROCESS, IN_WORKERS])
        has_grown = training.has_grown(0)
        process = training.go_on(*way, is_forked=False)
        process.wait_until_it_catches(signal.SIGTERM)  # before, it is Python that decides what happens
        time.sleep(moments.uniform(0, longest))
        for _ in range(moments.choice([1, 2])):
            process.signal_group(number)
            time.sleep(moments.uniform(0, 0.1))
        # When minidl has done all, and Python is about to end, it is Python that decides again.
        assert process.wait(SOON) in (0, 128 + number, -number), process.err
        assert "Traceback" not in process.err
        process.wait_until_all_are_gone(SOON)
        if process.wait() != 0 and has_grown() and not (training.run / "summary.json").exists():
            assert_stopped(process, number, training)
        training.assert_whole()
    assert_same_results(training.finish(*IN_THIS_PROCESS), undisturbed)
