"""The compiler: found or not, its libraries kept, shared, and made anew where they cannot be trusted."""

import ctypes
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from minidl_cli.compiled import library
from minidl_cli.compiled.library import CHOICES, PROBE, find_compiler
from minidl_cli.errors import CompilationError

ANSWER = "int answer(void) { return (int)sizeof(number) * 10 + NUMBER; }"
REAL = shutil.which("cc") or "cc"


def text(number: int) -> str:
    return ANSWER.replace("NUMBER", str(number))


@pytest.fixture(autouse=True)
def _forgotten():
    """The compiler is looked for anew in every test, and after the last."""
    find_compiler.cache_clear()
    yield
    find_compiler.cache_clear()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of compiled libraries, which is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "minidl"


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Makes a shell script the compiler; `$cc` in it is the real one, and `log` a file beside it."""

    def make(body: str) -> Path:
        path = tmp_path / "compiler"
        path.write_text(f"#!/bin/sh\ncc={REAL}\nlog={tmp_path}/log\n{body}\n")
        path.chmod(0o700)
        monkeypatch.setenv("CC", str(path))
        return tmp_path / "log"

    return make


COUNTING = 'case "$*" in *" -o "*) echo compiled >> $log;; esac\nexec $cc "$@"'


def compilations(log: Path) -> int:
    return len(log.read_text().splitlines())


def test_a_text_is_compiled_for_the_type_of_its_numbers(compiler):
    assert compiler.load(text(1), "float").answer() == 41
    assert compiler.load(text(1), "double").answer() == 81


def test_each_text_is_compiled_once(cache, script):
    log = script(COUNTING)
    compiler = find_compiler()
    before = compilations(log)
    assert [compiler.load(text(number), "float").answer() for number in (1, 2, 1, 2)] == [41, 42, 41, 42]
    assert compilations(log) == before + 2
    find_compiler.cache_clear()
    assert find_compiler().load(text(2), "float").answer() == 42
    assert compilations(log) == before + 2


def test_another_compiler_or_version_compiles_anew(cache, script):
    log = script(COUNTING)
    find_compiler().load(text(1), "float")
    before = compilations(log)
    script(f"""case "$*" in *-dM*) echo '#define __VERSION__ "another"'; exit;; esac\n{COUNTING}""")
    find_compiler.cache_clear()
    assert find_compiler().version.endswith("compiler another")
    find_compiler().load(text(1), "float")
    assert compilations(log) == 2 * before


def test_another_processor_compiles_anew(cache, script):
    """A home may be shared by machines, of which some know instructions that others do not."""
    log = script(COUNTING)
    find_compiler().load(text(1), "float")
    before = compilations(log)
    script(f'case "$*" in *-dM*) echo "#define __NEWEST_INSTRUCTIONS__ 1";; esac\n{COUNTING}')
    find_compiler.cache_clear()
    find_compiler().load(text(1), "float")
    assert compilations(log) == 2 * before


def test_only_libraries_are_left_in_the_cache_and_nobody_else_may_write_there(cache):
    find_compiler().load(text(1), "float")
    assert {each.suffix for each in cache.iterdir()} == {".so"}
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("exit 1", "does not work"),
        ("exit 0", "does not work"),
        ('case "$*" in *-dM*) exec $cc "$@";; esac\nexit 1', "does not work"),
        ("kill -9 $$", "does not work"),
        ("head -c 100 /dev/urandom; exit 1", "does not work"),
    ],
    ids=["always fails", "does nothing", "tells its version only", "dies", "tells nonsense"],
)
def test_a_compiler_that_does_not_work_is_no_compiler(cache, script, body, problem):
    script(body)
    with pytest.raises(CompilationError, match=problem):
        find_compiler()


@pytest.mark.parametrize("command", ["no-such-command", "/", "/dev/null"])
def test_a_command_that_is_not_there_is_no_compiler(monkeypatch, command):
    monkeypatch.setenv("CC", command)
    with pytest.raises(CompilationError, match="there is no C compiler"):
        find_compiler()


def test_the_compiler_may_have_options(cache, monkeypatch):
    monkeypatch.setenv("CC", "cc -DEXTRA=1")
    loaded = find_compiler().load("int extra(void) { return EXTRA; }", "float")
    assert loaded.extra() == 1


def test_options_that_the_compiler_does_not_take_are_left_out(cache, script):
    script('case "$*" in *-lmvec*|*-march*) echo "what is that?" >&2; exit 1;; esac\nexec $cc "$@"')
    compiler = find_compiler()
    assert list(compiler.flags)[-1] == "-fno-strict-aliasing"
    assert CHOICES[-1] == ([], ["-lm"])
    assert compiler.machine.vector_bytes == 16
    assert compiler.load(text(3), "double").answer() == 83


def test_what_the_compiler_says_first_is_the_reason(cache, script):
    script(
        'case "$*" in *" -o "*) cat > $log.c; grep -q answer $log.c && { printf "no answers\\nmore\\n" >&2; exit 1; }\n'
        'exec $cc "$@" < $log.c;; esac\nexec $cc "$@"'
    )
    compiler = find_compiler()
    with pytest.raises(CompilationError, match=r"compiler failed: no answers$"):
        compiler.load(text(1), "float")
    assert compiler.load(PROBE, "float")


def no_folder(cache: Path) -> None:
    cache.parent.write_text("a file where the folder should be")


def of_another_user(cache: Path) -> None:
    cache.mkdir(parents=True)
    user = os.getuid()
    os.getuid = lambda: user + 1


def writable_for_all(cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)


def writable_for_the_group(cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o770)


def read_only(cache: Path) -> None:
    cache.mkdir(parents=True)
    os.access = lambda _, mode: mode != os.W_OK  # The superuser could write all the same.


@pytest.mark.parametrize("prepare", [no_folder, of_another_user, writable_for_all, writable_for_the_group, read_only])
def test_a_folder_that_is_not_private_is_not_used(cache, monkeypatch, prepare):
    for name in ("getuid", "access"):
        monkeypatch.setattr(os, name, getattr(os, name))
    prepare(cache)
    assert find_compiler().load(text(1), "float").answer() == 41
    assert not cache.is_dir() or list(cache.iterdir()) == []


def test_no_home_at_all(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", _no_home)
    assert find_compiler().load(text(1), "float").answer() == 41


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize("left", [0.0, 0.01, 0.5, 0.999])
def test_half_a_library_is_compiled_anew(cache, left):
    """It must not even be loaded: the system ends a process that looks behind the end of a file."""
    find_compiler().load(text(1), "float")
    whole = _replace_all(cache, lambda content: content[: int(len(content) * left)])
    assert _load_elsewhere(1).communicate() == ("41\n", "")
    assert {path: len(path.read_bytes()) for path in cache.iterdir()} == whole


def test_a_library_of_nonsense_is_compiled_anew(cache):
    find_compiler().load(text(1), "float")
    whole = _replace_all(cache, lambda content: b"nonsense" * len(content))
    assert _load_elsewhere(1).communicate() == ("41\n", "")
    assert {path: len(path.read_bytes()) for path in cache.iterdir()} == whole


def _replace_all(folder: Path, damage: Callable[[bytes], bytes]) -> dict[Path, int]:
    """Damage every file, and return how long they were. (Each is made anew: this process has loaded the others.)"""
    contents = {path: path.read_bytes() for path in folder.iterdir()}
    for path, content in contents.items():
        path.unlink()
        path.write_bytes(damage(content))
    return {path: len(content) for path, content in contents.items()}


def test_processes_may_compile_the_same_at_once(cache, script):
    log = script(f'case "$*" in *" -o "*) sleep 0.2;; esac\n{COUNTING}')
    at_once = [_load_elsewhere(7) for _ in range(3)]
    assert [each.communicate() for each in at_once] == [("47\n", "")] * 3
    assert compilations(log) > 3
    assert {each.suffix for each in cache.iterdir()} == {".so"}


def _load_elsewhere(number: int) -> subprocess.Popen[str]:
    """Start a process that compiles a text and prints its answer."""
    load = f"find_compiler().load({text(number)!r}, 'float')"
    code = f"from minidl_cli.compiled.library import find_compiler; print({load}.answer())"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_no_temporary_folder_is_no_library(cache, monkeypatch, compiler):
    monkeypatch.setattr(library, "TemporaryDirectory", _no_space)
    with pytest.raises(CompilationError, match="No space left"):
        compiler.load(text(99), "float")


def _no_space(**_: str) -> None:
    raise OSError(28, "No space left on device")


def test_a_cache_without_room_is_done_without(cache, monkeypatch):
    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert find_compiler().load(text(4), "float").answer() == 44
    assert list(cache.iterdir()) == []


def test_a_cache_that_nothing_may_be_executed_from_is_done_without(cache, monkeypatch):
    find_compiler().load(text(5), "float")
    load = ctypes.CDLL

    def refuse(path):
        if Path(path).is_relative_to(cache):
            raise OSError("failed to map segment from shared object")
        return load(path)

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert find_compiler().load(text(5), "float").answer() == 45


def test_a_stopped_compilation_leaves_no_process_and_no_file(cache, script, tmp_path, monkeypatch):
    script(f"(sleep 1; touch {tmp_path}/survived) & touch {tmp_path}/started; wait")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = "from minidl_cli.compiled.library import Compiler; from minidl_cli.compiled.products import Machine\n"
    code += f"Compiler(['{tmp_path}/compiler'], '', [], [], '', Machine(16, 16)).load('', 'float')"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "started").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
    assert process.returncode
    time.sleep(1.5)
    assert not (tmp_path / "survived").exists()
    assert not list(tmp_path.glob("minidl-*"))
