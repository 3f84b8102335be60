"""What is damaged in an interrupted run is noticed, and made anew: the result is the same to the bit."""

import random
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.faults.cases import Case
from tests.faults.comparing import assert_same_results
from tests.faults.dying import signal_in_epoch
from tests.faults.processes import Processes
from tests.faults.training import Training

pytestmark = pytest.mark.usefixtures("no_figures")

# Three stacks of a round each.
CASE = Case("training.epochs=100", "optimizer={adam: 0.01}")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a run that was stopped in its third round, and that of one that was not."""
    folder = tmp_path_factory.mktemp("stopped")
    processes = Processes(folder, tmp_path_factory.mktemp("printed"))
    undisturbed = Training(processes, CASE, "undisturbed").finish("--workers", "1")
    training = Training(processes, CASE, "runs")
    process = training.go_on("--workers", "1", "--chunk", "1", prepare=partial(signal_in_epoch, signal.SIGTERM, 2, 75))
    assert process.wait() == 128 + signal.SIGTERM
    return training.run, undisturbed


@pytest.fixture
def interrupted(stopped, tmp_path):
    """A copy of the interrupted run."""
    return Path(shutil.copytree(stopped[0], tmp_path / "runs" / stopped[0].name))


def checkpoints(run: Path) -> list[Path]:
    return sorted((run / "checkpoint").glob("*.checkpoint"))


def resume(minidl, run: Path) -> list[str]:
    outcome = minidl("sweep", "--resume", run, "-q")
    assert outcome.code == 0, outcome.err
    return outcome.err.splitlines()


def test_run_that_is_not_damaged(minidl, interrupted, stopped):
    assert len(checkpoints(interrupted)) == 3
    assert resume(minidl, interrupted) == []
    assert_same_results(interrupted, stopped[1])


@pytest.mark.parametrize("lost", [1, 30])
def test_torn_last_line_of_the_metrics(minidl, interrupted, stopped, lost):
    table = interrupted / "metrics.csv"
    table.write_bytes(table.read_bytes()[:-lost])
    resume(minidl, interrupted)
    assert_same_results(interrupted, stopped[1])


@pytest.mark.parametrize("kept", [0, 40, 5_000])
def test_metrics_that_lack_more_than_a_line(minidl, interrupted, stopped, kept):
    """As after a failure of power, on a disk that lost what it said it had written."""
    table = interrupted / "metrics.csv"
    table.write_bytes(table.read_bytes()[:kept])
    resume(minidl, interrupted)
    assert_same_results(interrupted, stopped[1])


def test_metrics_that_are_gone(minidl, interrupted, stopped):
    (interrupted / "metrics.csv").unlink()
    resume(minidl, interrupted)
    assert_same_results(interrupted, stopped[1])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[random.Random(0).randrange(len(content))] ^= 4
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def put_another_in_its_place(path: Path) -> None:
    other = next(each for each in checkpoints(path.parent.parent) if each != path)
    shutil.copy(other, path)


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("damage", [flip_a_bit, cut, append, empty, put_another_in_its_place])
def test_damaged_checkpoint_is_named_and_its_rounds_start_over(minidl, interrupted, stopped, damage, place):
    path = checkpoints(interrupted)[place]
    damage(path)
    (warning,) = resume(minidl, interrupted)
    assert warning.startswith(f"warning: {path}: ")
    assert_same_results(interrupted, stopped[1])


def test_folder_in_the_place_of_a_checkpoint_is_left_alone(minidl, interrupted):
    path = checkpoints(interrupted)[0]
    path.unlink()
    path.mkdir()
    outcome = minidl("sweep", "--resume", interrupted)
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].startswith(f"{path}: ")
    assert path.is_dir()


@pytest.mark.long
def test_every_bit_of_a_checkpoint_counts(minidl, interrupted):
    """A flipped bit is never taken for the state of a training, wherever it is."""
    path = checkpoints(interrupted)[0]
    content, places = path.read_bytes(), random.Random(0)
    for _ in range(50):
        place = places.randrange(len(content))
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << places.randrange(8)]) + content[place + 1 :])
        outcome = minidl("sweep", "--resume", interrupted, "-s", "training.epochs=10")
        assert outcome.code == 2
        assert str(path) in outcome.err or "training.epochs" in outcome.err


@pytest.mark.parametrize("place", [0, 2])
def test_checkpoint_that_is_gone(minidl, interrupted, stopped, place):
    checkpoints(interrupted)[place].unlink()
    resume(minidl, interrupted)
    assert_same_results(interrupted, stopped[1])


def test_no_checkpoints_at_all(minidl, interrupted, stopped):
    shutil.rmtree(interrupted / "checkpoint")
    resume(minidl, interrupted)
    assert_same_results(interrupted, stopped[1])


def test_temporary_files_are_swept(minidl, interrupted, stopped):
    for name in (
        ".rounds.csv.0123abcd.tmp",
        "weights/.last.safetensors.00000000.tmp",
        "checkpoint/.0.checkpoint.ffffffff.tmp",
    ):
        (interrupted / name).parent.mkdir(exist_ok=True)
        (interrupted / name).write_bytes(b"half of it")
    resume(minidl, interrupted)
    assert_same_results(interrupted, stopped[1])
