"""Disks that are full, and folders that cannot be written."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MOUNT = 'mount -t tmpfs -o size="$1" none "$2" && echo ready && exec sleep infinity'


class SmallDisk:
    """A file system in memory that only the processes which enter its namespace see.

    Attributes:
        path: where they see it.
        program: the words that start `minidl` in the namespace.
        seen: where everybody else finds it.
    """

    def __init__(self, path: Path, holder: int):
        self.path = path
        enter = ("nsenter", f"--target={holder}", "--user", "--preserve-credentials", "--mount")
        self.program = (*enter, sys.executable, "-m", "minidl_cli")
        self.seen = Path(f"/proc/{holder}/root{path}")
        self._ballast = self.seen / "ballast"

    def leave(self, size: int) -> None:
        """Fill the disk but for so many bytes."""
        self.clear()
        status = os.statvfs(self.seen)
        self._ballast.write_bytes(bytes(status.f_bavail * status.f_bsize - size))

    def clear(self) -> None:
        """Give back what `leave` took."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[SmallDisk]:
    """Make a disk; the test is left out where nobody may do that."""
    path.mkdir()
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", MOUNT, "sh", size, str(path)]
    try:
        holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError as error:
        pytest.skip(f"no disk can be mounted: {error}")
    with holder:
        try:
            if holder.stdout is None or holder.stdout.readline() != "ready\n":
                pytest.skip("no disk can be mounted: this user has no namespaces")
            yield SmallDisk(path, holder.pid)
        finally:
            holder.kill()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write into a folder who has no privileges."""
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)


def drop_privileges() -> None:
    """Take from this process what allows root to write into folders that are read-only (capset(2))."""
    version, itself, none = 0x20080522, 0, [0] * 6
    header, sets = (ctypes.c_uint32 * 2)(version, itself), (ctypes.c_uint32 * 6)(*none)
    if ctypes.CDLL(None, use_errno=True).capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")
