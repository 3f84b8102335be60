"""What a peer is, and the program that each of them is.

python -m benchmarks.peers.NAME train WORK --rounds N --epochs N --table FILE   trains, and writes all epochs' metrics
python -m benchmarks.peers.NAME steps WORK --rounds N               serves the time of a training step of a round
python -m benchmarks.peers.NAME agree FILE                          trains as minidl did (see benchmarks/agreement.py)
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..measuring import Measure, enough, seconds, serve
from ..recorded import Recorded
from ..works import WORKS, Data, Weights, Work


class Metrics(NamedTuple):
    """What an epoch gave: each an array `[rounds]`, of the peer's own kind.

    Those of the training samples are means over the outputs that were trained on; the others are measured afterwards.
    """

    train_loss: Any
    train_accuracy: Any
    test_loss: Any
    test_accuracy: Any


class Peer(Protocol):
    """The training of all rounds of a work, in the precision of the data and weights that it is made with."""

    def shuffled(self) -> Any:
        """Return a new order of the samples for each round, `[rounds, samples]`, drawn in the peer's own way."""

    def epoch(self, orders: Any) -> Metrics:
        """Train every round on all samples in these orders, and test it."""


class Repeatable(Peer, Protocol):
    """A peer that takes weights and orders from outside, so that it can be asked to do the same as minidl."""

    def weights(self) -> Weights:
        """Return the weights as they are now."""


MakePeer = Callable[[Work, Data, Weights], Peer]
MakeRepeatable = Callable[[Work, Data, Weights], Repeatable]


def main(make: MakePeer | MakeRepeatable) -> None:
    """Be the program of a peer."""
    given = _parser().parse_args()
    if given.verb == "agree":
        recorded = Recorded.load(given.file)
        print(recorded.difference(recorded.repeated(make)))
        return
    work = WORKS[given.work]
    peer = make(work, work.draw(), work.initial(given.rounds))
    if given.verb == "steps":
        serve(_steps(peer, work.steps * given.rounds))
        return
    trained = train(peer, given.epochs)
    with given.table.open("w", newline="") as file:
        csv.writer(file).writerows(_rows(trained))
    print(dict(zip(Metrics._fields, trained[-1].mean(axis=1).round(4).tolist(), strict=True)))


def train(peer: Peer, epochs: int) -> np.ndarray:
    """Train for so many epochs, and return their metrics, `[epochs, 4, rounds]`."""
    # Converted at the end: JAX does not wait for an epoch before it is given the next one.
    return np.array([peer.epoch(peer.shuffled()) for _ in range(epochs)])


def _steps(peer: Peer, steps: int) -> Measure:
    """Return what measures the time of a step, of which an epoch has so many, those of all rounds added up."""
    train(peer, 1)  # may compile
    epochs = enough(seconds(lambda: train(peer, 1)))
    return lambda: seconds(lambda: train(peer, epochs)) / (epochs * steps)


def _rows(trained: np.ndarray) -> Iterator[list[Any]]:
    yield ["seed", "epoch", *Metrics._fields]
    for seed, epochs in enumerate(trained.transpose(2, 0, 1).tolist()):
        yield from ([seed, epoch, *metrics] for epoch, metrics in enumerate(epochs, start=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("train", "steps"):
        trains = verbs.add_parser(verb)
        trains.add_argument("work", choices=WORKS)
        trains.add_argument("--rounds", type=int, default=1)
        if verb == "train":
            trains.add_argument("--epochs", type=int, required=True)
            trains.add_argument("--table", type=Path, required=True, help="where to write all epochs' metrics")
    verbs.add_parser("agree").add_argument("file", type=Path)
    return parser
