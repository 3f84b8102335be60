"""The works that all sides do: what is trained, on which data, how. The shipped configs say the same to minidl.

Everything here is plain numpy, so that no side pays for the library of another.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .digits import read_digits

Array = NDArray[np.floating]


class Part(NamedTuple):
    """Inputs `[samples, features]`, and one-hot targets `[samples, classes]`."""

    inputs: Array
    targets: Array


class Data(NamedTuple):
    train: Part
    test: Part


# The weight `[rounds, out, in]` and the bias `[rounds, out]` of each linear layer.
Weights = Sequence[tuple[Array, Array]]


@dataclass(frozen=True)
class SGD:
    lr: float
    momentum: float


@dataclass(frozen=True)
class Adam:
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8


@dataclass(frozen=True)
class Work:
    """A network, and how it is trained.

    Attributes:
        config: the file that says the same to minidl.
        widths: the width of the input, and of every linear layer's output.
        activations: the activation between each two linear layers.
        samples: the number of samples for training, and of those for testing.
        epochs: as many as the config says.
    """

    name: str
    config: str
    widths: tuple[int, ...]
    activations: tuple[Literal["tanh", "relu"], ...]
    loss: Literal["mse", "cross_entropy"]
    optimizer: SGD | Adam
    batch_size: int
    samples: tuple[int, int]
    epochs: int
    draw: Callable[[], Data]

    @property
    def steps(self) -> int:
        """The number of steps in an epoch; the last batch may not be full."""
        return math.ceil(self.samples[0] / self.batch_size)

    def initial(self, rounds: int) -> Weights:
        """Return initial weights from PyTorch's default distribution."""
        random = np.random.default_rng(0)

        def uniform(inputs: int, *shape: int) -> Array:
            return (random.random((rounds, *shape), np.float32) * 2 - 1) / np.float32(math.sqrt(inputs))

        pairs = zip(self.widths, self.widths[1:], strict=False)
        return [(uniform(inputs, outputs, inputs), uniform(inputs, outputs)) for inputs, outputs in pairs]


def one_hot(labels: NDArray[np.integer], classes: int) -> Array:
    return np.eye(classes, dtype=np.float32)[labels]


def _draw_disc() -> Data:
    random = np.random.default_rng(0)

    def part() -> Part:
        points = random.random((1000, 2), np.float32)
        inside = np.square(points - 0.5).sum(axis=1) <= 1 / (2 * math.pi)
        return Part(points, one_hot(inside.astype(int), 2))

    return Data(part(), part())


def _draw_digits() -> Data:
    train, test = read_digits(seed=0)
    return Data(*(Part(images, one_hot(labels, 10)) for images, labels in (train, test)))


DISC = Work(
    name="disc",
    config="configs/disc.yaml",
    widths=(2, 25, 25, 25, 2),
    activations=("tanh", "relu", "tanh"),
    loss="mse",
    optimizer=SGD(lr=0.07, momentum=0.15),
    batch_size=20,
    samples=(1000, 1000),
    epochs=1000,
    draw=_draw_disc,
)
DIGITS = Work(
    name="digits",
    config="benchmarks/configs/digits.yaml",
    widths=(64, 128, 10),
    activations=("relu",),
    loss="cross_entropy",
    optimizer=Adam(),
    batch_size=64,
    samples=(1437, 360),
    epochs=30,
    draw=_draw_digits,
)
WIDE = Work(
    name="wide",
    config="benchmarks/configs/wide.yaml",
    widths=(64, 512, 512, 10),
    activations=("relu", "relu"),
    loss="cross_entropy",
    optimizer=Adam(),
    batch_size=64,
    samples=(1437, 360),
    epochs=10,
    draw=_draw_digits,
)

WORKS = {work.name: work for work in (DISC, DIGITS, WIDE)}
