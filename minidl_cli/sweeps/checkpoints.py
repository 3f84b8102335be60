"""The checkpoints in a run folder: a file for each stack of rounds."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, MinidlWarning
from ..runs.environment import physical_memory
from ..runs.folder import Run
from ..runs.sealed import unseal, write_sealed
from ..training.checkpoint import Checkpoint
from .plan import Chunk

FOLDER = "checkpoint"


@dataclass(frozen=True)
class Begun:
    """A stack of rounds that has a checkpoint.

    Attributes:
        seeds: its rounds, ascending.
        epoch: the number of epochs that the stack was trained for.
        last_epochs: the number of epochs that each round was trained for, by seed.
        stopped: the rounds that will not be trained any more, however many epochs there are.
        seconds: what the training took.
    """

    seeds: list[int]
    epoch: int
    last_epochs: dict[int, int]
    stopped: set[int]
    seconds: float

    def done(self, epochs: int) -> int:
        """Return how many of so many epochs of each round need no training any more, added up over the rounds."""
        return sum(epochs if seed in self.stopped else last for seed, last in self.last_epochs.items())


class Checkpoints:
    """The checkpoints of a run.

    Args:
        run: the run.
    """

    def __init__(self, run: Run):
        self._run, self._folder = run, run.path / FOLDER

    def write(self, checkpoint: Checkpoint) -> None:
        """Put a checkpoint in the place of the last one of its stack.

        Raises:
            OSError: it cannot be written; the last one is still there.
        """
        self._folder.mkdir(exist_ok=True)
        write_sealed(self._path(checkpoint.seeds), checkpoint.encode())

    def read(self, chunk: Chunk) -> Checkpoint | None:
        """Return the checkpoint of a chunk's stack; None if it has none."""
        path = self._path(chunk)
        return self._read(path) if path.exists() else None

    def begun(self, seeds: Iterable[int]) -> list[Begun]:
        """Return the stacks of rounds with these seeds that were begun.

        A file whose content cannot be used is removed, with a warning.

        Raises:
            InputError: a file cannot be read or removed.
        """
        expected, found = set(seeds), []
        for path in sorted(self._folder.glob("*.checkpoint")):
            try:
                checkpoint = self._read(path)
                if not (set(checkpoint.seeds) <= expected and path == self._path(checkpoint.seeds)):
                    raise ValueError("it is of other rounds")
            except ValueError as error:
                self._drop(path, f"cannot be used ({error})")
                continue
            expected -= set(checkpoint.seeds)
            stopped = {each.seed for each in checkpoint.stopped}
            found.append(Begun(checkpoint.seeds, checkpoint.epoch, checkpoint.last_epochs, stopped, checkpoint.seconds))
        return found

    def drop(self, begun: Begun, problem: str) -> None:
        """Forget what was begun, with a warning that says why."""
        self._drop(self._path(begun.seeds), problem)

    def _drop(self, path: Path, problem: str) -> None:
        warnings.warn(f"{path}: {problem}: its rounds are trained from the start", MinidlWarning, stacklevel=3)
        try:
            path.unlink()
        except OSError as error:
            raise InputError(f"{path}: cannot be removed: {error.strerror or error}") from error

    def _read(self, path: Path) -> Checkpoint:
        return Checkpoint.decode(unseal(self._run.read(f"{FOLDER}/{path.name}", physical_memory())))

    def _path(self, chunk: Chunk) -> Path:
        return self._folder / f"{chunk[0]}.checkpoint"
