"""`minidl export`."""

from pathlib import Path
from typing import Literal

import click

from . import _options as options


@click.command("export", short_help="Write a trained network for PyTorch or ONNX.")
@options.run_argument
@click.option("--to", type=click.Choice(["torch", "onnx"]), required=True, help="The format.")
@click.option(
    "--round", "seed", type=int, metavar="SEED", help="The round of this seed; by default the first finished."
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where to write.  [default: RUN/export]",
)
@click.option("--weights", type=click.Choice(["last", "best"]), help="Which weights; by default the final ones.")
@options.runs_dir_option
@options.json_option
def command(
    run: str,
    to: Literal["torch", "onnx"],
    seed: int | None,
    folder: Path | None,
    weights: Literal["last", "best"] | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Write a round of RUN so that other programs can use it without minidl.

    RUN is a run's folder, its id, or `latest`. Files of an earlier export are overwritten.

    torch: network.safetensors holds the weights, under the names of an nn.Sequential; network.py is a short program
    that builds it, loads them and predicts.

    onnx: network.onnx holds all of it, from a table's own numbers and texts to predictions and labels. It is run once
    in onnxruntime, and compared with minidl. (pip install 'minidl-cli[onnx]')

    \b
    minidl export latest --to torch
    minidl export latest --to onnx --round 7 -o model
    """
    from ..exporting.export import INSTALL, export
    from ..runs.folder import Run

    exported = export(Run.find(run, runs_dir), to, seed=seed, weights=weights, folder=folder)
    if as_json:
        options.print_json(exported.document())
        return
    for file in exported.files:
        click.echo(file)
    if to == "onnx" and exported.largest_difference is None:
        click.echo(f"not verified, as there is no onnxruntime: {INSTALL}")
    elif to == "onnx":
        click.echo(f"verified in onnxruntime: largest difference {exported.largest_difference:.1g}")
