"""Where no more can be written, one line says so, what was there can be read, and `--resume` goes on later."""

import random
from functools import partial
from pathlib import Path

import pytest

from tests.faults.cases import BRIEF, CASES, ENDLESS
from tests.faults.comparing import assert_same_results, figures, leftovers
from tests.faults.disks import drop_privileges, read_only, small_disk
from tests.faults.dying import limit_files
from tests.faults.training import IN_THIS_PROCESS, Training


def assert_refused(process, reason):
    """Check that a command says in one line that it cannot write."""
    assert process.wait() in (1, 2), process.err
    (line,) = [line for line in process.err.splitlines() if reason in line]
    assert "cannot be written" in line
    assert "Traceback" not in process.err


def test_files_that_cannot_grow(processes):
    fill_files(processes, BRIEF, random.Random(0), times=5)


@pytest.mark.long
@pytest.mark.parametrize("name", ["one round", "batch_norm, early stopping", "classes of a table", "variants"])
def test_many_files_that_cannot_grow(processes, name):
    fill_files(processes, CASES[name], random.Random(name), times=25)


@pytest.mark.long
def test_figures_that_cannot_grow(processes):
    fill_files(processes, BRIEF, random.Random(0), times=10, figures=True)


def fill_files(processes, case, sizes, times, **drawn):
    """Let a training write so much of each file only, more or less each time, and then as much as it likes."""
    undisturbed = Training(processes, case, "undisturbed").finish(*IN_THIS_PROCESS, **drawn)
    largest = max(path.stat().st_size for path in undisturbed.rglob("*") if path.is_file())
    training = Training(processes, case, "disturbed")
    for _ in range(times):
        # What the command prints goes into a file, too.
        size = int(500 * (largest / 500) ** sizes.uniform(0, 0.999))
        process = training.go_on(*IN_THIS_PROCESS, "-q", prepare=partial(limit_files, size), **drawn)
        assert_refused(process, "File too large")
        training.assert_whole()
        assert leftovers(processes.folder / "disturbed") == []
    assert_same_results(training.finish(*IN_THIS_PROCESS, **drawn), undisturbed)
    assert figures(training.run) == figures(undisturbed)


@pytest.mark.long
def test_disk_that_is_full_at_random_moments(processes, tmp_path):
    sizes, case = random.Random(0), CASES["one round"]
    undisturbed = Training(processes, case, "undisturbed").finish(*IN_THIS_PROCESS)
    with small_disk(tmp_path / "disk", "16m") as disk:
        full = 0
        for _ in range(15):
            disk.leave(int(2 ** sizes.uniform(12, 20)))
            found = [path for path in disk.seen.glob("*") if path.is_dir()]
            what = ["--resume", disk.path / found[0].name] if found else case.arguments(tmp_path)
            process = processes.start("sweep", *what, "--runs-dir", disk.path, "-q", program=disk.program)
            if process.wait() != 0:
                assert_refused(process, "No space left on device")
                full += 1
        assert full
        disk.clear()
        (run,) = disk.seen.iterdir()
        process = processes.start("sweep", "--resume", disk.path / run.name, program=disk.program)
        assert process.wait() == 0, process.err
        assert_same_results(run, undisturbed)


class TestFoldersThatCannotBeWritten:
    """They are refused before anything is trained: these configs would train for minutes."""

    @pytest.mark.parametrize("verb", ["train", "sweep"])
    def test_runs_folder(self, processes, verb):
        runs = processes.folder / "runs"
        runs.mkdir()
        with read_only(runs):
            process = processes.run(verb, *ENDLESS.arguments(processes.folder), prepare=drop_privileges, code=2)
        assert process.err == "runs: a run cannot be written there: Permission denied\n"
        assert list(runs.iterdir()) == []

    def test_run_that_is_resumed(self, processes):
        training = Training(processes, ENDLESS, "runs")
        training.finish("-s", "training.epochs=5")
        before = {path: path.read_bytes() for path in training.run.rglob("*") if path.is_file()}
        with read_only(training.run):
            process = training.go_on("-s", "training.epochs=1000000", prepare=drop_privileges)
            assert process.wait() == 2
        assert process.err == f"runs/{training.run.name}: cannot be written: Permission denied\n"
        assert {path: path.read_bytes() for path in training.run.rglob("*") if path.is_file()} == before

    @pytest.mark.parametrize("place", ["a file", "a file/runs", "/proc/runs", "/dev/null"])
    def test_where_there_can_be_no_folder(self, minidl, tmp_path, place):
        Path("a file").write_text("of the user's")
        outcome = minidl("sweep", *ENDLESS.arguments(tmp_path), "--runs-dir", place)
        assert outcome.code == 2
        assert outcome.err.startswith(f"{place}: a run cannot be written there: ")
        assert len(outcome.err.splitlines()) == 1
        assert Path("a file").read_text() == "of the user's"
