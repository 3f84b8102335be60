"""Writing files that are either there whole or not at all."""

import os
import re
import secrets
from pathlib import Path

from .interrupts import Interrupted

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp", re.DOTALL)


def write_atomically(path: Path, content: bytes | str, end: bytes = b"") -> None:
    """Write a file by way of a temporary one in the same folder, so that a reader sees the old or the new.

    Args:
        path: the file.
        content: what it is to hold.
        end: what follows the content.

    Raises:
        OSError: the disk is full, or the folder cannot be written; what was at `path` is still there.
    """
    Interrupted.begin()
    # Its name is new: of two processes that write the same file, none writes into the other's, or through a link.
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.write(end)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def is_temporary(name: str) -> bool:
    """Tell whether a file of this name is a temporary one of `write_atomically`, left by a process that was killed."""
    return _TEMPORARY.fullmatch(name) is not None


def write_where_told(path: Path, content: bytes | str) -> None:
    """Write a file that the user named. A link stays one, and is followed; a pipe or a device is written to.

    Raises:
        OSError: it cannot be written; a file that was at `path` is still there.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    else:
        write_atomically(path.resolve(), content)


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
