"""`minidl sweep`."""

import re
from pathlib import Path

import click

from . import _options as options


def _seeds(context: click.Context, parameter: click.Parameter, value: str | None) -> range | None:
    """Return the seeds that `FIRST-LAST` stands for."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,18})-(\d{1,18})", value)
    if not match or int(match[1]) > int(match[2]):
        raise click.BadParameter(f"{value!r} is no range of seeds; write the first and the last, such as 0-99")
    return range(int(match[1]), int(match[2]) + 1)


_file = click.Path(path_type=Path)


@click.command("sweep", short_help="Train a config from many seeds, and see the spread.")
@options.config_or_resume_argument
@options.resume_option
@options.settings_option
@click.option("--rounds", type=click.IntRange(min=1), help="How many seeds, from the config's seed on.")
@click.option("--seeds", metavar="FIRST-LAST", callback=_seeds, help="Which seeds, such as 0-99.")
@click.option(
    "--vary",
    "vary",
    metavar="KEY=A,B",
    multiple=True,
    help="Train with each of several values, such as --vary training.batch_size=10,20. Repeatable: all combinations.",
)
@click.option(
    "--versus", type=click.Choice(["torch"]), help="The same rounds in PyTorch beside: --vary framework=minidl,torch."
)
@options.name_option
@options.runs_dir_option
@click.option(
    "--workers", type=click.IntRange(min=1), help="At most how many processes. [default: the cores, if it pays]"
)
@click.option(
    "--chunk", type=click.IntRange(min=1), help="How many rounds in one stack. [default: what is fast and fits]"
)
@options.device_option
@click.option(
    "--engine",
    type=click.Choice(["local", "dask"]),
    default="local",
    show_default=True,
    help="What trains: processes of this machine, or the workers of a Dask cluster.",
)
@click.option(
    "--address",
    metavar="ADDRESS",
    help="Dask's scheduler, such as tls://10.0.0.1:8786. [default: a cluster on this machine, for this sweep]",
)
@click.option("--tls-ca-file", type=_file, help="The certificate of the authority that signed the cluster's.")
@click.option("--tls-cert", type=_file, help="This side's certificate. [default of all three: Dask's configuration]")
@click.option("--tls-key", type=_file, help="The key of that certificate.")
@click.option("--insecure", is_flag=True, help="Connect to tcp:// on another machine: anyone could listen, or answer.")
@options.quiet_option
@options.json_option
def command(
    config: Path | None,
    resume: str | None,
    settings: tuple[str, ...],
    rounds: int | None,
    seeds: range | None,
    vary: tuple[str, ...],
    versus: str | None,
    name: str | None,
    runs_dir: Path,
    workers: int | None,
    chunk: int | None,
    device: str | None,
    engine: str,
    address: str | None,
    tls_ca_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    insecure: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train the file CONFIG from many seeds at once, and write one run folder with statistics over the rounds.

    A round is one training from one seed. It gives the same numbers here as alone in `minidl train --seed`,
    however many rounds, workers and chunks there are. Without --rounds and --seeds, the config's sweep.rounds
    says how many.

    With --vary, or sweep.vary in the config, every combination of values is a variant, trained with all rounds, and
    the variants are compared.

    \b
    minidl sweep configs/disc.yaml
    minidl sweep configs/disc.yaml --rounds 20 -s training.epochs=100
    minidl sweep configs/disc.yaml --seeds 100-199 -s data_seed=round
    minidl sweep configs/disc.yaml --vary optimizer.sgd.lr=0.02,0.07,0.2
    minidl sweep configs/disc.yaml --versus torch --rounds 5
    minidl sweep configs/disc.yaml --engine dask --address tls://10.0.0.1:8786
    minidl sweep --resume latest
    """
    options.check_resume(config, resume, vary=vary, versus=versus)
    connection = {"tls_ca_file": tls_ca_file, "tls_cert": tls_cert, "tls_key": tls_key, "insecure": insecure}
    options.check_engine(engine, address, **connection)
    if rounds is not None and seeds is not None:
        raise click.UsageError("--rounds and --seeds exclude each other")
    from ..sweeps.sweep import start
    from ..training.build import load_config
    from ._training import make_engine, resumed_job, run_and_report

    if seeds is not None:
        settings = options.with_shortcuts(settings, seed=seeds.start, **{"sweep.rounds": len(seeds)})
    if versus is not None:
        vary = (*vary, f"framework=minidl,{versus}")
    settings = options.with_shortcuts(settings, name=name, **{"sweep.rounds": rounds})
    trainer = make_engine(engine, address, **connection)
    if config is None:
        job = resumed_job(resume, runs_dir, settings, workers, chunk, device, trainer)
    else:
        job = start(load_config(config, settings, vary), runs_dir, workers, chunk, device or "cpu", trainer)
    means = options.engine_options(engine, address, **connection)
    run_and_report(job, "sweep", quiet=quiet, as_json=as_json, means=means)
