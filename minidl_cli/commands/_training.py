"""What train and sweep have in common: run, show progress, report."""

import gc
import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..display.text import printable
from ..errors import InputError, TrainingError
from ..escaping import escaped
from ..interrupts import Interrupted
from ..metrics import headline
from ..runs.folder import Run
from ._options import print_json

if TYPE_CHECKING:
    from ..runs.metrics import Numbers
    from ..sweeps.engine import Engine
    from ..sweeps.job import Job


def resumed_job(
    resume: str | None,
    runs_dir: Path,
    settings: tuple[str, ...],
    workers: int | None = None,
    chunk: int | None = None,
    device: str | None = None,
    engine: "Engine | None" = None,
) -> "Job":
    """Return the job of going on with the run that `--resume` names."""
    from ..sweeps.resume import start_again

    assert resume is not None
    job = start_again(Run.find(resume, runs_dir), settings, workers, chunk, device, engine)
    if job.is_done:
        advice = "more epochs or rounds: -s training.epochs=N, -s sweep.rounds=N"
        click.echo(f"{printable(str(job.run.path))}: has finished already; {advice}", err=True)
    return job


def make_engine(kind: str, address: str | None, **connection: Any) -> "Engine":
    """Return the engine that options ask for.

    Args:
        kind: `local` or `dask`.
        address: that of a running scheduler, if there is one.
        connection: what `Access.of` takes besides.
    """
    if kind == "local":
        from ..sweeps.workers import Workers

        return Workers()
    from ..sweeps.cluster.access import Access, security_class

    security_class()  # says what to install, if need be
    from ..sweeps.cluster.cluster import Cluster

    return Cluster(Access.of(address, **connection) if address else None)


def run_and_report(job: "Job", verb: str, *, quiet: bool, as_json: bool, means: Sequence[str] = ()) -> None:
    """Train the rounds of a job with a progress display, then print what came out, or how to go on, by which means."""
    try:
        _run(job, silent=quiet or job.is_done)
    except (Interrupted, Exception) as stop:
        if isinstance(stop, TrainingError) and job.run.is_finished:  # but no round did
            _report(job, quiet=quiet, as_json=as_json)
        elif not isinstance(stop, InputError):
            with suppress(OSError):  # nobody may be there to read it; the exit code stays what it is
                words = ["minidl", verb, "--resume", str(job.run.path), *means]
                click.echo(f"to go on: {' '.join(map(_quoted, words))}", err=True)
        raise
    _report(job, quiet=quiet, as_json=as_json)


def _quoted(word: str) -> str:
    """Return a word as a shell takes it, without signs that a terminal would take for commands."""
    if word.isprintable():
        return shlex.quote(word)
    signs = (f"\\{sign}" if sign in "\\'" else escaped(sign) for sign in word)
    return f"$'{''.join(signs)}'"


def _run(job: "Job", *, silent: bool) -> None:
    from ..display.progress import show_progress

    # From here on there may be garbage; what the start has made is none.
    gc.freeze()
    gc.enable()
    # Closed at once when something goes wrong, so that no worker outlives it.
    with (
        closing(job.records()) as records,
        show_progress(job.epochs, silent, job.done) as progress,
    ):
        for record in records:
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
    from ..display.text import duration

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
