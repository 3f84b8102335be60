"""What an engine is: it trains chunks of rounds, wherever its workers are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from ..interrupts import GRACE_SECONDS
from ..training.checkpoint import Checkpoint
from ..training.trainers import Trainers
from .chunks import Event
from .plan import Capacity, Chunk, Plan

# How often a chunk is tried that its workers die of, or lack memory for.
TRIES = 3
# How long to wait for workers before looking for a signal that came.
POLL_SECONDS = 0.1
# How long workers that are asked to stop have for their last checkpoint.
STOP_SECONDS = GRACE_SECONDS + 0.5

# Returns what a chunk can go on from; None to start it.
Saved = Callable[[Chunk], Checkpoint | None]


@dataclass(frozen=True)
class Failure:
    """Rounds that could not be trained.

    Attributes:
        seeds: their seeds.
        reason: why.
    """

    seeds: Sequence[int]
    reason: str


class Engine(Protocol):
    """Workers that train chunks of rounds, for one job.

    As a context manager, it ends them: in peace when there is nothing left to do, at once after an error.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def has_cuda(self, workers: int | None) -> bool:
        """Tell whether all workers have a CUDA device, given at most how many there are to be.

        Raises:
            InputError: there is no way to the workers.
        """

    def capacity(self, workers: int | None, device: str) -> Capacity:
        """Return what there is to train on.

        Args:
            workers: at most how many workers; None for as many as there are.
            device: where they compute, as `find_device` takes it.

        Raises:
            InputError: there is no such device, or no way to the workers.
        """

    def describe(self) -> Mapping[str, Any]:
        """Return what `environment.json` says of the engine; nothing of the built-in one."""

    def start(self, plan: Plan) -> None:
        """Start the workers that a plan needs, unless they are there already, and go on meanwhile."""

    def wait(self) -> None:
        """Wait until the workers that were started are ready.

        Raises:
            TrainingError: they cannot be started.
        """

    def lack_of_compilers(self) -> str | None:
        """Return why workers cannot compile what this process can; None if all can."""

    def train(self, trainers: Trainers, plan: Plan, saved: Saved) -> Iterator[Event | Failure]:
        """Train all rounds, and yield what happens to each chunk, as `train_chunk` does, and which failed.

        Args:
            trainers: what makes the trainers, as settled for all workers. The dataset is handed to them, with what it
                has read of files.
            plan: which rounds train together.
            saved: returns what a chunk can go on from, whenever one is begun.

        Raises:
            GraphError: a layer failed.
            TrainingError: the workers are lost.
            Interrupted: a signal came; what the workers had to say to that has been yielded.
        """

    def dismiss(self) -> None:
        """End all workers, as there is nothing left to do: they take memory."""
