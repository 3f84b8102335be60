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
from minidl_cli.sweeps.workers import Chunk, _work, default_workers, plan, single_thread, train_chunks
from minidl_cli.training.build import build
from minidl_cli.training.trainer import Trainer

from .measuring import Measure, seconds, serve

ROUNDS, STEP_EPOCHS, TRAINING_EPOCHS = range(100), 100, 20


def disc(*settings: str) -> Config:
    return load_config("configs/disc.yaml", settings)


def steps() -> Measure:
    trainer = Trainer(build(disc(f"training.epochs={STEP_EPOCHS}")), [0])
    count = STEP_EPOCHS * len(trainer.samples["train"]) // trainer.options.batch_size
    return lambda: seconds(lambda: list(trainer.epochs())) / count


def one_round() -> Measure:
    repetitions = 5  # A single training is too short to be measured well.
    config, chunks = _training(range(1), workers=1)
    return lambda: seconds(lambda: list(train_chunks(config, chunks * repetitions, workers=1))) / repetitions


def hundred_rounds() -> Measure:
    config, chunks = _training(ROUNDS, workers=1)
    return lambda: seconds(lambda: list(train_chunks(config, chunks, workers=1)))


def in_workers() -> Measure:
    """Measure with minidl's own worker processes, kept alive: their start would take longer than the training."""
    workers = default_workers()
    config, chunks = _training(ROUNDS, workers)
    context = get_context("spawn")
    connections = []
    for _ in range(workers):
        ours, theirs = context.Pipe()
        context.Process(target=_work, args=(config, theirs), daemon=True).start()
        connections.append(ours)

    def train() -> None:
        for connection, chunk in zip(cycle(connections), chunks, strict=False):
            connection.send(chunk)
        at_work = len(chunks)
        while at_work:
            for connection in wait(connections):
                if connection.recv() is None:
                    at_work -= 1

    return lambda: seconds(train)


def _training(rounds: range, workers: int) -> tuple[Config, list[Chunk]]:
    config = disc(f"training.epochs={TRAINING_EPOCHS}")
    return config, plan(build(config), rounds, workers)


if __name__ == "__main__":
    measures = {function.__name__: function for function in (steps, one_round, hundred_rounds, in_workers)}
    with single_thread():
        serve(measures[sys.argv[1]]())
