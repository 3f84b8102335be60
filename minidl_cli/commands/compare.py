"""`minidl compare`."""

from pathlib import Path

import click

from . import _options as options


@click.command("compare", short_help="Compare runs: what differs, and whether it is real.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A folder to write table.md and figures into; made if need be.",
)
@options.runs_dir_option
@options.json_option
def command(runs: tuple[str, ...], output: Path | None, runs_dir: Path, as_json: bool) -> None:
    """Show how each RUN differs from the first: in its config and its statistics, and whether by more than chance.

    A RUN is a run's folder, its id, or `latest`; that of a sweep of variants stands for all of them. Rounds of the same
    seeds and data are compared in pairs, others by Welch's test.

    \b
    minidl compare runs/disc-20260102-030405-6f7e latest
    minidl compare latest -o comparison
    """
    from ..sweeps.contrast import contrast, find_sides

    sides = find_sides(runs, runs_dir)
    document = contrast(sides)
    if output is not None:
        from ..sweeps.contrast_results import write_comparison

        write_comparison(output, sides, document)
    if as_json:
        options.print_json(document)
        return
    from ..display.contrast_tables import print_contrast, print_differences

    print_differences(document)
    print_contrast(document)
