"""`minidl eval`."""

from pathlib import Path
from typing import Literal

import click

from . import _options as options


@click.command("eval", short_help="Measure a run's final weights again.")
@options.run_argument
@click.option("--split", type=click.Choice(["train", "test"]), help="Measure on this part only.")
@options.runs_dir_option
@options.json_option
def command(run: str, split: Literal["train", "test"] | None, runs_dir: Path, as_json: bool) -> None:
    """Measure the final weights of RUN on its data, over all its rounds.

    RUN is a run's folder, its id, or `latest`. The numbers are exactly those of the run's summary.

    \b
    minidl eval latest
    minidl eval runs/disc-20260102-030405-6f7e --split test
    """
    from ..runs.folder import Run
    from ..training.evaluation import count_rounds, evaluate

    found = Run.find(run, runs_dir)
    final, rounds = evaluate(found, split), count_rounds(found.rounds())
    if as_json:
        options.print_json({"run": str(found.path), "rounds": rounds, "final": final})
        return
    from ..display.tables import print_final, print_rounds

    print_final(final)
    print_rounds(rounds)
