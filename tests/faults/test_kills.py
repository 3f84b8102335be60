"""A run that is killed at any moment, any number of times, and resumed is to the bit one that never was."""

import os
import random
import shutil
import signal
import time
from functools import partial
from itertools import count

import pytest

from tests.faults.cases import BRIEF, CASES
from tests.faults.comparing import assert_same_results, figures, leftovers, parts, rows
from tests.faults.dying import die_at_size, signal_at_change, signal_in_epoch
from tests.faults.training import IN_THIS_PROCESS, IN_WORKERS, Training

# What Python takes to start with all that minidl imports, and the figures of a run to be drawn, in seconds.
START, FIGURES = 2.0, 2.0


def kill_and_resume(processes, case, moments, ways, *, share_of_users_commands=0.0):
    """Kill a training again and again, let it finish, and hold it beside one that was left alone.

    Each of some `ways` to train takes it on once, and is killed at a moment that is drawn, unless it finishes before.
    """
    processes.run("--version")  # from here on there is what processes are forked from
    began = time.monotonic()
    undisturbed = Training(processes, case, "undisturbed").finish(*IN_THIS_PROCESS)
    longest = time.monotonic() - began
    training = Training(processes, case, "disturbed")
    # The first one at an epoch, so that it is killed indeed, however fast or busy the machine is.
    seed, epoch, *_ = moments.choice([row for part in parts(undisturbed) for row in rows(undisturbed / part)[1:]])
    prepare = partial(signal_in_epoch, signal.SIGKILL, int(seed), int(epoch))
    assert training.go_on(*IN_THIS_PROCESS, prepare=prepare).wait() == -signal.SIGKILL
    killed = []
    for way in ways:
        is_forked = moments.random() >= share_of_users_commands
        process = training.go_on(*way, is_forked=is_forked)
        time.sleep(moments.uniform(0, longest + START * (way is IN_WORKERS) + (START + FIGURES) * (not is_forked)))
        process.signal(signal.SIGKILL)
        assert process.wait() in (0, -signal.SIGKILL), process.err
        training.assert_whole()
        killed.append(process)
    assert_same_results(training.finish("--workers", "1", "--chunk", "2"), undisturbed)
    for process in killed:
        process.wait_until_all_are_gone()  # workers notice that nobody listens to them


def test_killed_at_random_moments(processes):
    case = CASES["batch_norm, early stopping, in PyTorch's operations"].but("training.epochs=200")
    kill_and_resume(processes, case, random.Random(0), 2 * [IN_THIS_PROCESS])


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_killed_at_a_hundred_random_moments(processes, name):
    """Seven for each of the sixteen cases."""
    moments = random.Random(name)
    ways = moments.choices([IN_THIS_PROCESS, IN_WORKERS], weights=[2, 1], k=6)
    kill_and_resume(processes, CASES[name], moments, ways, share_of_users_commands=0.3)


def test_killed_ever_later(processes):
    """Each process gets a few changes of the folder further than the one before, until one finishes."""
    killed_at_changes(processes, BRIEF, range(1, 1000, 7))


@pytest.mark.long
@pytest.mark.parametrize("name", ["one round", "batch_norm, early stopping", "variants"])
def test_killed_at_every_change_of_the_folder(processes, name):
    killed_at_changes(processes, CASES[name], count(1))


def killed_at_changes(processes, case, numbers):
    undisturbed = Training(processes, case, "undisturbed").finish(*IN_THIS_PROCESS)
    training = Training(processes, case, "disturbed")
    for number in numbers:
        process = training.go_on(*IN_THIS_PROCESS, prepare=partial(signal_at_change, signal.SIGKILL, number))
        if process.wait() != -signal.SIGKILL:
            break
        training.assert_whole()
    assert (process.wait(), number > 10) == (0, True), process.err
    assert_same_results(training.run, undisturbed)


def test_killed_within_files(processes):
    killed_within_files(processes, BRIEF, random.Random(0), kills=5)


@pytest.mark.long
@pytest.mark.parametrize("name", ["one round", "classes of a table", "variants"])
def test_killed_within_many_files(processes, name):
    killed_within_files(processes, CASES[name], random.Random(name), kills=40)


def killed_within_files(processes, case, sizes, kills):
    """Kill a training when a file, whichever comes first, has reached a random size."""
    undisturbed = Training(processes, case, "undisturbed").finish(*IN_THIS_PROCESS)
    largest = max(path.stat().st_size for path in undisturbed.rglob("*") if path.is_file())
    training = Training(processes, case, "disturbed")
    for _ in range(kills):
        # Small files are as likely to be hit as large ones.
        size = int(largest ** sizes.uniform(0.1, 0.999))
        process = training.go_on(*IN_THIS_PROCESS, prepare=partial(die_at_size, size))
        assert process.wait() == -signal.SIGXFSZ, process.err
        training.assert_whole()
    assert_same_results(training.finish(*IN_THIS_PROCESS), undisturbed)


def test_killed_while_figures_are_drawn(processes):
    training = Training(processes, BRIEF, "runs")
    process = training.go_on(*IN_THIS_PROCESS, figures=True)
    process.wait_until(lambda: training.is_begun and (training.run / "confusion.png").exists())
    process.signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = shutil.copytree(training.run, processes.folder / "before")
    assert "curves.png" not in figures(before)
    assert_same_results(training.finish(*IN_THIS_PROCESS, figures=True), before)
    assert figures(training.run) > figures(before) | {"curves.png"}


def test_folder_that_was_being_made_is_swept(processes):
    training = Training(processes, BRIEF, "runs")
    assert training.go_on(prepare=partial(signal_at_change, signal.SIGKILL, 6)).wait() == -signal.SIGKILL
    (left,) = leftovers(processes.folder / "runs")[:1]
    assert left.name.endswith(".partial")
    assert not training.is_begun
    assert "there are no runs" in processes.run("runs").out
    hour_ago = time.time() - 3601
    os.utime(left, (hour_ago, hour_ago))
    training.finish(*IN_THIS_PROCESS)
    assert leftovers(processes.folder / "runs") == []
