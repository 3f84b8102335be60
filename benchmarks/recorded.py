"""A training that was recorded, for others to repeat."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .works import WORKS, Array, Data, Part, Weights, Work

if TYPE_CHECKING:
    from .peers.peer import MakeRepeatable


@dataclass(frozen=True)
class Recorded:
    """What went into a training, and what came out.

    Attributes:
        initial: the weights before.
        orders: the order of the samples in each epoch, `[epochs, rounds, samples]`.
        metrics: what each epoch gave, `[epochs, 4, rounds]`, in the order of `Metrics`.
        final: the weights after.
    """

    work: Work
    data: Data
    initial: Weights
    orders: np.ndarray
    metrics: Array
    final: Weights

    def save(self, path: Path) -> None:
        pairs = {"data": self.data, "initial": self.initial, "final": self.final}
        arrays = {f"{name}.{place}": each for name, pair in pairs.items() for place, each in enumerate(_flat(pair))}
        np.savez(path, work=self.work.name, orders=self.orders, metrics=self.metrics, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Recorded":
        with np.load(path) as file:

            def pairs(name: str) -> Weights:
                arrays = [file[f"{name}.{place}"] for place in range(sum(key.startswith(f"{name}.") for key in file))]
                return list(zip(arrays[::2], arrays[1::2], strict=True))

            data = Data(*(Part(*pair) for pair in pairs("data")))
            work = WORKS[str(file["work"])]
            return cls(work, data, pairs("initial"), file["orders"], file["metrics"], pairs("final"))

    def repeated(self, make: "MakeRepeatable") -> "Recorded":
        """Return what comes out where a peer trains the same."""
        peer = make(self.work, self.data, self.initial)
        metrics = np.array([peer.epoch(order) for order in self.orders])
        return replace(self, metrics=metrics, final=peer.weights())

    def difference(self, other: "Recorded") -> float:
        """Return by how much a metric of an epoch or a final weight of another one differs at most."""
        pairs = zip([self.metrics, *_flat(self.final)], [other.metrics, *_flat(other.final)], strict=True)
        return max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)


def _flat(pairs: Sequence[tuple[Array, Array]]) -> list[Array]:
    return [each for pair in pairs for each in pair]
