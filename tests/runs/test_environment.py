"""What a run depended on besides its config."""

import shutil
import subprocess
from types import SimpleNamespace

import pytest
import torch

from minidl_cli.runs import environment as environment_module
from minidl_cli.runs.environment import PACKAGES, environment, physical_memory


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


class TestPhysicalMemory:
    """The limits of made-up control groups, in files below a folder that stands for the root."""

    MACHINE = 1000

    @pytest.fixture
    def found(self, tmp_path, monkeypatch):
        """Returns what there is to have with some files, given by path and content."""
        monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 10, "SC_PHYS_PAGES": self.MACHINE // 10}.__getitem__)
        monkeypatch.setattr(environment_module, "Path", lambda path: tmp_path / path.removeprefix("/"))

        def found(files):
            for name, text in files.items():
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return physical_memory.__wrapped__()

        return found

    def test_without_control_groups_it_is_the_machine_s(self, found):
        assert found({}) == self.MACHINE

    @pytest.mark.parametrize(
        ("limits", "expected"),
        [
            ({"a/b": "max\n", "a": "max\n"}, MACHINE),
            ({"a/b": "300\n", "a": "max\n"}, 300),
            ({"a/b": "max\n", "a": "200\n"}, 200),
            ({"a/b": "300\n", "a": "200\n"}, 200),
            ({"a/b": "2000\n"}, MACHINE),
            ({".": "100\n"}, 100),  # which a container sees as the root
            ({"c": "100\n"}, MACHINE),  # another group's
            ({"a/b": "nonsense"}, MACHINE),
            ({"a/b": ""}, MACHINE),
        ],
    )
    def test_version_2(self, found, limits, expected):
        files = {f"sys/fs/cgroup/{group}/memory.max": text for group, text in limits.items()}
        assert found(files | {"proc/self/cgroup": "0::/a/b\n"}) == expected

    @pytest.mark.parametrize("controllers", ["memory", "cpu,memory"])
    @pytest.mark.parametrize(("group", "expected"), [("a/b", 300), ("a", 300), (".", 300), ("c", MACHINE)])
    def test_version_1(self, found, controllers, group, expected):
        groups = f"9:name=systemd:/a\n8:pids:/c\n4:{controllers}:/a/b\n1:cpu:/\n"
        limits = {f"sys/fs/cgroup/memory/{group}/memory.limit_in_bytes": "300\n"}
        assert found({"proc/self/cgroup": groups} | limits) == expected

    def test_both_versions_at_once(self, found):
        groups = {"proc/self/cgroup": "4:memory:/a\n0::/b\n"}
        one = {"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n"}
        two = {"sys/fs/cgroup/b/memory.max": "300\n"}
        assert found(groups | one | two) == 300

    @pytest.mark.parametrize("text", ["", "nonsense\n", "0::/../..\n", "::\n", "0::\n", "\0:\0:\0\n"])
    def test_whatever_stands_there_it_answers(self, found, text):
        assert found({"proc/self/cgroup": text}) == self.MACHINE


class TestGPU:
    @pytest.fixture
    def _one_gpu(self, monkeypatch):
        properties = SimpleNamespace(name="NVIDIA H200", total_memory=2**37, major=9, minor=0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)

    def test_nothing_is_said_on_the_cpu(self):
        assert "gpu" not in environment("0.1.0", "cpu", 1)

    @pytest.mark.usefixtures("_one_gpu")
    def test_its_name_and_what_drives_it(self):
        found = environment("0.1.0", "cuda", 1)
        assert found["device"] == "cuda"
        known = {"name": "NVIDIA H200", "memory": 2**37, "capability": "9.0", "cuda": torch.version.cuda}
        assert {key: found["gpu"][key] for key in known} == known

    def test_one_that_only_workers_have_is_not_described(self):
        assert environment("0.1.0", "cuda:7", 1)["gpu"] is None
