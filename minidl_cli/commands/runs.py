"""`minidl runs`."""

import sys
from pathlib import Path

import click

from ..errors import InputError
from . import _options as options


@click.group("runs", short_help="List the runs there are, or remove some.", invoke_without_command=True)
@options.runs_dir_option
@options.json_option
@click.pass_context
def command(context: click.Context, runs_dir: Path, as_json: bool) -> None:
    """List the runs there are, oldest first, with the mean and deviation of their final test metrics.

    \b
    minidl runs
    minidl runs --json
    minidl runs rm latest
    """
    if context.invoked_subcommand is not None:
        context.default_map = {"rm": {"runs_dir": runs_dir, "as_json": as_json}}
        return
    from ..runs.listing import list_runs

    listed = list_runs(runs_dir)
    if as_json:
        options.print_json(listed)
        return
    if not listed:
        click.echo(f"there are no runs in {runs_dir} yet; minidl train CONFIG makes one")
        return
    from ..display.tables import print_runs

    print_runs(listed)


@command.command("rm", short_help="Remove runs.")
@click.argument("references", metavar="RUN...", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.runs_dir_option
@options.json_option
def remove(references: tuple[str, ...], yes: bool, runs_dir: Path, as_json: bool) -> None:
    """Remove runs, with all that is in their folders. If there is anything wrong with one, none is removed.

    A run that is being trained stays. On a terminal you are asked before; elsewhere --yes is needed.

    \b
    minidl runs rm latest
    minidl runs rm disc-20250131-120000-1a2b disc-20250131-120500-3c4d --yes
    """
    from ..escaping import escaped
    from ..runs.removing import hold_runs, remove_runs

    with hold_runs(references, runs_dir) as folders:
        shown = [escaped(str(folder)) for folder in folders]
        if not yes:
            if not sys.stdin.isatty():
                raise InputError(f"this removes {', '.join(shown)} for good; confirm it with --yes")
            click.confirm(f"remove {', '.join(shown)} for good?", abort=True, err=True)
        remove_runs(folders)
    if as_json:
        options.print_json({"removed": list(map(str, folders))})
    else:
        click.echo("\n".join(f"removed {path}" for path in shown))
