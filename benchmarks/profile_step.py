"""Where the time of a training step goes: `python -m benchmarks.profile_step WORK [ROUNDS]...`.

Prints a table for each number of rounds, trained as one stack in this process: with compiled steps, and with PyTorch's
operations. The calls of each kind of work are timed by the clock, around minidl's own methods, and a call within a
timed call counts as part of it. Trainings with and without timers take turns: the total is of those without, so that
the rest, which is the trainer's own loop, is free of what the timers take.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median
from time import perf_counter
from typing import Any
from unittest.mock import patch

from minidl_cli.nn.layers.linear import Linear
from minidl_cli.training.build import build
from minidl_cli.training.compiled import CompiledTrainer
from minidl_cli.training.exactness import single_thread
from minidl_cli.training.measures import Judge
from minidl_cli.training.trainer import Trainer
from minidl_cli.training.trainers import Trainers

from .measuring import enough, seconds, show_time
from .minidl_steps import config
from .works import WORKS, Work

KINDS = {
    "products": "linear layers: products and sums for the biases",
    "activations": "activations and their derivatives",
    "loss": "derivative of the loss",
    "update": "update",
    "compiled": "compiled steps, with the gathering of batches and the metrics",
    "gathering": "orders and gathering of batches",
    "metrics": "metrics of the training outputs",
    "test": "test evaluation",
}
REPETITIONS = 15

# A kind of work, and the method that does it: its owner and its name.
Timed = tuple[str, Any, str]


class Clock:
    """Adds up the seconds that each kind of work takes."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._running = False

    def timed(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            if self._running:
                return function(*args)
            self._running = True
            started = perf_counter()
            result = function(*args)
            self.seconds[kind] += perf_counter() - started
            self._running = False
            return result

        return timed

    @contextmanager
    def attached(self, trainer: Trainer) -> Iterator[None]:
        """Time the parts of a trainer."""
        train = trainer.samples["train"]
        gather = train.gather
        with ExitStack() as stack:
            stack.enter_context(patch.object(train, "gather", lambda *args: list(gather(*args))))
            for kind, owner, name in _parts(trainer):
                stack.enter_context(patch.object(owner, name, self.timed(kind, getattr(owner, name))))
            yield


def _parts(trainer: Trainer) -> Iterator[Timed]:
    yield from [("gathering", trainer, "order"), ("test", trainer, "_measure")]
    if isinstance(trainer, CompiledTrainer):
        yield "compiled", trainer, "_call"
        return
    yield from [
        ("loss", trainer.step.loss, "backward"),
        ("update", trainer.optimizer, "step"),
        ("gathering", trainer.samples["train"], "gather"),
        ("metrics", Judge, "sums"),
    ]
    for layer in trainer.network.layers:
        kind = "products" if isinstance(layer, Linear) else "activations"
        yield from [(kind, layer, "forward"), (kind, layer, "backward")]


def profile(trainer: Trainer, steps: int) -> dict[str, float]:
    """Return the seconds that each kind of work takes in a step, and the `rest`.

    Args:
        trainer: what to train, for all its epochs.
        steps: the number of steps that these are.
    """

    def step() -> float:
        return seconds(lambda: train_again(trainer)) / steps

    step()
    found: dict[str, list[float]] = {kind: [] for kind in [*KINDS, "rest"]}
    for _ in range(REPETITIONS):
        total, clock = step(), Clock()
        with clock.attached(trainer):
            step()
        for kind in KINDS:
            found[kind].append(clock.seconds[kind] / steps)
        found["rest"].append(total - clock.seconds.total() / steps)
    return {kind: median(values) for kind, values in found.items()}


def train_again(trainer: Trainer) -> None:
    """Train for all epochs once more, from where the parameters are."""
    trainer.epoch = 0
    assert len(list(trainer.epochs())) == trainer.options.epochs


def tables(work: Work, all_rounds: Sequence[int]) -> Iterator[str]:
    for rounds in all_rounds:
        one = Trainers(config(work, "training.epochs=1")).of(range(rounds))
        train_again(one)
        settings = config(work, f"training.epochs={enough(seconds(lambda: train_again(one)))}")  # noqa: B023
        trainers = {
            "compiled": Trainers(settings).of(range(rounds)),
            "operations": Trainer(build(settings), range(rounds)),
        }
        found = {name: profile(trainer, trainer.options.epochs * work.steps) for name, trainer in trainers.items()}
        yield _table(f"{work.name}, a step of {rounds} round{'s' * (rounds > 1)}", found)


def _table(title: str, found: dict[str, dict[str, float]]) -> str:
    lines = [f"| {title} | {' | '.join(found)} |", "|---|" + "---|" * len(found)]
    for kind, what in (KINDS | {"rest": "the trainer's loop, and the rest"}).items():
        lines.append(f"| {what} | {' | '.join(_share(each, kind) for each in found.values())} |")
    totals = (show_time(sum(each.values())) for each in found.values())
    return "\n".join([*lines, f"| all | {' | '.join(totals)} |"])


def _share(found: dict[str, float], kind: str) -> str:
    return f"{found[kind] / sum(found.values()):.1%} ({found[kind] * 1e6:.1f} µs)" if found[kind] else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("rounds", nargs="*", type=int, default=[1, 100])
    given = parser.parse_args()
    with single_thread():
        for table in tables(WORKS[given.work], given.rounds):
            print(f"{table}\n", flush=True)


if __name__ == "__main__":
    main()
