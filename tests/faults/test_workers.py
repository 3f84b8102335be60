"""A worker that is killed, or that runs out of memory, costs its rounds a new try; no round of the others changes."""

import json
import os
import random
import resource
import signal
import time
from contextlib import suppress

import pytest

from minidl_cli.runs.folder import Run
from tests.faults.cases import CASES, Case
from tests.faults.comparing import assert_same_results, rows
from tests.faults.training import IN_THIS_PROCESS, IN_WORKERS, Training

# Long enough that workers can be killed in the middle of it.
LONG = Case("training.epochs=15000", "training.log_every=10")


def kill(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_worker_that_is_killed_once(processes):
    case = CASES["dropout"].but("training.epochs=1500")
    undisturbed = Training(processes, case, "undisturbed").finish(*IN_THIS_PROCESS)
    training = Training(processes, case, "disturbed")
    process = training.go_on(*IN_WORKERS)
    process.wait_until(training.has_grown(100))
    kill(process.workers()[0])
    assert process.wait() == 0, process.err
    process.wait_until_all_are_gone()
    assert_same_results(training.run, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("name", ["rmsprop, piecewise", "batch_norm, early stopping", "numbers of a table", "variants"])
def test_workers_that_are_killed_at_random_moments(processes, name):
    """Also while they start."""
    moments, case = random.Random(name), CASES[name].but("sweep.rounds=6")
    undisturbed = Training(processes, case, "undisturbed").finish(*IN_THIS_PROCESS)
    training = Training(processes, case, "disturbed")
    process = training.go_on(*IN_WORKERS)
    # At most two: with a third one, a chunk would fail.
    for _ in range(2):
        process.wait_until(process.workers)
        time.sleep(moments.uniform(0, 2.5))
        if workers := process.workers():
            kill(moments.choice(workers))
    assert process.wait() == 0, process.err
    assert_same_results(training.run, undisturbed)


@pytest.mark.long
def test_rounds_whose_workers_are_killed_again_and_again_fail(processes):
    """The other rounds finish, and `--resume` tries those again that failed."""
    # A round must not come to its end before its worker is killed for the last time.
    case = LONG.but("training.epochs=40000")
    undisturbed = Training(processes, case, "undisturbed").finish(*IN_THIS_PROCESS)
    training = Training(processes, case, "disturbed")
    process = training.go_on(*IN_WORKERS)
    for _ in range(3):
        grown = [seed_has_grown(training, seed) for seed in (0, 1)]
        process.wait_until(lambda grown=grown: all(each() for each in grown))
        workers = process.workers()
        assert len(workers) == 2
        for worker in workers:
            kill(worker)
        process.wait_until(lambda workers=workers: not set(workers) & set(process.workers()))
    assert process.wait() == 0, process.err
    run = training.run
    found = json.loads((run / "summary.json").read_text())
    failures = found["rounds"].pop("failures")
    assert found["rounds"] == {
        "planned": 3,
        "finished": 1,
        "diverged": 0,
        "failed": 2,
        "diverged_seeds": [],
        "failed_seeds": [0, 1],
    }
    assert sorted(seed for failure in failures for seed in failure["seeds"]) == [0, 1]
    assert {failure["reason"] for failure in failures} == {"their worker was killed by SIGKILL, 3 times"}
    assert "failed: seeds 0, 1" in process.out
    assert [row.status for row in Run(run).round_rows()] == ["failed", "failed", "finished"]
    assert Run(run).round_rows()[2] == Run(undisturbed).round_rows()[2]
    assert [row for row in rows(run) if row[0] == "2"] == [row for row in rows(undisturbed) if row[0] == "2"]
    assert_same_results(training.finish(*IN_THIS_PROCESS), undisturbed)


def seed_has_grown(training, seed):
    def count():
        if not training.is_begun or not (training.run / "metrics.csv").exists():
            return 0
        return sum(line.startswith(b"%d," % seed) for line in (training.run / "metrics.csv").read_bytes().splitlines())

    before = count()
    return lambda: count() > before + 10


@pytest.mark.long
def test_worker_that_runs_out_of_memory(processes):
    """Its successor is not that short of it."""
    case = Case("data.disc={train: 30000, test: 20000}", "training.batch_size=1000", "training.epochs=400")
    undisturbed = Training(processes, case, "undisturbed").finish(*IN_THIS_PROCESS)
    training = Training(processes, case, "disturbed")
    process = training.go_on(*IN_WORKERS)
    process.wait_until(training.has_grown(10))
    worker = process.workers()[0]
    resource.prlimit(worker, resource.RLIMIT_AS, (2**20, 2**20))
    process.wait_until(lambda: worker not in process.workers())
    assert process.wait() == 0, process.err
    assert_same_results(training.run, undisturbed)


@pytest.mark.long
def test_workers_that_cannot_start(processes):
    training = Training(processes, LONG, "runs")
    process = training.go_on(*IN_WORKERS)
    while process.is_running():
        for worker in process.workers():
            kill(worker)
    assert process.wait() == 1
    assert "3 workers in a row died while they started; the last one was killed by SIGKILL" in process.err
    assert "Traceback" not in process.err
    assert_same_results(training.finish(*IN_THIS_PROCESS), Training(processes, LONG, "beside").finish(*IN_THIS_PROCESS))
