"""`minidl runs`."""

from pathlib import Path

import click

from . import _options as options


@click.command("runs", short_help="List the runs there are.")
@options.runs_dir_option
@options.json_option
def command(runs_dir: Path, as_json: bool) -> None:
    """List the runs there are, oldest first, with the mean and deviation of their final test metrics.

    \b
    minidl runs
    minidl runs --json
    """
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
