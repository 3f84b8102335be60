"""The command line: the verbs, and what every error turns into."""

import gc
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, TextIO

import click

from . import __version__
from .errors import MinidlError, MinidlWarning, is_lack_of_memory
from .escaping import escaped
from .interrupts import Interrupted

VERBS = ("train", "eval", "predict", "sweep", "show", "check", "inspect", "compare", "export", "init", "runs", "schema")


class _Verbs(click.Group):
    """Imports a verb when it is asked for. Its module imports what is heavy only when the verb runs."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = import_module(f".commands.{name}", __package__).command
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = get_close_matches(args[0], VERBS, n=1)
        if near and args[0] not in VERBS:
            context.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(context, args)


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Every verb explains itself: minidl VERB --help",
)
@click.version_option(__version__, prog_name="minidl")
def minidl() -> None:
    """Train small neural networks from YAML files.

    \b
    minidl train configs/disc.yaml      train one network
    minidl eval latest                  measure it again
    minidl sweep configs/disc.yaml      train a hundred, and see the spread
    """


def main() -> None:
    """Run the command line, and exit: 0 done, 1 it ran and failed, 2 wrong input, 128 + n: stopped by signal n."""
    for number in _stopping_signals():
        signal.signal(number, Interrupted.handle)
    warnings.showwarning = _show_warning
    _open_output()
    try:
        with _garbage_left_alone():
            minidl()
    except MinidlError as error:
        for problem in error.problems:
            _say(problem)
        sys.exit(error.exit_code)
    except OSError as error:
        _say(f"cannot write: {error.strerror or error}")
        sys.exit(1)
    except Interrupted as stop:
        _end_stopped(stop.signal)
    except Exception as error:
        # A library may turn an interrupt into an error of its own.
        if (came := Interrupted.came()) is not None:
            _end_stopped(came)
        if not is_lack_of_memory(error):
            raise
        _say("there is not enough memory; use fewer workers, a smaller chunk, or smaller batches")
        sys.exit(1)
    finally:
        _ignore_signals()  # all is done, and what Python does at its end would not bear an exception
        _forgive_broken_errors()


def _ignore_signals() -> None:
    for number in _stopping_signals():
        signal.signal(number, signal.SIG_IGN)


def _forgive_broken_errors() -> None:
    """Keep Python from failing at its end where nobody reads standard error any more."""
    try:
        sys.stderr.flush()
    except OSError:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 (a descriptor is needed)
            os.dup2(nowhere.fileno(), sys.stderr.fileno())


def _end_stopped(number: int) -> NoReturn:
    _ignore_signals()
    _say(f"stopped by {signal.Signals(number).name}")
    sys.exit(128 + number)


def _stopping_signals() -> list[signal.Signals]:
    """Return the signals that end the process; that a terminal was closed does not if it started under nohup."""
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *hangup]


@contextmanager
def _garbage_left_alone() -> Iterator[None]:
    """Search for no garbage while the command starts, nor when it ends; in short commands not at all.

    The imports make hundreds of thousands of objects and hardly any garbage: to go through them again and again takes
    a third as long as the imports themselves. Training turns the search on (`commands/_training.py`).
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _open_output() -> None:
    """Make output possible whatever the terminal's encoding is, and where standard error is closed."""
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 (open until the end)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show warnings meant for the user as a line; others are for developers, who see them in the tests."""
    if issubclass(category, MinidlWarning):
        _say(f"warning: {message}")


def _say(line: str) -> None:
    with suppress(OSError):  # nobody may be there to read it; the exit code tells, too
        click.echo(escaped(line), err=True)
