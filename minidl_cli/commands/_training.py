"""What train and sweep have in common: run, show progress, report."""

import gc
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING

import click

from ..errors import Interrupted, TrainingError
from ..metrics import headline
from ._options import print_json

if TYPE_CHECKING:
    from ..runs.metrics import Numbers
    from ..sweeps.sweep import Job


def run_and_report(job: "Job", *, quiet: bool, as_json: bool) -> None:
    """Train the rounds of a job with a progress display, then print what came out, or where it is kept."""
    try:
        _run(job, silent=quiet)
    except Interrupted:
        click.echo(f"what was logged until now is in {job.run.path}", err=True)
        raise
    except TrainingError:
        if job.run.is_finished:  # but every round diverged
            _report(job, quiet=quiet, as_json=as_json)
        else:
            click.echo(f"what was logged until now is in {job.run.path}", err=True)
        raise
    _report(job, quiet=quiet, as_json=as_json)


def _run(job: "Job", *, silent: bool) -> None:
    from ..display.progress import show_progress

    # From here on there may be garbage; what the start has made is none.
    gc.freeze()
    gc.enable()
    # Closed at once when something goes wrong, so that no worker outlives it.
    with (
        closing(job.records()) as records,
        show_progress(job.epochs, silent) as progress,
    ):
        for record in records:
            Interrupted.check()
            progress.advance(
                job.doing,
                len(record.seeds) + record.spared,
                record.epoch,
                _shown(record.metrics),
            )


def _shown(metrics: Mapping[str, "Numbers"]) -> dict[str, float]:
    """Return what the progress display shows of an epoch. Test samples are measured in logged epochs only."""
    return {name: float(metrics[name].mean()) for name in ("train_loss", headline(metrics)) if name in metrics}


def _report(job: "Job", *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json({"run": str(job.run.path), **job.run.summary()})
    elif quiet:
        click.echo(job.run.path)
    else:
        _print_report(job)


def _print_report(job: "Job") -> None:
    from ..display.contrast_tables import print_contrast
    from ..display.tables import print_final, print_rounds, print_targets
    from ..display.text import duration, printable

    summary, path = job.run.summary(), printable(str(job.run.path))
    if job.run.has_variants:
        print_contrast(summary)
    else:
        print_final(summary["final"])
        print_targets(summary.get("targets", {}))
    print_rounds(summary["rounds"])
    click.echo(f"trained in {duration(summary['seconds'])}")
    click.echo(path)
    click.echo(f"figures: {', '.join(path.name for path in sorted(job.run.path.glob('*.png')))}")
    if not job.run.has_variants:
        click.echo(f"next: minidl eval {path}")
