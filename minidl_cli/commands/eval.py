"""`minidl eval`."""

from pathlib import Path
from typing import Literal

import click

from . import _options as options


@click.command("eval", short_help="Measure a run's weights again.")
@options.run_argument
@click.option("--split", metavar="PART", help="Measure on this part only, such as test.")
@click.option(
    "--weights",
    type=click.Choice(["last", "best"]),
    help="Which weights. [default: the best ones where early stopping chose them, the last otherwise]",
)
@options.runs_dir_option
@options.json_option
def command(
    run: str, split: str | None, weights: Literal["last", "best"] | None, runs_dir: Path, as_json: bool
) -> None:
    """Measure the weights of RUN on its data, over all its rounds.

    RUN is a run's folder, its id, or `latest`. Without --weights the numbers
    are exactly those of the run's summary.

    \b
    minidl eval latest
    minidl eval runs/disc-20260102-030405-6f7e --split test
    """
    from ..runs.folder import Run
    from ..training.evaluation import count_rounds, evaluate

    found = Run.find(run, runs_dir)
    final, rounds = evaluate(found, split, weights), count_rounds(found.rounds())
    if as_json:
        options.print_json({"run": str(found.path), "rounds": rounds, "final": final})
        return
    from ..display.tables import print_final, print_rounds

    print_final(final)
    print_rounds(rounds)
