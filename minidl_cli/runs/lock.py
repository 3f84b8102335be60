"""Locks that keep two processes from training one run: held by a process, and gone with it."""

import fcntl
import os
import warnings
import weakref
from contextlib import suppress
from pathlib import Path
from time import sleep
from types import TracebackType

from ..errors import InputError, MinidlWarning
from ..interrupts import Interrupted

# How often to try, within a fifth of a second.
TRIES = 20


class Lock:
    """The exclusive lock of a run folder, from now on until it is closed or the process ends, however it ends.

    It is a lock on the folder itself, by flock(2), so that there is no file that could be left behind.

    Args:
        path: the run folder.

    Raises:
        InputError: another process holds the lock, or the folder cannot be opened.
    """

    def __init__(self, path: Path):
        Interrupted.begin()
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise InputError(f"{path}: cannot be opened: {error.strerror or error}") from error
        self.close = weakref.finalize(self, os.close, descriptor)
        try:
            _lock(descriptor)
        except BlockingIOError:
            self.close()
            raise InputError(f"{path}: is being trained by another process") from None
        except OSError as error:
            # Some network file systems know no locks of folders.
            problem = f"{path}: cannot be locked ({error.strerror or error}): see to it that nothing else resumes it"
            warnings.warn(problem, MinidlWarning, stacklevel=2)

    def __enter__(self) -> "Lock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _lock(descriptor: int) -> None:
    for _ in range(TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        sleep(0.01)  # somebody may only look, as `is_locked` does
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(path: Path) -> bool:
    """Tell whether a process holds the lock of a run folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
