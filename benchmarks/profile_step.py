"""Where the time of a training step goes: `python -m benchmarks.profile_step` prints a table for 1 and 100 rounds.

The calls of each kind of work are timed by the clock, around minidl's own methods, and a call within a timed call
counts as part of it. Trainings with and without timers take turns: the total is of those without, so that the rest,
which is the trainer's own loop, is free of what the timers take.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from time import perf_counter
from typing import Any
from unittest.mock import patch

from minidl_cli.nn.layers.linear import Linear
from minidl_cli.training import trainer as training
from minidl_cli.training.build import build
from minidl_cli.training.exactness import single_thread

from .disc import disc, train_again
from .measuring import seconds

KINDS = {
    "products": "linear layers: products and sums for the biases",
    "activations": "activations and their derivatives",
    "loss": "derivative of the loss",
    "update": "update",
    "gathering": "orders and gathering of batches",
    "metrics": "metrics of the training outputs",
    "test": "test evaluation",
}
REPETITIONS = 15


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
    def attached(self, trainer: training.Trainer) -> Iterator[None]:
        """Time the parts of a trainer."""
        train = trainer.samples["train"]
        gather = train.gather
        parts: list[tuple[str, Any, str]] = [
            ("loss", trainer.loss, "backward"),
            ("update", trainer.optimizer, "step"),
            ("gathering", trainer, "order"),
            ("gathering", train, "gather"),
            ("metrics", training.Measures, "add"),
            ("test", training, "measure"),
        ]
        for layer in trainer.network.layers:
            kind = "products" if isinstance(layer, Linear) else "activations"
            parts += [(kind, layer, "forward"), (kind, layer, "backward")]
        with ExitStack() as stack:
            stack.enter_context(patch.object(train, "gather", lambda *args: list(gather(*args))))
            for kind, owner, name in parts:
                stack.enter_context(patch.object(owner, name, self.timed(kind, getattr(owner, name))))
            yield


def profile(rounds: int, epochs: int) -> dict[str, float]:
    """Return the seconds that each kind of work takes in a step, and the `rest`."""
    trainer = training.Trainer(build(disc(f"training.epochs={epochs}")), range(rounds))
    steps = epochs * len(trainer.samples["train"]) // trainer.options.batch_size

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


def main() -> None:
    with single_thread():
        one, hundred = profile(rounds=1, epochs=50), profile(rounds=100, epochs=10)
    print("| part of a step | 1 round | 100 rounds |\n|---|---|---|")
    for kind, what in (KINDS | {"rest": "the trainer's loop, and the rest"}).items():
        print(f"| {what} | {_share(one, kind)} | {_share(hundred, kind)} |")
    print(f"| all | {sum(one.values()) * 1e6:.1f} µs | {sum(hundred.values()) * 1e6:.0f} µs |")


def _share(found: dict[str, float], kind: str) -> str:
    return f"{found[kind] / sum(found.values()):.1%} ({found[kind] * 1e6:.1f} µs)"


if __name__ == "__main__":
    main()
