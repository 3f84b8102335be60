"""The workload: configs/disc.yaml in minidl.

    python -m benchmarks.disc steps             serves the time of a training step of one round
    python -m benchmarks.disc one_round         serves the time of training one round
    python -m benchmarks.disc hundred_rounds    serves the time of training 100 rounds in this process
    python -m benchmarks.disc in_workers        serves the time of training 100 rounds in as many processes as cores

A training is what `minidl sweep` does for its rounds, from drawing the data to judging the final weights, without
the run folder. It has 20 epochs.
"""

import sys
from collections.abc import Callable

from minidl_cli import load_config
from minidl_cli.config.schema import Config
from minidl_cli.sweeps.workers import Workers, default_workers, plan
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
    train = _training(rounds=1, workers=1)
    return lambda: seconds(lambda: [train() for _ in range(repetitions)]) / repetitions


def hundred_rounds() -> Measure:
    train = _training(rounds=100, workers=1)
    return lambda: seconds(train)


def in_workers() -> Measure:
    """Measure with worker processes that are kept alive: their start would take longer than the training."""
    train = _training(rounds=100, workers=default_workers())
    return lambda: seconds(train)


def _training(rounds: int, workers: int) -> Callable[[], object]:
    config = disc(f"training.epochs={TRAINING_EPOCHS}", f"sweep.rounds={rounds}")
    planned, processes = plan(build(config), workers), Workers()
    return lambda: list(processes.train(config, planned))


if __name__ == "__main__":
    measures = {function.__name__: function for function in (steps, one_round, hundred_rounds, in_workers)}
    with single_thread():
        serve(measures[sys.argv[1]]())
