"""minidl's side of the steps: `python -m benchmarks.minidl_steps WORK ROUNDS` serves the time of a step.

The rounds train as in `minidl sweep`, in the stacks that minidl chooses, in a process for each core. What is measured
is the steady state: for every stack the time from its first epoch's record to its last one's, added up and divided by
the number of processes, by the epochs, by the steps of an epoch, and by the rounds. So it counts all that an epoch
takes (orders, batches, metrics, test evaluation), but not the start.
"""

import sys

from minidl_cli import load_config
from minidl_cli.config.schema import Config
from minidl_cli.sweeps.plan import capacity_here, default_workers, plan
from minidl_cli.sweeps.workers import Workers
from minidl_cli.training.build import build
from minidl_cli.training.compiled import CompiledStep
from minidl_cli.training.trainer import EpochRecord
from minidl_cli.training.trainers import Trainers

from . import minidl  # noqa: F401 (it makes the dataset of the digits known)
from .measuring import Measure, enough, serve
from .works import WORKS, Work

# Kept alive between measurements.
WORKERS = Workers()


def config(work: Work, *settings: str) -> Config:
    return load_config(work.config, settings)


def steps(work: Work, rounds: int) -> Measure:
    """Return what measures the time of a step."""
    epochs = enough(_steady(work, rounds, epochs=2) * work.steps * rounds)
    return lambda: _steady(work, rounds, epochs)


def _steady(work: Work, rounds: int, epochs: int) -> float:
    """Return the seconds that a step takes, given how many epochs to measure: another one comes before."""
    trained = config(work, f"training.epochs={epochs + 1}", f"sweep.rounds={rounds}")
    # As for a long training: these are too short for minidl to start workers by itself.
    trainers = Trainers(trained)
    is_compiled = isinstance(trainers.step, CompiledStep)
    planned = plan(build(trained, trainers.dataset), capacity_here(default_workers()), is_compiled=is_compiled)
    events = WORKERS.train(trainers, planned, lambda chunk: None)
    records = [event for event in events if isinstance(event, EpochRecord)]
    ends = [{tuple(each.seeds): each.seconds for each in records if each.epoch == epoch} for epoch in (1, epochs + 1)]
    steady = sum(ends[1][seeds] - ends[0][seeds] for seeds in ends[0])
    return steady / (planned.workers * epochs * work.steps * rounds)


if __name__ == "__main__":
    name, rounds = sys.argv[1:]
    serve(steps(WORKS[name], int(rounds)))
