"""`minidl runs rm`: what was named goes, and nothing else."""

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from minidl_cli.runs.folder import Run
from minidl_cli.runs.lock import Lock

FILES = {"config.yaml": "name: a\n", "environment.json": "{}\n", "weights/last.safetensors": "x"}


@pytest.fixture
def make(tmp_path):
    return lambda name="a", runs_dir="runs": Run.create(tmp_path / runs_dir, name, FILES).path


def left(tmp_path, runs_dir="runs"):
    return sorted(path.name for path in (tmp_path / runs_dir).iterdir())


def test_paths_ids_and_latest(minidl, make, tmp_path):
    first, second, third, stays = make("a"), make("b"), make("c"), make("d")
    os.utime(third / "config.yaml", (1e10, 1e10))
    outcome = minidl("runs", "rm", first, second.name, f"runs/{second.name}", "latest", "--yes")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [f"removed {first}", f"removed runs/{second.name}", f"removed runs/{third.name}"]
    assert left(tmp_path) == [stays.name]


def test_json_and_the_folder_of_runs(minidl, make, tmp_path):
    make(runs_dir="runs")
    for arguments in (["--runs-dir", "x", "--json", "rm"], ["rm", "--runs-dir", "x", "--json"]):
        run = make(runs_dir="x")
        assert json.loads(minidl("runs", *arguments, "latest", "-y").out) == {"removed": [f"x/{run.name}"]}
        assert left(tmp_path, "x") == []
    assert len(left(tmp_path)) == 1


def test_all_problems_are_said_before_anything_is_removed(minidl, make, tmp_path):
    good, training, variant = make("good"), make("training"), make("sweep") / "variants/b"
    variant.mkdir(parents=True)
    for name in FILES.keys() - {"weights/last.safetensors"}:
        (variant / name).write_text("")
    (tmp_path / "runs/link").symlink_to(good)
    (tmp_path / "project").mkdir()
    (tmp_path / "project/config.yaml").write_text("a user's own")
    (tmp_path / "empty").mkdir()
    before = sorted((tmp_path / "runs").rglob("*"))
    with Lock(training):
        outcome = minidl("runs", "rm", good, training, variant, "runs/link", "project", "empty", "none", "-y")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.splitlines() == [
        f"{training}: is being trained by another process",
        f"{variant}: is a variant of a sweep; only the whole sweep can go, {variant.parents[1]}",
        "runs/link: is a link; name the run that it leads to, or remove the link yourself",
        "project: is not a run: it has no environment.json",
        "empty: is not a run: it has no config.yaml",
        "none: no such run; `minidl runs` lists those in runs",
    ]
    assert sorted((tmp_path / "runs").rglob("*")) == before
    assert (tmp_path / "project/config.yaml").exists()


def test_links_in_a_run_are_not_followed(minidl, make, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("here")
    run = make()
    (run / "folder").symlink_to(tmp_path / "outside")
    (run / "file").symlink_to(tmp_path / "outside/file")
    (run / "config.yaml").unlink()
    (run / "config.yaml").symlink_to(tmp_path / "outside/file")
    os.mkfifo(run / "pipe")
    assert minidl("runs", "rm", run, "-y").code == 0
    assert left(tmp_path) == []
    assert (tmp_path / "outside/file").read_text() == "here"


def test_broken_runs_go_as_well(minidl, make, tmp_path):
    run = make()
    (run / "environment.json").unlink()
    assert minidl("runs", "rm", run, "-y").code == 0
    renamed = make().rename(tmp_path / "runs/mine")
    assert minidl("runs", "rm", renamed, "-y").code == 0
    assert left(tmp_path) == []


def test_it_asks_on_a_terminal_only(minidl, make, monkeypatch):
    run = make()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    outcome = minidl("runs", "rm", run)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"this removes {run} for good; confirm it with --yes\n"
    assert run.exists()


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_the_answer_is_heard(make, answer, code):
    run = make()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "minidl_cli", "runs", "rm", run.name, "--json"]
    pipes = {"stdin": theirs, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=run.parents[1], **pipes) as asked:
        os.write(ours, f"{answer}\n".encode())
        out, err = asked.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert asked.returncode == code
    assert err.startswith(f"remove runs/{run.name} for good? [y/N]: ".encode())
    assert run.exists() == (answer != "y")
    assert out == b"" or json.loads(out) == {"removed": [f"runs/{run.name}"]}


def test_what_cannot_be_removed_is_told(minidl, make, tmp_path, monkeypatch):
    first, second = make(), make()

    def refuse(path: Path, *_) -> Path:
        raise PermissionError(13, "Permission denied")

    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda path, to: refuse(path) if path == first else rename(path, to))
    outcome = minidl("runs", "rm", first, second, "-y")
    assert (outcome.code, outcome.err) == (2, f"{first}: cannot be removed: Permission denied\n")
    assert left(tmp_path) == [first.name]


def test_what_is_left_of_a_removal_is_told(minidl, make, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(5, "Input/output error")

    run = make()
    monkeypatch.setattr("shutil.rmtree", fail)
    outcome = minidl("runs", "rm", run, "-y")
    (hidden,) = left(tmp_path)
    assert outcome.code == 2
    assert outcome.err == (
        f"{run}: cannot be removed: Input/output error; what is left of it is {tmp_path / 'runs' / hidden}\n"
    )
    assert json.loads(minidl("runs", "--json").out) == []
