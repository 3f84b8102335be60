"""`minidl schema`."""

import click

from . import _options as options


@click.command("schema", short_help="Print the JSON Schema of configs.")
@options.json_option
def command(as_json: bool) -> None:
    """Print the JSON Schema of config files, made from the components that there are.

    An editor that knows it completes keys, shows what they mean, and marks errors. (It is JSON with or without
    --json.)

    \b
    minidl schema > configs/schema.json
    """
    from ..config.json_schema import json_schema
    from ..training.build import registry

    options.print_json(json_schema(registry()))
