"""`minidl inspect`."""

from pathlib import Path
from typing import Literal

import click

from . import _options as options

BATCH = 10


@click.command("inspect", short_help="Look inside a trained network: outputs and gradients of each layer.")
@options.run_argument
@click.option(
    "--round", "seed", type=int, metavar="SEED", help="The round of this seed; by default the first finished."
)
@click.option("--sample", type=int, metavar="I", help="Show every value for sample I (from 0), not statistics.")
@click.option(
    "--batch", type=click.IntRange(min=1), help=f"How many samples to take, the first ones.  [default: {BATCH}]"
)
@click.option("--split", default="train", show_default=True, metavar="PART", help="Take samples of this part.")
@click.option("--weights", type=click.Choice(["last", "best"]), help="Which weights; by default the final ones.")
@options.runs_dir_option
@options.json_option
def command(
    run: str,
    seed: int | None,
    sample: int | None,
    batch: int | None,
    split: str,
    weights: Literal["last", "best"] | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Show what each layer of a round of RUN puts out for some samples, and the gradients of their loss.

    RUN is a run's folder, its id, or `latest`. For a linear layer the output is the pre-activation, for an
    activation its result. The network is used as for a prediction: no dropout, batch_norm with its running
    statistics. With --json all outputs and gradients are given in full.

    \b
    minidl inspect latest
    minidl inspect latest --round 7 --batch 100 --split test
    minidl inspect latest --sample 3
    """
    if sample is not None and batch is not None:
        raise click.UsageError("--sample and --batch exclude each other")
    from ..runs.folder import Run
    from ..training.inspection import finite, inspect

    found = Run.find(run, runs_dir)
    document = inspect(found, seed, split=split, sample=sample, batch=batch or BATCH, weights=weights).document()
    if as_json:
        options.print_json(finite(document))
        return
    from ..display.inspection import print_inspection

    print_inspection(document, exact=sample is not None)
