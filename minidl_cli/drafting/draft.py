"""A config that was drafted, and writing it where nothing is lost."""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from ..atomic import write_where_told
from ..data.tables.messages import path_shown
from ..display.text import printable
from ..errors import InputError


@dataclass(frozen=True)
class Draft:
    """A config and what led to it.

    Attributes:
        text: the config's YAML.
        found: what was seen and chosen, as plain data.
    """

    text: str
    found: dict[str, Any]


def check_output(path: Path, *, force: bool, data: Path | None = None) -> None:
    """Check that a config may be written there.

    Args:
        path: the config's file.
        force: whether it may take the place of another.
        data: a file that it must not be.

    Raises:
        InputError: it would overwrite something, is a folder, or cannot be a file's name.
    """
    try:
        _check_output(path, force, data)
    except OSError as error:
        raise InputError(f"{path_shown(path)}: cannot be written: {error.strerror or error}") from error


def _check_output(path: Path, force: bool, data: Path | None) -> None:
    if data and path.exists() and data.exists() and path.samefile(data):
        raise InputError(f"{path_shown(path)}: is the table itself; choose another file with -o")
    if path.is_dir():
        raise InputError(f"{path_shown(path)}: is a folder; name a file in it with -o")
    if (path.exists() or path.is_symlink()) and not force:
        raise InputError(
            f"{path_shown(path)}: is there already; write another file with -o, or overwrite it with --force"
        )


def write_draft(draft: Draft, path: Path) -> None:
    """Write a config.

    Raises:
        InputError: it cannot be written there.
    """
    try:
        write_where_told(path, draft.text)
    except OSError as error:
        raise InputError(f"{path_shown(path)}: cannot be written: {error.strerror or error}") from error


def shell_argument(path: Path) -> str:
    """Return a path as one types it in a shell: no option, whatever it begins with."""
    text = str(path)
    return quote(printable(f"./{text}" if text.startswith("-") else text))
