"""Training the rounds of a config, or of its variants, into run folders."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..config.schema import Config
from ..config.variants import Variant
from ..errors import InputError, MinidlWarning
from ..runs.folder import DEFAULT_RUNS_DIR, VARIANTS, Run
from ..training.build import build, variants
from .engine import Engine
from .job import Job, RoundsJob, VariantsJob
from .plan import Capacity, faster_device
from .planned import Planned, first_files
from .workers import Workers


def train(config: Config, *, runs_dir: str | Path = DEFAULT_RUNS_DIR, device: str = "cpu") -> Run:
    """Train one round, that of the config's seed, and return its run folder.

    Args:
        config: what to train; `sweep.rounds` is taken to be 1, and nothing is varied.
        runs_dir: the folder of runs.
        device: where to compute: `cpu`, `cuda`, `cuda:1` and so on; or `auto`, for what is faster.

    Raises:
        InputError: the config's parts do not fit together, there is no such device, or the folder cannot be written.
        TrainingError: the round diverged, or the folder can no longer be written.
    """
    return sweep(of_one_round(config), runs_dir=runs_dir, device=device)


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
    device: str = "cpu",
    engine: Engine | None = None,
) -> Run:
    """Train all rounds of a config (`sweep.rounds` seeds, from `seed` on) into one run folder, and return it.

    Where `sweep.vary` asks for variants, each is trained with all rounds into a run folder below the one returned.

    Args:
        config: what to train.
        runs_dir: the folder of runs.
        workers: the number of processes; by default the number of cores, or one for a short training.
        chunk: the number of rounds in a stack; by default what is fast together and fits in memory.
        device: where to compute: `cpu`, `cuda`, `cuda:1` and so on; or `auto`, for what is faster.
        engine: what trains, such as `Cluster`; by default processes of this machine. It ends with the sweep.

    Raises:
        InputError: the config's parts do not fit together, there is no such device, the engine's workers cannot be
            reached or have other versions, or the folder cannot be written.
        TrainingError: no round finished, the workers are lost, or the folder can no longer be written.
    """
    job = start(config, Path(runs_dir), workers, chunk, device, engine)
    for _ in job.records():
        pass
    return job.run


def start(
    config: Config,
    runs_dir: Path = DEFAULT_RUNS_DIR,
    workers: int | None = None,
    chunk: int | None = None,
    device: str = "cpu",
    engine: Engine | None = None,
) -> Job:
    """Check everything that can be checked beforehand, make the run folder, and return the job of training it.

    The arguments are those of `sweep`.

    Raises:
        InputError: the config's parts do not fit together, memory is too small, or the folder cannot be written; and
            what `sweep` says of devices and engines.
    """
    with ending_on_error(engine or Workers()) as engine:
        found = variants(config) if config.sweep.vary else []
        configs = [each.config for each in found] or [config]
        capacity = capacity_for(configs, workers, chunk, device, engine)
        if not found:
            planned = Planned(config, capacity, chunk)
            return RoundsJob(planned, _create(runs_dir, config, planned.files(), engine), engine)
        all_planned = _plan_variants(found, capacity, chunk)
        files = _files_of_variants(config, found, all_planned)
        run = _create(runs_dir, config, files, engine)
        jobs = {
            each.label: RoundsJob(planned, run.variant(each.folder), engine)
            for each, planned in zip(found, all_planned, strict=True)
        }
        return VariantsJob(run, jobs, engine)


@contextmanager
def ending_on_error(engine: Engine) -> Iterator[Engine]:
    """End an engine's workers if something is wrong before the job begins, which would end them."""
    with ExitStack() as stack:
        stack.push(engine)
        yield engine
        stack.pop_all()


def capacity_for(
    configs: Sequence[Config], workers: int | None, chunk: int | None, device: str, engine: Engine
) -> Capacity:
    """Return what an engine has to train configs on: see `sweep`.

    Raises:
        InputError: a number is too small; or there is no such device, or no way to the workers.
    """
    for name, value in {"workers": workers, "chunk": chunk}.items():
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    return engine.capacity(workers, settled(configs, workers, device, engine))


def settled(configs: Sequence[Config], workers: int | None, device: str, engine: Engine) -> str:
    """Return the device that a name stands for, which is one for all configs: see `sweep`."""
    if device != "auto":
        return device
    return faster_device([build(each) for each in configs]) if engine.has_cuda(workers) else "cpu"


def _create(runs_dir: Path, config: Config, files: dict[str, str], engine: Engine) -> Run:
    run = Run.create(runs_dir, config.name, files)
    if notes := engine.describe():
        run.write_json("environment.json", {**run.environment(), **notes})
    return run


def _files_of_variants(config: Config, found: Sequence[Variant], all_planned: Sequence[Planned]) -> dict[str, str]:
    kinds = ", or ".join(dict.fromkeys(str(planned.trainers.step) for planned in all_planned))
    data = {name: of for planned in all_planned for name, of in planned.data.items()}
    largest = max((planned.plan for planned in all_planned), key=lambda plan: plan.workers)
    files = first_files(config, largest, kinds, data)
    for variant, planned in zip(found, all_planned, strict=True):
        files |= {f"{VARIANTS}/{variant.folder}/{name}": text for name, text in planned.files().items()}
    return files


def _plan_variants(found: Sequence[Variant], capacity: Capacity, chunk: int | None) -> list[Planned]:
    planned, problems = [], []
    for each in found:
        try:
            planned.append(Planned(each.config, capacity, chunk))
        except InputError as error:
            problems += [f"{problem} (in the variant {each.label})" for problem in error.problems]
    if problems:
        raise InputError(problems)
    return planned
