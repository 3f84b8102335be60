"""Training the rounds of a config, or of its variants, into run folders."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from ..config.schema import Config
from ..config.variants import Variant
from ..errors import InputError, MinidlWarning
from ..runs.folder import DEFAULT_RUNS_DIR, VARIANTS, Run
from ..training.build import variants
from .job import Job, RoundsJob, VariantsJob
from .planned import Planned, first_files


def train(config: Config, *, runs_dir: str | Path = DEFAULT_RUNS_DIR) -> Run:
    """Train one round, that of the config's seed, and return its run folder.

    Args:
        config: what to train; `sweep.rounds` is taken to be 1, and nothing is varied.
        runs_dir: the folder of runs.

    Raises:
        InputError: the config's parts do not fit together, or the folder cannot be written.
        TrainingError: the round diverged, or the folder can no longer be written.
    """
    return sweep(of_one_round(config), runs_dir=runs_dir)


def of_one_round(config: Config) -> Config:
    """Return the config that trains only the round of the config's seed, and varies nothing: a warning says so.

    Raises:
        InputError: what the config varies is wrong.
    """
    if config.sweep.vary:
        labels = "; ".join(each.label for each in variants(config))
        problem = f"trained as it stands, without the values of sweep.vary ({labels}); `minidl sweep` trains them all"
        warnings.warn(problem, MinidlWarning, stacklevel=2)
    return config.model_copy(update={"sweep": config.sweep.model_copy(update={"rounds": 1, "vary": {}})})


def sweep(
    config: Config,
    *,
    runs_dir: str | Path = DEFAULT_RUNS_DIR,
    workers: int | None = None,
    chunk: int | None = None,
) -> Run:
    """Train all rounds of a config (`sweep.rounds` seeds, from `seed` on) into one run folder, and return it.

    Where `sweep.vary` asks for variants, each is trained with all rounds into a run folder below the one returned.

    Args:
        config: what to train.
        runs_dir: the folder of runs.
        workers: the number of processes; by default the number of cores, or one for a short training.
        chunk: the number of rounds in a stack; by default what is fast together and fits in memory.

    Raises:
        InputError: the config's parts do not fit together, or the folder cannot be written.
        TrainingError: no round finished, or the folder can no longer be written.
    """
    job = start(config, Path(runs_dir), workers, chunk)
    for _ in job.records():
        pass
    return job.run


def start(
    config: Config, runs_dir: Path = DEFAULT_RUNS_DIR, workers: int | None = None, chunk: int | None = None
) -> Job:
    """Check everything that can be checked beforehand, make the run folder, and return the job of training it.

    Args:
        config: what to train: its rounds, or if `sweep.vary` says so, its variants.
        runs_dir: the folder of runs.
        workers: the number of processes; by default the number of cores, or one for a short training.
        chunk: the number of rounds in a stack; by default what is fast together and fits in memory.

    Raises:
        InputError: the config's parts do not fit together, memory is too small, or the folder cannot be written.
    """
    for name, value in {"workers": workers, "chunk": chunk}.items():
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    if not config.sweep.vary:
        planned = Planned(config, workers, chunk)
        return RoundsJob(planned, Run.create(runs_dir, config.name, planned.files()))
    found = variants(config)
    all_planned = _plan_variants(found, workers, chunk)
    kinds = ", or ".join(dict.fromkeys(str(planned.step) for planned in all_planned))
    data = {name: of for planned in all_planned for name, of in planned.data.items()}
    files = first_files(config, max(planned.plan.workers for planned in all_planned), kinds, data)
    for variant, planned in zip(found, all_planned, strict=True):
        files |= {f"{VARIANTS}/{variant.folder}/{name}": text for name, text in planned.files().items()}
    run = Run.create(runs_dir, config.name, files)
    jobs = [RoundsJob(planned, run.variant(each.folder)) for each, planned in zip(found, all_planned, strict=True)]
    return VariantsJob(run, dict(zip((each.label for each in found), jobs, strict=True)))


def _plan_variants(found: Sequence[Variant], workers: int | None, chunk: int | None) -> list[Planned]:
    planned, problems = [], []
    for each in found:
        try:
            planned.append(Planned(each.config, workers, chunk))
        except InputError as error:
            problems += [f"{problem} (in the variant {each.label})" for problem in error.problems]
    if problems:
        raise InputError(problems)
    return planned
