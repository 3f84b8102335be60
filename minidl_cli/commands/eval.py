"""`minidl eval`."""

from pathlib import Path
from typing import Literal

import click

from . import _options as options


@click.command("eval", short_help="Measure a run's weights again.")
@options.run_argument
@click.option("--data", metavar="FILE", help="Measure on the rows of another table; - for standard input.")
@click.option("--split", metavar="PART", help="Measure on this part only, such as test.")
@click.option(
    "--weights",
    type=click.Choice(["last", "best"]),
    help="Which weights. [default: the best ones where early stopping chose them, the last otherwise]",
)
@options.runs_dir_option
@options.json_option
def command(
    run: str,
    data: str | None,
    split: str | None,
    weights: Literal["last", "best"] | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Measure the weights of RUN on its data, over all its rounds; or with --data on another table.

    RUN is a run's folder, its id, or `latest`. Without --weights the numbers are exactly those of the run's summary.
    Another table needs the columns that the network was trained on, the target among them.

    \b
    minidl eval latest
    minidl eval runs/disc-20260102-030405-6f7e --split test
    minidl eval latest --data other.csv
    """
    if data is not None and split is not None:
        raise click.UsageError("--data and --split exclude each other")
    from ..runs.folder import Run
    from ..training.evaluation import Trained, count_rounds

    found = Run.find(run, runs_dir)
    rounds = count_rounds(found.rounds())
    if data is None:
        trained = Trained.of(found, weights)
        final, reports = trained.final(split), trained.reports(split)
    else:
        from ..training.new_tables import open_new, read_samples
        from ..training.prediction import Predictor

        predictor = Predictor.of(found, weights)
        final, report = predictor.measure(read_samples(predictor, open_new(data, predictor)), "data")
        reports = {"data": report}
    if as_json:
        options.print_json({"run": str(found.path), "rounds": rounds, "final": final, "report": reports})
        return
    from ..display.report_tables import print_report
    from ..display.tables import print_final, print_rounds

    print_final(final)
    for part, report in reports.items():
        print_report(part, report)
    print_rounds(rounds)
