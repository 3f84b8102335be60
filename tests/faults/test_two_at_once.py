"""Processes that run at the same time do not touch each other's runs."""

import signal

import pytest

from tests.faults.cases import CASES, ENDLESS, Case
from tests.faults.comparing import assert_same_results, leftovers
from tests.faults.training import IN_THIS_PROCESS, Training


def test_run_that_is_being_trained_cannot_be_resumed(processes):
    training = Training(processes, ENDLESS, "runs")
    process = training.go_on(*IN_THIS_PROCESS)
    process.wait_until(training.has_grown(10))
    for verb in ("train", "sweep"):
        other = processes.run(verb, "--resume", f"runs/{training.run.name}", code=2)
        assert other.err == f"runs/{training.run.name}: is being trained by another process\n"
    process.wait_until(training.has_grown(10))


def test_only_one_of_two_resumes_a_run(processes):
    """The one that holds the lock finishes the run, and the other leaves it alone."""
    case = CASES["one round"]
    undisturbed = Training(processes, case, "undisturbed").finish(*IN_THIS_PROCESS)
    training = Training(processes, case, "runs")
    process = training.go_on(*IN_THIS_PROCESS)
    process.wait_until(training.has_grown(10))
    process.signal(signal.SIGKILL)
    process.wait()
    both = [training.go_on(*IN_THIS_PROCESS) for _ in range(2)]
    assert sorted(each.wait() for each in both) == [0, 2]
    (refused,) = [each for each in both if each.wait() == 2]
    assert refused.err == f"runs/{training.run.name}: is being trained by another process\n"
    assert_same_results(training.run, undisturbed)


def test_runs_that_start_together(processes):
    assert_all_have_a_folder(processes, number=6, is_forked=True)


@pytest.mark.long
def test_twenty_runs_that_start_in_the_same_second(processes):
    assert_all_have_a_folder(processes, number=20, is_forked=True)
    assert_all_have_a_folder(processes, number=20, is_forked=False)


def assert_all_have_a_folder(processes, number, is_forked):
    begin = processes.fork if is_forked else processes.start
    runs = f"runs-{is_forked}"
    arguments = ("train", *Case("training.epochs=2").arguments(processes.folder), "--runs-dir", runs, "-q")
    started = [begin(*arguments) for _ in range(number)]
    assert {process.wait() for process in started} == {0}
    folders = {process.out.strip() for process in started}
    assert len(folders) == number
    for folder in folders:
        assert (processes.folder / folder / "summary.json").is_file()
    assert len(list((processes.folder / runs).iterdir())) == number
    assert leftovers(processes.folder / runs) == []
