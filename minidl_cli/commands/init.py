"""`minidl init`."""

from pathlib import Path

import click

from . import _options as options


@click.command("init", short_help="Write a config, for a table of yours or from a template.")
@click.option("--data", type=click.Path(path_type=Path), metavar="FILE", help="The table, CSV or Parquet.")
@click.option("--target", "targets", metavar="COLUMN", multiple=True, help="The column to predict. Repeatable.")
@click.option("--template", metavar="NAME", help="A dataset that needs no file, such as disc.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write.  [default: NAME.yaml]",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there already.")
@options.json_option
def command(
    data: Path | None, targets: tuple[str, ...], template: str | None, output: Path | None, force: bool, as_json: bool
) -> None:
    """Write a config that trains as it is, with comments that say what was chosen and why.

    For a table, look at its columns and choose: what to leave out and what to fill in, how to split the rows, how
    large a network. Nothing of it is hidden; change what you know better.

    \b
    minidl init --data measurements.csv --target species
    minidl init --data houses.csv --target price -o houses/first.yaml
    minidl init --template disc
    """
    if template is not None and (data or targets):
        raise click.UsageError("--template has data of its own; leave out --data and --target")
    from ..display.draft_summary import print_draft
    from ..drafting.draft import check_output, shell_argument, write_draft

    if data is not None:
        from ..drafting.table_draft import config_name, draft_table

        path = output or Path(f"{config_name(data)}.yaml")
        check_output(path, force=force, data=data)
        draft = draft_table(data, targets, path)
    elif template is not None:
        from ..drafting.template_draft import draft_template

        path = output or Path(f"{template}.yaml")
        draft = draft_template(template, path)
        check_output(path, force=force)
    else:
        raise click.UsageError("say which table, --data FILE --target COLUMN, or which dataset, --template NAME")
    write_draft(draft, path)
    if as_json:
        options.print_json({"config": str(path), **draft.found})
    else:
        print_draft(draft.found)
        click.echo(f"next: minidl train {shell_argument(path)}")
