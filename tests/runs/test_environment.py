"""What a run depended on besides its config."""

import shutil
import subprocess

import pytest
import torch

from minidl_cli.runs.environment import PACKAGES, environment


def git(*arguments: str) -> str:
    options = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *options, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def test_versions_are_those_of_the_packages():
    packages = environment("0.1.0", "cpu", 2)["packages"]
    assert tuple(packages) == PACKAGES
    assert packages["torch"] == torch.__version__.partition("+")[0] or packages["torch"] == torch.__version__


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
class TestGit:
    @pytest.fixture(autouse=True)
    def _in_a_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    def found(self):
        return environment("0.1.0", "cpu", 1)["git"]

    def test_commit_and_whether_files_were_changed_since(self, tmp_path):
        (tmp_path / "a.txt").write_text("1")
        git("init", "--quiet")
        git("add", "a.txt")
        git("commit", "--quiet", "--message", "one")
        commit = git("rev-parse", "HEAD")
        (tmp_path / "new.txt").write_text("1")
        assert self.found() == {"commit": commit, "dirty": False}
        (tmp_path / "a.txt").write_text("2")
        assert self.found() == {"commit": commit, "dirty": True}
        git("checkout", "--quiet", "--detach")
        assert self.found() == {"commit": commit, "dirty": True}

    def test_no_commit_yet(self):
        git("init", "--quiet")
        assert self.found() is None

    def test_no_repository(self):
        assert self.found() is None

    def test_no_git(self, monkeypatch):
        monkeypatch.setenv("PATH", "")
        assert self.found() is None
