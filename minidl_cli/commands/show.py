"""`minidl show`."""

from pathlib import Path
from typing import Any

import click

from . import _options as options


@click.command("show", short_help="Show a config's layers, sizes and memory; or all components.")
@click.argument("config", required=False)
@options.settings_option
@click.option("--resolved", is_flag=True, help="Print the resolved config: every default written.")
@click.option("--components", is_flag=True, help="List the components that a config can name.")
@options.runs_dir_option
@options.json_option
def command(
    config: str | None, settings: tuple[str, ...], resolved: bool, components: bool, runs_dir: Path, as_json: bool
) -> None:
    """Show what CONFIG describes, without training: layers, output shapes, parameters, memory for its rounds.

    CONFIG is a config file, or a run (its folder, its id, or `latest`).

    \b
    minidl show configs/disc.yaml
    minidl show configs/disc.yaml --resolved -s optimizer.sgd.lr=0.1
    minidl show --components
    """
    if components:
        _show_components(as_json)
        return
    if config is None:
        raise click.UsageError("say which CONFIG, or --components")
    from ..training.build import load_config

    loaded = load_config(options.config_path(config, runs_dir), settings)
    if resolved and as_json:
        options.print_json(loaded.resolved())
    elif resolved:
        from ..config.dump import to_yaml

        click.echo(to_yaml(loaded.resolved()), nl=False)
    else:
        from ..sweeps.outline import outline

        document = outline(loaded)
        (options.print_json if as_json else _print_outline)(document)


def _show_components(as_json: bool) -> None:
    from ..training.build import registry

    if as_json:
        options.print_json(registry().describe())
        return
    from ..display.tables import print_components

    print_components(registry().describe())


def _print_outline(document: dict[str, Any]) -> None:
    from ..display.tables import print_outline

    print_outline(document)
