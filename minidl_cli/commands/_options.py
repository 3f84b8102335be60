"""Arguments and options that several verbs share."""

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import click

from ..runs.folder import CONFIG, DEFAULT_RUNS_DIR, Run


def _device(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"cpu|auto|cuda(:[0-9]{1,3})?", value):
        raise click.BadParameter(f"{value!r} is no device; there are cpu, cuda, cuda:1 and so on, and auto")
    return value


config_argument = click.argument("config", type=click.Path(path_type=Path))
config_or_resume_argument = click.argument(
    "config", metavar="[CONFIG]", type=click.Path(path_type=Path), required=False
)
resume_option = click.option(
    "--resume", metavar="RUN", help="Instead of CONFIG: go on with a run that was stopped, or train one for longer."
)
run_argument = click.argument("run", metavar="RUN")
settings_option = click.option(
    "-s",
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="Override a value of the config, such as -s optimizer.sgd.lr=0.1 or -s model.0.linear=50. Repeatable.",
)
runs_dir_option = click.option(
    "--runs-dir",
    type=click.Path(path_type=Path),
    default=DEFAULT_RUNS_DIR,
    show_default=True,
    help="The folder of runs.",
)
name_option = click.option("--name", help="What the run folder's name starts with, instead of the config's name.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print the run folder's path only.")
device_option = click.option(
    "--device",
    metavar="DEVICE",
    callback=_device,
    help="Where to compute: cpu, cuda, cuda:1 and so on, or auto, for what is faster. [default: cpu, or as before]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def check_resume(config: Path | None, resume: str | None, **others: object) -> None:
    """Make sure that there is either a config or a run to resume, and with the latter none of some other options.

    Raises:
        click.UsageError: it is not so.
    """
    if config is None and resume is None:
        raise click.UsageError("Missing argument 'CONFIG'.")
    if config is not None and resume is not None:
        raise click.UsageError("CONFIG and --resume exclude each other: the run has its config")
    if config is not None and _is_run(config):
        shown = shlex.quote(str(config))
        raise click.UsageError(f"{shown} is a run, not a config; to go on with it: --resume {shown}")
    for name, value in others.items():
        if value and resume is not None:
            raise click.UsageError(f"--{name} and --resume exclude each other")


def check_engine(engine: str, address: str | None, **connection: object) -> None:
    """Make sure that options of the way to a cluster stand where there is one.

    Raises:
        click.UsageError: it is not so.
    """
    if address and engine != "dask":
        raise click.UsageError("--address goes with --engine dask")
    for name, value in connection.items():
        if value and not address:
            raise click.UsageError(f"--{name.replace('_', '-')} goes with --address")


def engine_options(engine: str, address: str | None, **connection: object) -> list[str]:
    """Return the options that lead to the same engine again, as a command line has them."""
    if engine == "local":
        return []
    found = ["--engine", engine, *(["--address", address] if address else [])]
    for name, value in connection.items():
        if value:
            found += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return found


def _is_run(path: Path) -> bool:
    return os.path.lexists(path / CONFIG) or (str(path) == "latest" and not os.path.lexists(path))


def print_json(document: Any) -> None:
    """Print a JSON document to standard output."""
    click.echo(json.dumps(document, indent=2, allow_nan=False))


def with_shortcuts(settings: tuple[str, ...], **values: int | str | None) -> tuple[str, ...]:
    """Return overrides with those that have an option of their own, such as `--seed`, appended.

    JSON is YAML, and says of a text that it is one, whatever it looks like: `--name 007` is no number.
    """
    return (
        *settings,
        *(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value is not None),
    )


def config_path(reference: str, runs_dir: Path) -> Path:
    """Return the config file that an argument means: a file itself, or that of a run."""
    path = Path(reference)
    try:
        is_run = (path.is_dir() or reference == "latest" or (runs_dir / reference).is_dir()) and not path.is_file()
    except OSError:  # the name is too long, for example; whoever reads the file says so
        is_run = False
    return Run.find(reference, runs_dir).config_path if is_run else path
