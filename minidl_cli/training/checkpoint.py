"""The state of a stack of rounds at the end of an epoch: all that its training needs to go on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..registry import NonNegative, NonNegativeInt, StrictModel
from .round import Round

Arrays = Mapping[str, NDArray[Any]]

# A checkpoint is not made before so many times what the last one took have passed.
SHARE = 100


class _Stopped(StrictModel):
    """A round that stopped before the others."""

    seed: NonNegativeInt
    status: Literal["finished", "diverged"]
    epochs: NonNegativeInt
    best_epoch: NonNegativeInt | None


class _Facts(StrictModel):
    """What a checkpoint holds besides arrays."""

    epoch: NonNegativeInt
    seconds: NonNegative
    steps: NonNegativeInt
    stack: list[NonNegativeInt]
    stopped: list[_Stopped]


@dataclass(frozen=True)
class Checkpoint:
    """The state of a stack of rounds at the end of an epoch.

    Attributes:
        epoch: the number of finished epochs.
        seconds: what they took.
        steps: the number of steps that the optimizer has taken.
        stack: the seeds of the rounds in the stack, in their order.
        state: what training changes, by name, as the trainer has it.
        stopped: the rounds that stopped before; they may be in the stack still.
    """

    epoch: int
    seconds: float
    steps: int
    stack: list[int]
    state: dict[str, NDArray[Any]]
    stopped: list[Round]

    @property
    def seeds(self) -> list[int]:
        """The seeds of all its rounds, ascending."""
        return sorted({*self.stack, *(each.seed for each in self.stopped)})

    @property
    def last_epochs(self) -> dict[int, int]:
        """The number of epochs that each round was trained for, by seed."""
        return dict.fromkeys(self.stack, self.epoch) | {each.seed: each.epochs for each in self.stopped}

    def encode(self) -> bytes:
        """Return the content of a checkpoint's file: the arrays in the format of safetensors, the rest as JSON."""
        from safetensors.numpy import save

        stopped = [
            _Stopped(seed=each.seed, status=_ended(each), epochs=each.epochs, best_epoch=each.best_epoch)
            for each in self.stopped
        ]
        facts = _Facts(epoch=self.epoch, seconds=self.seconds, steps=self.steps, stack=self.stack, stopped=stopped)
        arrays = {f"state.{name}": values for name, values in self.state.items()}
        arrays |= _stacked("stopped.weights", [each.weights for each in self.stopped])
        arrays |= _stacked("stopped.best", [each.best for each in self.stopped if each.best is not None])
        arrays["facts"] = np.frombuffer(facts.model_dump_json().encode(), np.uint8)
        return save(arrays)

    @classmethod
    def decode(cls, content: bytes) -> "Checkpoint":
        """Return what `encode` was given.

        Raises:
            ValueError: it is not the content of a checkpoint.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(content)
            facts = _Facts.model_validate(json.loads(arrays["facts"].tobytes()))
        except (SafetensorError, KeyError, ValueError, RecursionError) as error:
            raise ValueError("it is no checkpoint") from error
        weights = _divided("stopped.weights", arrays, len(facts.stopped))
        best = _divided("stopped.best", arrays, len(facts.stopped))
        rounds = zip(facts.stopped, weights, best, strict=True)
        return cls(
            epoch=facts.epoch,
            seconds=facts.seconds,
            steps=facts.steps,
            stack=facts.stack,
            state=_within("state", arrays),
            stopped=[
                Round(of.seed, of.status, of.epochs, last, None if of.best_epoch is None else kept, of.best_epoch)
                for of, last, kept in rounds
            ],
        )


def _ended(of: Round) -> Literal["finished", "diverged"]:
    assert of.status != "failed"
    return of.status


def _stacked(kind: str, rounds: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    return {f"{kind}.{name}": np.stack([each[name] for each in rounds]) for name in (rounds[0] if rounds else ())}


def _divided(kind: str, arrays: Arrays, rounds: int) -> list[dict[str, NDArray[Any]]]:
    """Return the arrays of a kind for each of so many rounds."""
    of_all = _within(kind, arrays)
    if any(values.shape[:1] != (rounds,) for values in of_all.values()):
        raise ValueError("its rounds and its arrays are not of the same number")
    return [{name: values[place] for name, values in of_all.items()} for place in range(rounds)]


def _within(kind: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(f"{kind}."): values for name, values in arrays.items() if name.startswith(f"{kind}.")}


class Timetable:
    """Says when a process is to make its next checkpoint, so that all of them take about 1% of the time."""

    def __init__(self) -> None:
        self._last, self._cost = monotonic(), 0.0

    def is_due(self, every: float) -> bool:
        """Tell whether it is time, if it should be every so many seconds."""
        return monotonic() >= self._last + max(every, SHARE * self._cost)

    def took(self, seconds: float) -> None:
        """Note that a checkpoint was made just now, which took so long."""
        self._last, self._cost = monotonic(), seconds
