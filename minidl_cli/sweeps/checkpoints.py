"""The checkpoints in a run folder: a file for each stack of rounds."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, MinidlWarning
from ..reference.torch_trainer import check_moments
from ..runs.environment import physical_memory
from ..runs.folder import Run
from ..runs.sealed import unseal, write_sealed
from ..training.build import Task
from ..training.checkpoint import Checkpoint, fingerprint, largest_file
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
        task: what it trains.
    """

    def __init__(self, run: Run, task: Task):
        self._run, self._task, self._folder = run, task, run.path / FOLDER
        self._unusable: dict[Path, ValueError] = {}
        self._most = min(largest_file(task, len(task.config.seeds)), physical_memory() // 3)

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
        found = self._read(path) if path.exists() else None
        return found if found and found.seeds == sorted(chunk) else None

    def begun(self) -> list[Begun]:
        """Return the stacks that were begun, as far as their files can be used. Nothing is changed.

        Raises:
            InputError: a file cannot be read, or is of another config.
        """
        config = self._task.config
        left, found = set(config.seeds), []
        for path in sorted(self._folder.glob("*.checkpoint")):
            try:
                checkpoint = self._read(path)
                self._check_config(checkpoint)
                if not (set(checkpoint.seeds) <= left and path == self._path(checkpoint.seeds)):
                    raise ValueError("it is of other rounds")
                checkpoint.check(self._task)
                if config.framework == "torch":
                    check_moments(checkpoint, self._task)
            except ValueError as error:
                self._unusable[path] = error
            else:
                left -= set(checkpoint.seeds)
                stopped = {each.seed for each in checkpoint.stopped}
                epochs = checkpoint.last_epochs
                found.append(Begun(checkpoint.seeds, checkpoint.epoch, epochs, stopped, checkpoint.seconds))
        return found

    def drop_unusable(self) -> None:
        """Remove the files that `begun` could not use, with a warning for each.

        Raises:
            InputError: a file cannot be removed.
        """
        for path, error in self._unusable.items():
            self._drop(path, f"cannot be used ({error})")

    def drop(self, begun: Begun, problem: str) -> None:
        """Forget what was begun, with a warning that says why."""
        self._drop(self._path(begun.seeds), problem)

    def _check_config(self, checkpoint: Checkpoint) -> None:
        config = self._task.config
        if not (set(checkpoint.seeds) <= set(config.seeds) and checkpoint.config == fingerprint(config)):
            advice = "put it back as it was, or start another run from it"
            raise InputError(f"{self._run.config_path}: has changed since the rounds were trained; {advice}")

    def _drop(self, path: Path, problem: str) -> None:
        advice = "it is removed, and rounds that have no other are trained from the start"
        warnings.warn(f"{path}: {problem}; {advice}", MinidlWarning, stacklevel=3)
        try:
            path.unlink()
        except OSError as error:
            raise InputError(f"{path}: cannot be removed: {error.strerror or error}") from error

    def _read(self, path: Path) -> Checkpoint:
        return Checkpoint.decode(unseal(self._run.read(f"{FOLDER}/{path.name}", self._most)))

    def _path(self, chunk: Chunk) -> Path:
        return self._folder / f"{chunk[0]}.checkpoint"
