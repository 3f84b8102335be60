"""Progress of a training: a live bar on a terminal, plain lines elsewhere."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..escaping import escaped
from ..metrics import title
from .text import duration, number

# A line every so many percent where there is no terminal.
LINE_PERCENT = 5


class ProgressDisplay(ABC):
    """Shows how far a training is."""

    @abstractmethod
    def advance(self, doing: str, steps: int, epoch: int, measured: Mapping[str, float]) -> None:
        """Show that `steps` more epochs of rounds are done.

        Args:
            doing: what is being trained.
            steps: the number of rounds that finished one more epoch, and of epochs that need no training any more.
            epoch: the epoch that they finished.
            measured: the means of a few metrics over them, such as `train_loss`.
        """


@contextmanager
def show_progress(epochs: int, silent: bool, done: int = 0) -> Iterator[ProgressDisplay]:
    """Show the progress of a training on standard error, while the context is open; nothing at all if `silent`.

    Args:
        epochs: how many epochs there are to train, those of all rounds added up.
        silent: whether to show nothing.
        done: how many of the epochs were trained before.
    """
    console = Console(stderr=True, highlight=False)
    if silent:
        yield _Nothing()
        return
    if not console.is_terminal:
        yield _Lines(console.file, epochs, done)
        return
    columns = [
        TextColumn("{task.fields[doing]}"),
        BarColumn(bar_width=10),
        TextColumn("{task.fields[measured]}"),
        TimeRemainingColumn(compact=True),
    ]
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress, epochs, done)


class _Nothing(ProgressDisplay):
    def advance(self, doing: str, steps: int, epoch: int, measured: Mapping[str, float]) -> None:
        pass


class _Bar(ProgressDisplay):
    def __init__(self, progress: Progress, epochs: int, done: int):
        self._progress = progress
        self._task = progress.add_task("", total=epochs, completed=done, doing="", measured="")

    def advance(self, doing: str, steps: int, epoch: int, measured: Mapping[str, float]) -> None:
        shown = f"epoch {epoch}  {_written(measured)}"
        self._progress.update(self._task, advance=steps, doing=_brief(doing), measured=shown)


class _Lines(ProgressDisplay):
    def __init__(self, file: IO[str], epochs: int, done: int):
        self._file, self._total, self._done = file, epochs, done
        self._shown = 100 * done // max(1, epochs)
        self._started = perf_counter()

    def advance(self, doing: str, steps: int, epoch: int, measured: Mapping[str, float]) -> None:
        self._done += steps
        percent = 100 * self._done // self._total
        if percent < self._shown + LINE_PERCENT:
            return
        self._shown = percent - percent % LINE_PERCENT
        passed = duration(perf_counter() - self._started)
        line = f"{percent:3d}%  {_brief(doing)}  epoch {epoch}  {_written(measured)}  {passed}"
        # Where nobody reads the lines any more, or the disk that they go to is full, the training goes on.
        with suppress(OSError):
            self._file.write(f"{escaped(line)}\n")
            self._file.flush()


def _brief(doing: str) -> str:
    return doing if len(doing) <= 16 else f"{doing[:15]}…"


def _written(measured: Mapping[str, float]) -> str:
    shown = (f"{title(name)} {number(value)}" for name, value in measured.items())
    return "  ".join(shown).replace("accuracy", "acc.")
