"""Reading the files of a run folder, which a stranger may have made."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError


def read_inside(folder: Path, name: str, most: int) -> bytes:
    """Return the content of a file in a folder. Nothing is followed out of it, waited for, or read without end.

    Args:
        folder: the folder, which may be a link.
        name: the file's path inside it, of which no part may be a link.
        most: how many bytes the file may have.

    Raises:
        FileNotFoundError: it is not there.
        InputError: it is a link, or reached by one; it is no regular file, is larger, or cannot be read.
    """
    path = folder / name
    try:
        check_inside(folder, name)
        # What has become a link or a pipe since is neither followed nor waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > most:
                raise InputError(f"{path}: has {size:,} bytes; here it can have {most:,} at most")
            return file.read(size)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error


def reason(error: Exception) -> str:
    """Return in a few words why a file cannot be reached: the system says so, or its name is none."""
    return str(getattr(error, "strerror", None) or error)


def check_inside(folder: Path, name: str) -> None:
    """Make sure that a file in a folder is one, and that no link leads to it; the folder itself may be a link.

    Raises:
        OSError, ValueError: it is not there, cannot be reached, or has a name that no file can have.
        InputError: it is something else.
    """
    path, kind = folder, stat.S_IFDIR
    for part in Path(name).parts:
        path /= part
        kind = path.lstat().st_mode
        if stat.S_ISLNK(kind):
            raise InputError(f"{path}: is a link; nothing is read or written through the links of a run folder")
    if not stat.S_ISREG(kind):
        raise InputError(f"{path}: is {'a folder' if stat.S_ISDIR(kind) else 'a special file'}, not a file")


def is_folder(path: Path) -> bool:
    """Tell whether a path is a folder, and no link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield all that is below a folder, in the order of names. Links are not followed.

    Raises:
        OSError: a folder cannot be read.
    """
    pending = [str(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        yield from found
        pending += [entry.path for entry in reversed(found) if entry.is_dir(follow_symlinks=False)]
