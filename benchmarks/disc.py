"""The workload: configs/disc.yaml in minidl.

    python -m benchmarks.disc steps             serves the time of a training step of one round
    python -m benchmarks.disc one_round         serves the time of training one round
    python -m benchmarks.disc hundred_rounds    serves the time of training 100 rounds in this process
    python -m benchmarks.disc in_workers        serves the time of training 100 rounds in as many processes as cores

A training is what `minidl sweep` does for its rounds, from drawing the data to judging the final weights, without
the run folder. It has 20 epochs.
"""

import sys
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.connection import wait

from minidl_cli import load_config
from minidl_cli.config.schema import Config
from minidl_cli.sweeps.workers import Plan, default_workers, plan, train_rounds, work
from minidl_cli.training.build import build
from minidl_cli.training.exactness import single_thread
from minidl_cli.training.trainer import Trainer

from .measuring import Measure, seconds, serve

STEP_EPOCHS, TRAINING_EPOCHS = 100, 20


def disc(*settings: str) -> Config:
    return load_config("configs/disc.yaml", settings)


def steps() -> Measure:
    trainer = Trainer(build(disc(f"training.epochs={STEP_EPOCHS}")), [0])
    count = STEP_EPOCHS * len(trainer.samples["train"]) // trainer.options.batch_size
    return lambda: seconds(lambda: train_again(trainer)) / count


def train_again(trainer: Trainer) -> None:
    """Train for all epochs once more, from where the parameters are."""
    trainer.epoch = 0
    assert len(list(trainer.epochs())) == trainer.options.epochs


def one_round() -> Measure:
    repetitions = 5  # A single training is too short to be measured well.
    config, planned = _training(rounds=1, workers=1)
    return lambda: seconds(lambda: [list(train_rounds(config, planned)) for _ in range(repetitions)]) / repetitions


def hundred_rounds() -> Measure:
    config, planned = _training(rounds=100, workers=1)
    return lambda: seconds(lambda: list(train_rounds(config, planned)))


def in_workers() -> Measure:
    """Measure with minidl's own worker processes, kept alive: their start would take longer than the training."""
    config, planned = _training(rounds=100, workers=default_workers())
    context = get_context("spawn")
    connections = []
    for _ in range(planned.workers):
        ours, theirs = context.Pipe()
        context.Process(target=work, args=(config, theirs), daemon=True).start()
        connections.append(ours)

    def train() -> None:
        for connection, chunk in zip(cycle(connections), planned.chunks, strict=False):
            connection.send(chunk)
        at_work = len(planned.chunks)
        while at_work:
            for connection in wait(connections):
                if connection.recv() is None:
                    at_work -= 1

    return lambda: seconds(train)


def _training(rounds: int, workers: int) -> tuple[Config, Plan]:
    config = disc(f"training.epochs={TRAINING_EPOCHS}", f"sweep.rounds={rounds}")
    return config, plan(build(config), workers)


if __name__ == "__main__":
    measures = {function.__name__: function for function in (steps, one_round, hundred_rounds, in_workers)}
    with single_thread():
        serve(measures[sys.argv[1]]())
