"""`minidl check`."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from . import _options as options


@click.command("check", short_help="Check the derived gradients of a config's network.")
@options.config_argument
@options.settings_option
@click.option("--batch", type=click.IntRange(min=1), default=10, show_default=True, help="How many samples to use.")
@options.json_option
def command(config: Path, settings: tuple[str, ...], batch: int, as_json: bool) -> None:
    """Check every derived gradient of the network in CONFIG, layer by layer and through the whole network.

    Each is held against central differences and against PyTorch's autograd, in float64. The deviations are
    relative to the largest derivative; one above 1e-6 fails the check, with exit code 1.

    \b
    minidl check configs/disc.yaml
    minidl check configs/disc.yaml -s model.1=sigmoid
    """
    from ..reference.gradient_check import TOLERANCE, check_gradients
    from ..training.build import load_config

    comparisons = check_gradients(load_config(config, settings), batch)
    rows = [asdict(comparison) | {"passed": comparison.passed} for comparison in comparisons]
    passed = all(comparison.passed for comparison in comparisons)
    if as_json:
        options.print_json({"passed": passed, "tolerance": TOLERANCE, "comparisons": rows})
    else:
        from ..display.tables import print_gradient_check

        print_gradient_check(rows)
        click.echo(f"\n{'all gradients are right' if passed else 'a gradient is wrong'} (tolerance {TOLERANCE:g})")
    if not passed:
        sys.exit(1)
