"""The state of a stack of rounds at the end of an epoch: all that its training needs to go on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..config.schema import Config
from ..escaping import shown
from ..registry import NonNegative, NonNegativeInt, StrictModel
from .build import Task
from .round import Round

Arrays = Mapping[str, NDArray[Any]]
Value = TypeVar("Value")
# The type and the shape of an array.
Form = tuple[str, tuple[int, ...]]

# The kinds of arrays in a file; an array's name begins with its kind.
KINDS = ("state", "moments", "stopped.weights", "stopped.best")
# What the facts of a round, or the name and the shape of an array, take at most.
FACT_BYTES = 256
# Floats count exactly up to here.
MOST = 2**53
# What `BestWeights` remembers of each round besides weights.
BEST_NUMBERS = {"epochs": "int64", "scores": "float64", "references": "float64", "waiting_since": "int64"}


class _Stopped(StrictModel):
    """A round that stopped before the others."""

    seed: NonNegativeInt
    status: Literal["finished", "diverged"]
    epochs: NonNegativeInt
    best_epoch: NonNegativeInt | None


class _Facts(StrictModel):
    """What a checkpoint holds besides arrays."""

    config: str
    epoch: NonNegativeInt
    seconds: NonNegative
    steps: NonNegativeInt
    stack: list[NonNegativeInt]
    stopped: list[_Stopped]

    def check(self) -> None:
        """Make sure that these facts do not contradict each other.

        Raises:
            ValueError: they do.
        """
        seeds_stopped = [each.seed for each in self.stopped]
        if not self.stack:
            raise ValueError("it has no rounds")
        if any(len(set(seeds)) < len(seeds) for seeds in (self.stack, seeds_stopped)):
            raise ValueError("it has a seed twice")
        if max(self.epoch, self.seconds) > MOST:
            raise ValueError("it has taken too long")
        if any(each.epochs > self.epoch or (each.best_epoch or 0) > each.epochs for each in self.stopped):
            raise ValueError("it has a round that stopped later")
        if len({each.best_epoch is None for each in self.stopped}) > 1:
            raise ValueError("it has the best weights of some rounds only")


@dataclass(frozen=True)
class Checkpoint:
    """The state of a stack of rounds at the end of an epoch.

    Attributes:
        config: the fingerprint of what is trained.
        epoch: the number of finished epochs.
        seconds: what they took.
        steps: the number of steps that the optimizer has taken.
        stack: the seeds of the rounds in the stack, in their order.
        state: what training changes, by name, as the trainer has it.
        stopped: the rounds that stopped before; they may be in the stack still.
        moments: what PyTorch's optimizers remember, where these take the steps, as `TorchTrainer` has it.
    """

    config: str
    epoch: int
    seconds: float
    steps: int
    stack: list[int]
    state: dict[str, NDArray[Any]]
    stopped: list[Round]
    moments: dict[str, NDArray[Any]] = field(default_factory=dict)

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
        facts = _Facts(
            config=self.config,
            epoch=self.epoch,
            seconds=self.seconds,
            steps=self.steps,
            stack=self.stack,
            stopped=stopped,
        )
        arrays = _named("state", self.state) | _named("moments", self.moments)
        arrays |= _stacked("stopped.weights", [each.weights for each in self.stopped])
        arrays |= _stacked("stopped.best", [each.best for each in self.stopped if each.best is not None])
        arrays["facts"] = np.frombuffer(facts.model_dump_json().encode(), np.uint8)
        return save(arrays)

    @classmethod
    def decode(cls, content: bytes) -> "Checkpoint":
        """Return what `encode` was given.

        Raises:
            ValueError: it is not the content of a checkpoint, or contradicts itself.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(content)
            facts = _Facts.model_validate(json.loads(arrays["facts"].tobytes()))
        except (SafetensorError, KeyError, ValueError, RecursionError) as error:
            raise ValueError("it is no checkpoint") from error
        facts.check()
        if any(name != "facts" and not name.startswith(tuple(f"{kind}." for kind in KINDS)) for name in arrays):
            raise ValueError("it has arrays of no kind")
        rounds = len(facts.stopped)
        weights = _divided("stopped.weights", arrays, rounds)
        best = _divided("stopped.best", arrays, rounds)
        if any(best) != any(each.best_epoch is not None for each in facts.stopped):
            raise ValueError("its best weights are not those of its rounds")
        return cls(
            config=facts.config,
            epoch=facts.epoch,
            seconds=facts.seconds,
            steps=facts.steps,
            stack=facts.stack,
            state=_within("state", arrays),
            stopped=[
                Round(of.seed, of.status, of.epochs, last, None if of.best_epoch is None else kept, of.best_epoch)
                for of, last, kept in zip(facts.stopped, weights, best, strict=True)
            ],
            moments=_within("moments", arrays),
        )

    def check(self, task: Task) -> None:
        """Make sure that this is the state of a stack of rounds of a task, `moments` aside.

        Nothing of the task's sizes is allocated for that.

        Raises:
            ValueError: it is not.
        """
        one = {name: (task.config.training.dtype, shape) for name, shape in task.network.state_shapes().items()}
        best = one if "validation" in task.sizes else {}
        check_forms(_expected_state(task, len(self.stack)), self.state)
        for each in self.stopped:
            check_forms(one, each.weights)
            check_forms(best, each.best or {})
        for name in ("best.epochs", "best.waiting_since") if best else ():
            if not ((self.state[name] >= 0) & (self.state[name] <= self.epoch)).all():
                raise ValueError(f"{name} is of none of its epochs")
        by_torch, options = task.config.framework == "torch", task.config.training
        if self.moments and not by_torch:
            raise ValueError("it has moments of PyTorch's optimizers")
        # PyTorch's optimizers count for themselves.
        steps = 0 if by_torch else self.epoch * options.steps(task.sizes["train"])
        if self.steps != steps:
            raise ValueError(f"{self.epoch} epochs take {steps} steps")


def fingerprint(config: Config) -> str:
    """Return the SHA-256 of all in a config that decides the numbers of a round up to an epoch.

    `compiled` is left out: the run folder tells who takes the steps. So is the usual `matmul_precision`, which older
    minidl did not know.
    """
    resolved = config.resolved()
    for name in ("name", "seed", "sweep"):
        del resolved[name]
    for name in ("epochs", "checkpoint_every", "compiled"):
        del resolved["training"][name]
    if resolved["training"]["matmul_precision"] == "highest":
        del resolved["training"]["matmul_precision"]
    return hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest()


def largest_file(task: Task, rounds: int) -> int:
    """Return how many bytes the checkpoint of so many rounds of a task can have at most."""
    shapes = task.network.state_shapes()
    arrays = sum(np.dtype(of).itemsize * prod(shape) for of, shape in _expected_state(task, rounds).values())
    stopped = sum(map(prod, shapes.values())) * (1 + ("validation" in task.sizes))
    # No optimizer of PyTorch remembers more than three numbers of each parameter, and how many steps it took.
    moments = (4 * task.network.parameter_count() + len(shapes)) * (task.config.framework == "torch")
    facts = FACT_BYTES * (rounds + 10 * len(shapes))
    return 2**20 + arrays + rounds * (stopped + moments) * task.dtype.itemsize + facts


def check_forms(expected: Mapping[str, Form], found: Arrays) -> None:
    """Make sure that there are these arrays, and no others.

    Raises:
        ValueError: a name, a type or a shape is another.
    """
    for name in sorted(expected.keys() | found.keys()):
        wanted = expected.get(name)
        form = (found[name].dtype.name, found[name].shape) if name in found else None
        if form != wanted:
            raise ValueError(f"{shown(name)} is {_text(form)}, not {_text(wanted)}")


def _text(form: Form | None) -> str:
    return "none" if form is None else shown(f"{form[0]} {list(form[1])}")


def _expected_state(task: Task, rounds: int) -> dict[str, Form]:
    """Return the forms of the state of a stack of so many rounds of a task, with the trainer's names."""
    dtype, network = task.config.training.dtype, task.network
    weights: dict[str, Form] = {name: (dtype, (rounds, *shape)) for name, shape in network.state_shapes().items()}
    vector = (dtype, (rounds * network.parameter_count(),))
    expected = _named("network", weights) | _named("optimizer", dict.fromkeys(task.optimizer.state_names, vector))
    if "validation" in task.sizes:
        expected |= _named("best", {name: (kind, (rounds,)) for name, kind in BEST_NUMBERS.items()})
        expected |= _named("best.weights", weights)
    return expected


def _ended(of: Round) -> Literal["finished", "diverged"]:
    assert of.status != "failed"
    return of.status


def _stacked(kind: str, rounds: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    return _named(kind, {name: np.stack([each[name] for each in rounds]) for name in (rounds[0] if rounds else ())})


def _divided(kind: str, arrays: Arrays, rounds: int) -> list[dict[str, NDArray[Any]]]:
    """Return the arrays of a kind for each of so many rounds."""
    of_all = _within(kind, arrays)
    if any(rounds == 0 or values.shape[:1] != (rounds,) for values in of_all.values()):
        raise ValueError("its rounds and its arrays are not of the same number")
    return [{name: values[place] for name, values in of_all.items()} for place in range(rounds)]


def _named(kind: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """Return values by names that begin with their kind, as `_within` undoes it."""
    return {f"{kind}.{name}": value for name, value in values.items()}


def _within(kind: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(f"{kind}."): values for name, values in arrays.items() if name.startswith(f"{kind}.")}
