"""Ends that are prepared: called in a process before its command, each ends it later, at a point that is known."""

import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def signal_at_change(number: int, nth: int) -> None:
    """Send this process a signal right before it changes a folder, or opens a file to write it, for the nth time."""
    to_come = nth

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal to_come
        if event in CHANGES or (event == "open" and arguments[2] & WRITING):
            to_come -= 1
            if to_come == 0:
                os.kill(os.getpid(), number)

    sys.addaudithook(count)


def die_at_size(size: int) -> None:
    """Kill this process when it has written so many bytes of a file, and would write another."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_files(size)


def limit_files(size: int) -> None:
    """Leave this process space for so many bytes in each file that it writes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def signal_in_epoch(number: int, seed: int, epoch: int) -> None:
    """Send this process a signal when it logs that epoch of a round, or a later one."""
    from minidl_cli.runs.metrics import MetricsLog

    write = MetricsLog.write

    def write_and_signal(log: MetricsLog, at: int, seeds: Sequence[int], *others: Any) -> None:
        write(log, at, seeds, *others)
        if at >= epoch and seed in seeds:
            os.kill(os.getpid(), number)

    MetricsLog.write = write_and_signal
