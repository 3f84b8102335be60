"""`minidl train`."""

from pathlib import Path

import click

from . import _options as options


@click.command("train", short_help="Train one network from a config.")
@options.config_or_resume_argument
@options.resume_option
@options.settings_option
@click.option("--seed", type=click.IntRange(min=0), help="The seed of initial values and batch order.")
@options.name_option
@options.runs_dir_option
@options.device_option
@options.quiet_option
@options.json_option
def command(
    config: Path | None,
    resume: str | None,
    settings: tuple[str, ...],
    seed: int | None,
    name: str | None,
    runs_dir: Path,
    device: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train one network from the file CONFIG, and write a run folder.

    The folder holds the resolved config, a table of all epochs, the weights, and figures. The same config and
    seed give the same numbers; so does a run that is stopped and resumed.

    \b
    minidl train configs/disc.yaml
    minidl train configs/disc.yaml --seed 7
    minidl train configs/disc.yaml -s training.epochs=100 -s optimizer.sgd.lr=0.1
    minidl train --resume latest
    minidl train --resume latest -s training.epochs=2000
    """
    options.check_resume(config, resume)
    from ..sweeps.sweep import of_one_round, start
    from ..training.build import load_config
    from ._training import resumed_job, run_and_report

    settings = options.with_shortcuts(settings, seed=seed, name=name)
    if config is None:
        job = resumed_job(resume, runs_dir, settings, device=device)
    else:
        job = start(of_one_round(load_config(config, settings)), runs_dir, device=device or "cpu")
    run_and_report(job, "train", quiet=quiet, as_json=as_json)
