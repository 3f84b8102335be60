"""`minidl predict`."""

from pathlib import Path
from typing import Literal

import click

from . import _options as options


@click.command("predict", short_help="Predict the rows of a table with a trained network.")
@options.run_argument
@click.option(
    "--data", "data", required=True, metavar="FILE", help="The table, CSV or Parquet; - for standard input, CSV."
)
@click.option("-o", "--output", default="-", show_default=True, metavar="FILE", help="Where to write, CSV or Parquet.")
@click.option(
    "--keep", metavar="COLUMN", multiple=True, help="Copy this column of the table, such as an id. Repeatable."
)
@click.option("--round", "seed", type=int, metavar="SEED", help="Predict by the round of this seed only.")
@click.option("--weights", type=click.Choice(["last", "best"]), help="Which weights; by default the final ones.")
@options.runs_dir_option
@options.json_option
def command(
    run: str,
    data: str,
    output: str,
    keep: tuple[str, ...],
    seed: int | None,
    weights: Literal["last", "best"] | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Predict each row of a table with the network of RUN, in the table's order.

    RUN is a run's folder, its id, or `latest`. The table needs the columns that the network was trained on, in any
    order; others, the target among them, may be there or not. Blank lines are left out.

    For classes, the label is that of the largest mean over all rounds, which stands beside it for each class; for
    numbers, the prediction is the mean. With several rounds there is also how far they disagree: the share of rounds
    that are for another class, or the standard deviation over the rounds.

    \b
    minidl predict latest --data new.csv -o predictions.csv
    minidl predict latest --data new.csv --keep id -o predictions.csv
    cat new.csv | minidl predict latest --data - > predictions.csv
    """
    from ..runs.folder import Run
    from ..training.new_tables import open_new, predict_table, write_table
    from ..training.prediction import Predictor

    predictor = Predictor.of(Run.find(run, runs_dir), weights, seed)
    predicted = predict_table(predictor, open_new(data, predictor), keep)
    document = {"run": str(predictor.run.path), "rounds": predictor.seeds, "rows": predicted.height}
    if output != "-":
        write_table(predicted, Path(output))
        document["output"] = output
    elif as_json:
        document["predictions"] = predicted.to_dicts()
    else:
        click.echo(predicted.write_csv(), nl=False)
    if as_json:
        options.print_json(document)
    elif output != "-":
        click.echo(f"{predicted.height:,} rows: {output}", err=True)
