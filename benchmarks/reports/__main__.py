"""Train the experiments of the reports, and write the page about them."""

import argparse
from pathlib import Path

from minidl_cli.display.text import duration

from .experiments import EXPERIMENTS, QUICK, REPORTS, Archive
from .page import write_page
from .results import collect


def main(arguments: list[str] | None = None) -> None:
    given = _parser().parse_args(arguments)
    runs_dir = given.runs_dir or Path("runs/reports-quick" if given.quick else "runs/reports")
    page = given.page or (runs_dir / "reports.md" if given.quick else Path("docs/reports.md"))
    runs_dir.mkdir(parents=True, exist_ok=True)
    archive = Archive(runs_dir, QUICK, workers=1) if given.quick else Archive(runs_dir)
    for experiment in EXPERIMENTS:
        if experiment.report in given.only or not archive.has(experiment):
            print(experiment.command, flush=True)
            archive.train(experiment)
            print(f"{archive.run(experiment).path}, {duration(archive.seconds(experiment))}", flush=True)
    write_page(page, collect(EXPERIMENTS, archive), runs_dir)
    print(page)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="*",
        choices=REPORTS,
        default=REPORTS,
        metavar="REPORT",
        help=f"Train only those of these reports, of {', '.join(REPORTS)}, and take the other runs as they are; "
        "what was never trained, or from another config, is trained all the same.",
    )
    parser.add_argument("--runs-dir", type=Path, help="The folder of the runs. [default: runs/reports]")
    parser.add_argument("--page", type=Path, help="The file to write. [default: docs/reports.md]")
    parser.add_argument(
        "--quick", action="store_true", help="A few rounds of a few epochs, to try this program out; not into docs/."
    )
    return parser


if __name__ == "__main__":
    main()
