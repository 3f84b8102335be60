"""Long runs, and many in one process, leak nothing."""

import gc
import resource
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.cases import Case
from tests.faults.comparing import leftovers
from tests.faults.processes import FORKS, draw_nothing

MEGABYTE = 2**20


@dataclass(frozen=True)
class Usage:
    """What a process holds."""

    memory: int
    files: int
    threads: int


def usage() -> Usage:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files, threads = (sum(1 for _ in Path(f"/proc/self/{kind}").iterdir()) for kind in ("fd", "task"))
    return Usage(pages * resource.getpagesize(), files, threads)


def train_long(folder: Path, settings: Sequence[str], early: int) -> tuple[Usage, Usage]:
    """Return what the process holds after so many epochs, and after all."""
    from minidl_cli.sweeps.sweep import start
    from minidl_cli.training.build import load_config

    draw_nothing()
    config = load_config(Path(Case().arguments(folder)[0]), settings)
    for record in start(config, folder / "runs", workers=1).records():
        if record.epoch == early:
            before = usage()
        if record.epoch == config.training.epochs:
            after = usage()
    return before, after


def train_often(folder: Path, times: int, early: int, figures: bool) -> tuple[Usage, Usage]:
    """Return what the process holds after so many runs, and after all."""
    from minidl_cli import load_config, train

    if not figures:
        draw_nothing()
    config = load_config(Case().arguments(folder)[0], ["training.epochs=5", "sweep.rounds=1"])
    for time in range(1, times + 1):
        train(config, runs_dir=folder / "runs")
        if time == early:
            before = usage()
    return before, usage()


def assert_nothing_leaks(folder: Path, train, *arguments, megabytes: float = 2) -> None:
    with ProcessPoolExecutor(1, FORKS) as process:
        before, after = process.submit(train, folder, *arguments).result()
    assert after.memory - before.memory < megabytes * MEGABYTE
    assert (after.files, after.threads) == (before.files, before.threads)
    assert leftovers(folder / "runs") == []


def test_many_epochs(tmp_path):
    assert_nothing_leaks(tmp_path, train_long, ["training.epochs=3000", "training.log_every=10"], 1000)


@pytest.mark.long
@pytest.mark.parametrize("compiled", ["always", "never"])
@pytest.mark.parametrize("seconds", [0.01, 1000])
def test_ten_thousand_epochs(tmp_path, compiled, seconds):
    settings = [f"training.compiled={compiled}", f"training.checkpoint_every={seconds}"]
    assert_nothing_leaks(tmp_path, train_long, ["training.epochs=10000", *settings], 2000)


@pytest.mark.long
def test_ten_thousand_epochs_in_pytorch(tmp_path):
    settings = ["framework=torch", "sweep.rounds=1", "training.epochs=10000", "training.batch_size=47"]
    assert_nothing_leaks(tmp_path, train_long, settings, 2000)


def test_many_runs(tmp_path):
    assert_nothing_leaks(tmp_path, train_often, 30, 10, False)


@pytest.mark.long
def test_two_hundred_runs(tmp_path):
    assert_nothing_leaks(tmp_path, train_often, 200, 50, False)
    assert len(list((tmp_path / "runs").iterdir())) == 200


@pytest.mark.long
def test_runs_with_figures(tmp_path):
    """Memory goes up and down by 15 megabytes; figures that stay open would take more than 100."""
    assert_nothing_leaks(tmp_path, train_often, 40, 15, True, megabytes=24)
