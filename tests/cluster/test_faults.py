"""What happens to a sweep whose cluster loses processes and links: no number of any round changes."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from minidl_cli.runs.folder import Run
from tests.cluster.cases import CASE, SOON
from tests.cluster.daemons import Daemons
from tests.faults.comparing import assert_same_results, rows
from tests.faults.processes import wait_until
from tests.faults.training import IN_THIS_PROCESS, Training

pytestmark = pytest.mark.long

DYING = Path(__file__).parent / "dying.py"


class Sweep:
    """A sweep on a cluster, which has begun to train."""

    def __init__(self, cluster, host):
        self._cluster, self._host = cluster, host
        self._training = Training(host.processes, CASE, "runs")
        self.go_on()
        self.wait_for_news()

    @property
    def run(self):
        return self._training.run

    def go_on(self):
        # One round in each stack: there is something to do for every worker.
        options = (*self._cluster.options(self._host), "--chunk", "1")
        self.process = self._training.go_on(*options, **self._host.minidl)

    def wait_for_news(self):
        self.process.wait_until(self._training.has_grown(50))

    def finish(self, *options):
        """Resume it on its own host alone."""
        return self._training.finish(*options, **self._host.minidl)

    def assert_finished(self, undisturbed):
        assert self.process.wait() == 0, self.process.err
        assert "Traceback" not in self.process.err
        assert_same_results(self.run, undisturbed)


def test_worker_that_is_killed(cluster, desk, undisturbed):
    sweep = Sweep(cluster, desk)
    for worker in cluster.workers:
        starts = worker.starts()
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda worker=worker, starts=starts: worker.starts() > starts)
    sweep.assert_finished(undisturbed)


def test_all_hosts_that_die_until_there_is_another(cluster, desk, network, undisturbed):
    sweep = Sweep(cluster, desk)
    for worker in cluster.workers:
        worker.host.stop()
    sweep.process.wait_until(lambda: "no worker is left" in sweep.process.err)
    cluster.add_worker(network.add("another"))
    sweep.assert_finished(undisturbed)


def test_links_that_are_cut_for_a_moment(cluster, desk, network, undisturbed):
    """Nobody notices."""
    sweep = Sweep(cluster, desk)
    for host in network.hosts:
        host.cut()
        time.sleep(1)
        host.mend()
    sweep.assert_finished(undisturbed)
    assert [worker.starts() for worker in cluster.workers] == [1, 1]


def test_link_of_a_worker_that_is_cut(cluster, desk, undisturbed):
    sweep = Sweep(cluster, desk)
    cluster.workers[0].host.cut()
    sweep.assert_finished(undisturbed)
    assert cluster.workers[0].program.wait() == 0


def test_own_link_that_is_cut(cluster, desk, undisturbed):
    sweep = Sweep(cluster, desk)
    desk.cut()
    assert_lost(sweep, cluster)
    wait_until(lambda: cluster.tasks() == 0)
    desk.mend()
    sweep.go_on()
    sweep.assert_finished(undisturbed)


def test_scheduler_that_is_killed(cluster, desk, undisturbed):
    sweep = Sweep(cluster, desk)
    cluster.scheduler.signal(signal.SIGKILL)
    assert_lost(sweep, cluster)
    assert [worker.program.wait() for worker in cluster.workers] == [0, 0]
    assert_same_results(sweep.finish(*IN_THIS_PROCESS), undisturbed)


def assert_lost(sweep, cluster):
    assert sweep.process.wait() == 1
    assert f"the connection to {cluster.address} is lost; what was finished is kept" in sweep.process.err
    assert "--resume" in sweep.process.err
    assert "Traceback" not in sweep.process.err


def test_chunk_that_kills_its_workers(network, desk, authority, undisturbed):
    """The others finish, and `--resume` tries it again."""
    cluster = Daemons(network.add("head"), authority)
    for name in ("left", "right"):
        cluster.add_worker(network.add(name), "--preload", DYING)
    sweep = Sweep(cluster, desk)
    assert sweep.process.wait() == 0, sweep.process.err
    assert "failed: seed 2" in sweep.process.out
    found = json.loads((sweep.run / "summary.json").read_text())["rounds"]
    assert (found["finished"], found["failed_seeds"]) == (2, [2])
    (failure,) = found["failures"]
    assert failure["seeds"] == [2]
    assert failure["reason"].startswith("their worker died, ")
    assert failure["reason"].endswith(" times, with nothing else at work")
    assert [row.status for row in Run(sweep.run).round_rows()] == ["finished", "finished", "failed"]
    assert [row for row in rows(sweep.run) if row[0] != "2"] == [row for row in rows(undisturbed) if row[0] != "2"]
    assert_same_results(sweep.finish(*IN_THIS_PROCESS), undisturbed)


def test_ctrl_c(cluster, desk, undisturbed):
    """The workers are idle then, and the sweep can go on."""
    sweep = Sweep(cluster, desk)
    sweep.process.signal(signal.SIGINT)
    assert sweep.process.wait(SOON) == 130
    assert cluster.tasks() == 0
    assert sweep.process.err.splitlines()[-1] == "stopped by SIGINT"
    assert "Traceback" not in sweep.process.err
    sweep.go_on()
    sweep.assert_finished(undisturbed)
