"""Removing runs."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..errors import InputError
from .folder import ID_END, Run, hidden_folder, new_id
from .lock import Lock
from .reading import reason


@contextmanager
def hold_runs(references: Sequence[str], runs_dir: Path) -> Iterator[list[Path]]:
    """Find runs that are to be removed, and keep other processes from training them meanwhile.

    Args:
        references: their paths or ids, or `latest`.
        runs_dir: the folder of runs.

    Yields:
        The folder of each, once.

    Raises:
        InputError: one is no run, or is being trained; a line for each problem.
    """
    folders: dict[Path, Path] = {}
    problems: list[str] = []
    with ExitStack() as locks:
        for reference in references:
            try:
                path = Run.find(reference, runs_dir).path
                _check(path)
                if path.resolve() not in folders:
                    locks.enter_context(Lock(path))
                    folders[path.resolve()] = path
            except InputError as error:
                problems += error.problems
        if problems:
            raise InputError(problems)
        yield list(folders.values())


def remove_runs(folders: Iterable[Path]) -> None:
    """Remove run folders that are held, with all that is in them. What links in them lead to stays.

    Raises:
        InputError: one cannot be removed; the others are.
    """
    problems: list[str] = []
    for folder in folders:
        try:
            _remove(folder)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)


def _check(path: Path) -> None:
    """Make sure that a folder is a run's whole: others have a file `config.yaml`, too."""
    if path.is_symlink():
        raise InputError(f"{path}: is a link; name the run that it leads to, or remove the link yourself")
    if sweep := Run(path).sweep_folder:
        raise InputError(f"{path}: is a variant of a sweep; only the whole sweep can go, {sweep}")
    folder = path.resolve()
    if not (ID_END.search(folder.name) or os.path.lexists(folder / "environment.json")):
        raise InputError(f"{path}: is not a run: it has no environment.json")


def _remove(path: Path) -> None:
    """Give a folder a hidden name, so that it is gone at once, then remove it."""
    folder = path.resolve()
    hidden = hidden_folder(folder.parent, new_id("removed"))
    try:
        folder.rename(hidden)
    except OSError as error:
        raise InputError(f"{path}: cannot be removed: {reason(error)}") from error
    try:
        hidden.touch()  # whoever looks for what killed processes left sees that this one is at work
        shutil.rmtree(hidden)
    except (OSError, RecursionError) as error:
        raise InputError(f"{path}: cannot be removed: {reason(error)}; what is left of it is {hidden}") from error
