"""Processes of minidl that tests start, signal and kill."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

# What a command imports: a process that is forked off has it already.
IMPORTED = ["minidl_cli.cli", "minidl_cli.sweeps.sweep", "minidl_cli.sweeps.results", "minidl_cli.sweeps.drawing"]
# In seconds: longer than anything takes, even on a busy machine.
PATIENCE = 120.0

FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(IMPORTED)

Prepare = Callable[[], Any]


class Process:
    """A command, in a process and a session of its own.

    Args:
        pid: the number of the process, and so of its group.
        printed: where its output is, but for the suffix.
        wait: waits for so many seconds, and returns the exit code, negative for a signal; None while it runs.
    """

    def __init__(self, pid: int, printed: Path, wait: Callable[[float], int | None]):
        self.pid, self._printed, self._wait = pid, printed, wait

    @property
    def out(self) -> str:
        """What it has printed on standard output."""
        return self._printed.with_suffix(".out").read_text()

    @property
    def err(self) -> str:
        """What it has printed on standard error."""
        return self._printed.with_suffix(".err").read_text()

    def is_running(self) -> bool:
        """Tell whether it has not ended."""
        return self._wait(0) is None

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for its end, and return the exit code."""
        code = self._wait(seconds)
        assert code is not None, f"still running after {seconds:.0f} s: {self.err}"
        return code

    def wait_until(self, condition: Callable[[], Any]) -> None:
        """Wait until something is so; the process should run until then."""
        wait_until(lambda: condition() or not self.is_running())
        assert condition(), f"ended with {self.wait()} before: {self.err}"

    def wait_until_it_catches(self, number: int) -> None:
        """Wait until the process has said what it does on a signal; before, Python or the system decides."""
        caught = re.compile(rb"^SigCgt:\s*(\w+)$", re.MULTILINE)
        self.wait_until(
            lambda: any(int(mask, 16) >> number - 1 & 1 for mask in caught.findall(_read(self.pid, "status")))
        )

    def signal(self, number: int) -> None:
        """Send a signal to the process alone, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """Send a signal to the process and to all that it has started, as a terminal does."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def workers(self) -> list[int]:
        """Return the numbers of its worker processes."""
        return [pid for pid in _children(self.pid) if b"spawn_main" in _read(pid, "cmdline")]

    def wait_until_all_are_gone(self, seconds: float = PATIENCE) -> None:
        """Wait until no process is left of all that it has started."""
        wait_until(self._is_alone, seconds)

    def _is_alone(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False


class Processes:
    """Starts commands in a folder, and kills those that run on in the end.

    Args:
        folder: where the commands are given.
        output: the folder of what they print.
    """

    def __init__(self, folder: Path, output: Path):
        self.folder, self._output = folder, output
        self._started: list[Process] = []
        self._numbers = count(1)

    def start(
        self, *arguments: str | Path, program: Sequence[str] = (sys.executable, "-m", "minidl_cli"), **options: Any
    ) -> Process:
        """Start `minidl` as a user does, or another program."""
        printed = self._printed()
        with printed.with_suffix(".out").open("w") as out, printed.with_suffix(".err").open("w") as err:
            process = subprocess.Popen(
                [*program, *map(str, arguments)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                **options,
            )

        def wait(seconds: float) -> int | None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            return process.returncode

        return self._keep(Process(process.pid, printed, wait))

    def fork(self, *arguments: str | Path, prepare: Prepare = int, figures: bool = False) -> Process:
        """Start `minidl` in a fork of a process that has imported it, which takes most of a short command's time.

        Args:
            arguments: what comes after `minidl`.
            prepare: called in the process before the command; a function of a module, perhaps a `partial` one.
            figures: whether any are drawn; those of a run take longer than the training of a small network.
        """
        printed = self._printed()
        process = FORKS.Process(target=_command, args=([*map(str, arguments)], self.folder, printed, prepare, figures))
        process.start()

        def wait(seconds: float) -> int | None:
            process.join(seconds)
            return process.exitcode

        return self._keep(Process(process.pid or 0, printed, wait))

    def run(self, *arguments: str | Path, code: int = 0, **options: Any) -> Process:
        """Fork a command, wait for its end, and check its exit code."""
        process = self.fork(*arguments, **options)
        assert process.wait() == code, process.err
        assert "Traceback" not in process.err
        return process

    def kill_all(self) -> None:
        """Kill all that still runs."""
        for process in self._started:
            process.signal_group(signal.SIGKILL)

    def _printed(self) -> Path:
        return self._output / str(next(self._numbers))

    def _keep(self, process: Process) -> Process:
        self._started.append(process)
        return process


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds:.0f} s"
        time.sleep(0.005)


def draw_nothing() -> None:
    """Leave out the figures of run folders."""
    from minidl_cli.display import figures
    from minidl_cli.sweeps import drawing

    drawing.draw_figures = lambda *_: None
    for name in ("variants", "rounds", "final_points", "final_pairs", "predictions"):
        setattr(figures, f"draw_{name}", lambda *_, **__: None)


def in_a_shell(command: str) -> tuple[str, ...]:
    """Return the program that is a command of a shell that knows `minidl`."""
    found = shutil.which("minidl", path=str(Path(sys.executable).parent))
    assert found, "minidl is not installed beside Python"
    return ("sh", "-c", f'PATH="{Path(found).parent}:$PATH"; exec {command}')


def _command(arguments: list[str], folder: Path, printed: Path, prepare: Prepare, figures: bool) -> None:
    """Be `minidl`, with a session, a folder and output of one's own."""
    os.setsid()
    os.chdir(folder)
    for stream, suffix in ((sys.stdout, ".out"), (sys.stderr, ".err")):
        os.dup2(os.open(printed.with_suffix(suffix), os.O_WRONLY | os.O_CREAT), stream.fileno())
    if not figures:
        draw_nothing()
    prepare()
    from minidl_cli.cli import main

    sys.argv = ["minidl", *arguments]
    main()


def _children(pid: int) -> list[int]:
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(each) for each in (task / "children").read_text().split()]
    return found


def _read(pid: int, name: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""
