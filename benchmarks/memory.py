"""The peak memory of a command, with all processes that it starts."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import sleep

PAGE = os.sysconf("SC_PAGE_SIZE")


def peak_memory(command: Sequence[str], interval: float = 0.02) -> int:
    """Run a command; return the largest sum of its processes' resident memory, in bytes, looked at every few moments.

    What processes share, such as the code of libraries, is counted in each of them.
    """
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(_resident, _tree(process.pid))))
            sleep(interval)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return peak


def _tree(root: int) -> Iterator[int]:
    """Yield a process and all that it started, directly or not."""
    yield root
    for thread in Path(f"/proc/{root}/task").glob("*"):
        for child in _read(thread / "children").split():
            yield from _tree(int(child))


def _resident(process: int) -> int:
    pages = _read(Path(f"/proc/{process}/statm")).split()
    return int(pages[1]) * PAGE if pages else 0


def _read(path: Path) -> str:
    """Return what stands in a file, nothing if its process has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""
