"""Going on with a run that was stopped, or that is to be trained for longer."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..atomic import write_atomically
from ..config.dump import to_yaml
from ..config.schema import Config
from ..config.variants import Variant
from ..errors import InputError, MinidlWarning
from ..runs.environment import environment
from ..runs.folder import Run
from ..runs.lock import Lock
from ..training.build import Task, check_data_files, load_config, variants
from .checkpoints import Begun
from .engine import Engine
from .job import Job, RoundsJob, VariantsJob
from .planned import Planned
from .sweep import capacity_for, ending_on_error, settled
from .workers import Workers

# What the last digits depend on, besides the kind of processor.
VERSIONS = ("minidl", "torch", "device", "steps")
# What may be other than before. All else has decided the numbers that are there already.
CHANGEABLE = ("training.epochs", "training.checkpoint_every", "sweep.rounds", "sweep.target")
# What draws these comes last: where they are, all is complete.
LAST_FIGURE, LAST_FIGURE_OF_VARIANTS = "curves.png", "variants.png"
# All figures there can be, of which some come from finished rounds, and would stay if none finishes.
FIGURES = (
    *("curves", "variants", "variants_end", "all_rounds", "clusters", "confusion", "data", "decision"),
    *("final", "predicted", "predictions"),
)


def resume(
    run: Run | str | Path,
    settings: Sequence[str] = (),
    *,
    workers: int | None = None,
    chunk: int | None = None,
    device: str | None = None,
    engine: Engine | None = None,
) -> Run:
    """Go on with a run that was stopped, and return it. What comes out is what would have without the stop.

    Args:
        run: the run, or its folder.
        settings: what is to be other than before, such as `"training.epochs=2000"`.
        workers: the number of processes; by default the number of cores, or one for a short training.
        chunk: the number of rounds in a stack that was not begun yet; by default what is fast together.
        device: where to compute, as `sweep` takes it; by default where it was begun.
        engine: what trains, as `sweep` takes it, whatever it was begun by.

    Raises:
        InputError: the folder is no run, or is damaged; another process trains it; or a setting cannot be changed.
        TrainingError: no round finished, or the folder can no longer be written.
    """
    run = run if isinstance(run, Run) else Run.find(str(run))
    job = start_again(run, settings, workers, chunk, device, engine)
    for _ in job.records():
        pass
    return job.run


def start_again(
    run: Run,
    settings: Sequence[str] = (),
    workers: int | None = None,
    chunk: int | None = None,
    device: str | None = None,
    engine: Engine | None = None,
) -> Job:
    """Check everything that can be checked beforehand, and return the job of going on with a run.

    A job of a run that has finished has no epochs to train, and changes nothing.

    The arguments and errors are those of `resume`.
    """
    lock = Lock(run.path)
    try:
        with ending_on_error(engine or Workers()) as engine:
            return _job(run, lock, settings, _Means(workers, chunk, device, engine))
    except BaseException:
        lock.close()
        raise


@dataclass(frozen=True)
class _Means:
    """What to train with, as `resume` takes it."""

    workers: int | None
    chunk: int | None
    device: str | None
    engine: Engine

    def plan(self, config: Config, run: Run) -> Planned:
        """Plan to go on with a run of rounds."""
        device = self.device or str(run.environment().get("device", "cpu"))
        capacity = capacity_for([config], self.workers, self.chunk, device, self.engine)
        return Planned(config, capacity, self.chunk, run)


def _job(run: Run, lock: Lock, settings: Sequence[str], means: _Means) -> Job:
    if sweep := run.sweep_folder:
        raise InputError(f"{run.path}: is a variant of a sweep; resume the whole sweep, {sweep}")
    run.refuse_links()
    config, before = load_config(run.config_path, settings), load_config(run.config_path)
    _refuse_changes(before.resolved(), config.resolved())
    run.sweep_temporaries()
    if not config.sweep.vary:
        job = _rounds_job(run, config, means, lock)
        if not job.is_done:
            _reopen_rounds(job, means.engine)
        return job
    found = variants(config)
    if means.device == "auto":  # for all of them
        device = settled([each.config for each in found], means.workers, means.device, means.engine)
        means = replace(means, device=device)
    jobs = {each.label: _variant_job(run, each, means) for each in found}
    is_done = all(job.is_done for job in jobs.values()) and _is_complete(run, LAST_FIGURE_OF_VARIANTS)
    if not is_done:
        _reopen(run, config, means.engine.describe(), {}, {})
        for job in jobs.values():
            if not job.is_done:
                _reopen_rounds(job, means.engine)
    return VariantsJob(run, jobs, means.engine, lock, is_done=is_done)


def _variant_job(run: Run, variant: Variant, means: _Means) -> RoundsJob:
    try:
        return _rounds_job(run.variant(variant.folder), variant.config, means)
    except InputError as error:
        raise InputError([f"{problem} (in the variant {variant.label})" for problem in error.problems]) from error


def _rounds_job(run: Run, config: Config, means: _Means, lock: Lock | None = None) -> RoundsJob:
    """Check a run of rounds, and return the job of going on with it. Nothing is changed."""
    check_data_files(run, config)
    before, found = load_config(run.config_path), run.environment()
    planned = means.plan(config, run)
    _refuse_epochs(planned.task, before, planned.begun)
    is_done = (
        _is_complete(run, LAST_FIGURE) and config == before and _has_results(run, config.seeds) and _has_all(planned)
    )
    if not is_done and any(each.epoch for each in planned.begun):
        _warn_of_change(run, found, _notes(planned))
    return RoundsJob(planned, run, means.engine, lock, is_done=is_done)


def _refuse_changes(before: dict[str, Any], after: dict[str, Any]) -> None:
    problems = []
    for key in _differences(before, after, ()):
        dotted = ".".join(map(str, key))
        if not any(f"{dotted}.".startswith(f"{name}.") for name in CHANGEABLE):
            reason = "the folder has it" if dotted == "name" else "the numbers that are there depend on it"
            advice = "start another run from this one's config.yaml"
            problems.append(f"{dotted}: cannot be changed on resume, as {reason}; {advice}")
    if not problems and after["sweep"]["rounds"] < before["sweep"]["rounds"]:
        problems.append(f"sweep.rounds: cannot be less than the {before['sweep']['rounds']} rounds that there are")
    if problems:
        raise InputError(problems)


def _differences(before: Any, after: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of what differs."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() & after.keys():
        for key in dict.fromkeys([*before, *after]):
            yield from _differences(before.get(key), after.get(key), (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, pair in enumerate(zip(before, after, strict=True)):
            yield from _differences(*pair, (*path, place))
    elif before != after:
        yield path


def _refuse_epochs(task: Task, before: Config, begun: Sequence[Begun]) -> None:
    """Refuse another number of epochs where those that were trained would have gone otherwise with it."""
    options, epochs = task.config.training, task.config.training.epochs
    planned, trained = before.training.epochs, max((each.epoch for each in begun), default=0)
    if epochs < trained:
        problem = f"cannot be less than the {trained} that were trained already"
        raise task.config.error(("training", "epochs"), problem)
    if epochs == planned:
        return
    if _rates(task, planned, trained) != _rates(task, epochs, trained):
        problem = (
            f"cannot be changed on resume: the learning rates of the schedule {options.schedule.name} depend on it"
        )
        raise task.config.error(("training", "epochs"), problem)
    if "validation" in task.sizes and trained == planned and trained % options.log_every:
        problem = f"cannot be changed on resume: epoch {trained} was only validated because it was the last"
        raise task.config.error(("training", "epochs"), problem)


def _rates(task: Task, epochs: int, trained: int) -> list[float]:
    return [task.schedule.rate(task.optimizer.lr, epoch, epochs) for epoch in range(trained)]


def _is_complete(run: Run, last_figure: str) -> bool:
    return run.is_finished and (run.path / last_figure).exists()


def _has_results(run: Run, seeds: Sequence[int]) -> bool:
    """Tell whether tables and weights of a finished run are there, undamaged, and of rounds with these seeds."""
    try:
        rounds = run.rounds()
        for name in run.summary()["weights"]:
            run.weights(name)
        run.columns()
    except (InputError, KeyError, TypeError):
        return False
    statuses = {status for _, status in rounds}
    return run.metrics_path.exists() and "failed" not in statuses and [seed for seed, _ in rounds] == list(seeds)


def _has_all(planned: Planned) -> bool:
    """Tell whether all rounds have come to their end, as far as checkpoints tell; without any, the results do."""
    epochs, seeds = planned.config.training.epochs, [seed for each in planned.begun for seed in each.seeds]
    done = sum(each.done(epochs) for each in planned.begun)
    return not seeds or (len(seeds) == len(planned.config.seeds) and done == len(seeds) * epochs)


def _notes(planned: Planned) -> dict[str, str]:
    """Return what `environment.json` says of how rounds are trained."""
    return {"device": planned.plan.device, "steps": str(planned.trainers.step)}


def _warn_of_change(run: Run, found: dict[str, Any], notes: dict[str, str]) -> None:
    """Say if the rounds go on in another way than they began: their last digits will tell."""
    before, now = _versions(found), _versions(environment(__version__, "cpu", 1) | notes)
    changed = [f"{name} was {before.get(name)}, and is {now[name]}" for name in now if before.get(name) != now[name]]
    if changed:
        problem = f"{run.path}: {'; '.join(changed)}: the last digits may differ from those without the stop"
        warnings.warn(problem, MinidlWarning, stacklevel=2)


def _versions(found: dict[str, Any]) -> dict[str, str]:
    """Return what the last digits depend on, given the content of an `environment.json`."""
    packages = found.get("packages")
    torch = packages.get("torch") if isinstance(packages, dict) else None
    return {name: str(value) for name, value in (found | {"torch": torch}).items() if name in VERSIONS}


def _reopen_rounds(job: RoundsJob, engine: Engine) -> None:
    planned = job.planned
    _reopen(job.run, planned.config, engine.describe(), _notes(planned), {"columns.json": planned.columns()})


def _reopen(
    run: Run, config: Config, engine: Mapping[str, Any], noted: Mapping[str, str], files: Mapping[str, str]
) -> None:
    """Make a run folder that of an unfinished run of a config.

    What says that the run is complete goes first: so it does not seem to be, if this is stopped in between.

    Args:
        run: the run folder.
        config: the config.
        engine: what there is to say of the engine that it goes on with.
        noted: what `environment.json` is to say, besides that the run is resumed.
        files: the contents of files that may have been lost, by name.
    """
    try:
        found, now = run.environment(), environment(__version__, "cpu", 1)
        before = found["resumed"] if isinstance(found.get("resumed"), list) else []
        resumed = {**{key: now[key] for key in ("minidl", "packages", "command", "platform")}, **engine}
        run.write_json("environment.json", {**found, **noted, "resumed": [*before, resumed]})
        for name, text in files.items():
            if not (run.path / name).exists():
                write_atomically(run.path / name, text)
        for figure in FIGURES:
            for ending in (".png", ".csv"):
                (run.path / figure).with_suffix(ending).unlink(missing_ok=True)
        made, text = run.config_path.stat(), to_yaml(config.resolved())
        if text != run.config_path.read_text(encoding="utf-8"):
            write_atomically(run.config_path, text)
            os.utime(run.config_path, ns=(made.st_atime_ns, made.st_mtime_ns))  # which tells when the run was made
        (run.path / "summary.json").unlink(missing_ok=True)
    except (OSError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{run.path}: cannot be written: {reason}") from error
