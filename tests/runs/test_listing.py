"""The list of runs: whatever is in the folder, each run is listed, if only as broken, with why."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from minidl_cli.errors import InputError
from minidl_cli.runs.folder import MOST_JSON_BYTES, Run
from minidl_cli.runs.listing import list_runs
from minidl_cli.runs.lock import Lock

FILES = {"config.yaml": "name: a\n", "environment.json": "{}\n"}
SUMMARY = {
    "rounds": {"planned": 3, "finished": 2, "diverged": 0, "failed": 1},
    "final": {"test_accuracy": {"mean": 0.5, "std": 0.1, "n": 2}, "test_mse": {"mean": 1.0}, "train_mse": {}},
}


@pytest.fixture
def run(tmp_path):
    made = Run.create(tmp_path / "runs", "a", FILES)
    made.write_json("summary.json", SUMMARY)
    return made


def listed(run: Run):
    (found,) = list_runs(run.path.parent)
    return found


def test_a_finished_run(run):
    found = listed(run)
    assert (found["status"], found["problem"], found["config"]) == ("finished", None, "a")
    assert found["rounds"] == {"planned": 3, "finished": 2, "failed": 1}
    assert found["final"] == {"test_accuracy": {"mean": 0.5, "std": 0.1}, "test_mse": {"mean": 1.0}}
    assert found["variants"] is None


def test_a_run_is_running_while_a_process_holds_its_lock(run):
    (run.path / "summary.json").unlink()
    assert listed(run)["status"] == "unfinished"
    program = "import sys, time, pathlib; from minidl_cli.runs.lock import Lock\n"
    program += "lock = Lock(pathlib.Path(sys.argv[1])); print('locked', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program, run.path], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"locked\n"
        assert listed(run)["status"] == "running"
        process.send_signal(signal.SIGKILL)
    assert listed(run)["status"] == "unfinished"
    with Lock(run.path):
        run.write_json("summary.json", SUMMARY)
        assert listed(run)["status"] == "finished"


def test_a_sweep_of_variants(tmp_path):
    run = Run.create(tmp_path, "a", FILES | {f"variants/{name}/config.yaml": "" for name in "bcd"})
    assert (listed(run)["variants"], listed(run)["status"]) == (3, "unfinished")


def odd(path: Path, kind: str) -> None:
    """Put something odd in the place of a file."""
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(MOST_JSON_BYTES * 1000)
    else:
        path.symlink_to({"link": "environment.json", "dangling": "none", "loop": path.name, "out": "/etc/passwd"}[kind])


@pytest.mark.parametrize("kind", ["pipe", "folder", "huge", "link", "dangling", "loop", "out"])
def test_a_summary_that_is_no_file(run, kind):
    odd(run.path / "summary.json", kind)
    found = listed(run)
    assert found["status"] == "broken"
    assert found["problem"].startswith(f"{run.path}/summary.json: {'has' if kind == 'huge' else 'is a'} ")


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "dangling", "loop", "out"])
def test_a_config_that_is_no_file(run, kind):
    odd(run.path / "config.yaml", kind)
    found = listed(run)
    assert found["status"] == "broken"
    assert found["problem"].startswith(f"{run.path}/config.yaml: is a ")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", "null", "{}", "\0", "\ud800", '"\x1b[31m"'])
def test_a_summary_that_is_no_json(run, text):
    (run.path / "summary.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    found = listed(run)
    assert found["status"] == "broken"
    assert f"{run.path}/summary.json: " in found["problem"]
    assert "\n" not in found["problem"]


@pytest.mark.parametrize(
    "change",
    [
        {"rounds": None},
        {"rounds": []},
        {"rounds": {}},
        {"rounds": {"planned": "x", "finished": 1, "failed": 0}},
        {"rounds": {"planned": 1, "finished": 2, "failed": 0}},
        {"rounds": {"planned": 10**400, "finished": 2, "failed": 0}},
        {"rounds": {"planned": [1], "finished": 2, "failed": 0}},
        {"final": None},
        {"final": []},
        {"final": {"test_mse": None}},
        {"final": {"test_mse": {"mean": None}}},
        {"final": {"test_mse": {"mean": "nan"}}},
        {"final": {"test_mse": {"mean": {}}}},
        {"final": {"test_mse": {"mean": 10**400}}},
    ],
    ids=str,
)
def test_a_summary_that_makes_no_sense(run, change):
    run.write_json("summary.json", SUMMARY | change)
    found = listed(run)
    assert (found["status"], found["problem"]) == ("broken", f"{run.path}/summary.json: is not a run's summary")


def test_what_is_no_run_is_not_listed(run):
    runs_dir = run.path.parent
    (runs_dir / "file").write_text("")
    (runs_dir / "empty").mkdir()
    (runs_dir / "dangling").symlink_to("none")
    (runs_dir / "loop").symlink_to("loop")
    os.mkfifo(runs_dir / "pipe")
    (runs_dir / ".hidden").mkdir()
    (runs_dir / ".hidden/config.yaml").write_text("")
    assert listed(run)["id"] == run.id


def test_a_link_to_a_run_is_one(run):
    (run.path.parent / "link").symlink_to(run.path)
    assert [found["status"] for found in list_runs(run.path.parent)] == ["finished"] * 2


@pytest.mark.parametrize("time", [-1e9, 0, 1e11, 1e12])
def test_a_file_of_any_time(run, time):
    os.utime(run.path / "config.yaml", (time, time))
    assert listed(run)["made"] >= "1970-01-01"


def test_no_folder_of_runs(tmp_path):
    (tmp_path / "file").write_text("")
    assert list_runs(tmp_path / "none") == list_runs(tmp_path / "file") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_without_permission(run):
    for path in (run.path / "summary.json", run.path / "config.yaml"):
        path.chmod(0)
    assert listed(run)["status"] == "broken"
    run.path.parent.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        list_runs(run.path.parent)
    run.path.parent.chmod(0o700)


def test_names_are_shown_escaped(minidl, tmp_path):
    names = ("\x1b[31mred\x1b[0m", "two\nlines", "[bold]", "\u202eback", "\udcff")
    for name in names:
        run = Run.create(tmp_path / "runs", name, FILES)
        (run.path / "summary.json").write_text('{"\x1b[31m')
    outcome = minidl("runs")
    assert (outcome.code, outcome.err) == (0, "")
    assert all(line.isprintable() for line in outcome.out.splitlines())
    assert len(outcome.out.splitlines()) == 1 + 2 * len(names)
    document = json.loads(minidl("runs", "--json").out)
    assert [found["status"] for found in document] == ["broken"] * len(names)


def test_what_is_said_of_a_run(minidl, run):
    unfinished = Run.create(run.path.parent, "b", FILES)
    lines = minidl("runs").out.splitlines()
    assert "2/3, 1 failed" in lines[1]
    assert "unfinished" in lines[2]
    with Lock(unfinished.path):
        assert "running" in minidl("runs").out.splitlines()[2]
