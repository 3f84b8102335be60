"""The best weights of each round, by its validation samples, and when it is time to stop."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..config.schema import EarlyStopping
from ..metrics import metric
from ..nn.transfer import to_device
from ..runs.metrics import Numbers


class BestWeights:
    """The weights of each round of a stack after the epoch in which its monitored metric was best.

    Args:
        rule: which metric says so, and how long to wait for a better one.
        state: the weights before training, each `[rounds, *shape]`: the best until there are others.

    Attributes:
        epochs: the epoch that each round's best weights are of, `[rounds]`.
        state: the best weights, each `[rounds, *shape]`.
    """

    def __init__(self, rule: EarlyStopping, state: Mapping[str, Tensor]):
        self.rule = rule
        self.state = {name: values.clone() for name, values in state.items()}
        rounds = len(next(iter(state.values())))
        self.epochs = np.zeros(rounds, dtype=np.int64)
        self._scores = np.full(rounds, -np.inf)
        # What a score has to beat by min_delta, and since which epoch none has.
        self._references, self._waiting_since = self._scores.copy(), self.epochs.copy()

    def update(self, metrics: Mapping[str, Numbers], epoch: int, state: Mapping[str, Tensor]) -> None:
        """Keep the weights of the rounds that are better than ever before.

        Args:
            metrics: the metrics after the epoch, each `[rounds]`, the monitored one among them. (NaN is not better.)
            epoch: the epoch.
            state: the weights after it, each `[rounds, *shape]`.
        """
        monitor = self.rule.monitor
        scores = metrics[monitor] if metric(monitor).higher_is_better else -metrics[monitor]
        better = scores > self._scores
        self._scores[better], self.epochs[better] = scores[better], epoch
        if better.any():
            self._keep(np.flatnonzero(better), state)
        progress = scores > self._references + self.rule.min_delta
        self._references[progress], self._waiting_since[progress] = scores[progress], epoch

    def _keep(self, rounds: NDArray[np.int64], state: Mapping[str, Tensor]) -> None:
        """Take over the weights of these rounds, wherever they lie."""
        places = to_device(torch.from_numpy(rounds), next(iter(state.values())).device)
        for name, values in self.state.items():
            values[places] = state[name][places]

    def out_of_patience(self, epoch: int) -> NDArray[np.bool_]:
        """Tell which rounds have waited long enough, `[rounds]`."""
        return epoch - self._waiting_since >= self.rule.patience

    def all(self) -> dict[str, Tensor]:
        """Return all that is remembered, by name, each `[rounds, ...]`, not copied."""
        remembered = {
            "epochs": self.epochs,
            "scores": self._scores,
            "references": self._references,
            "waiting_since": self._waiting_since,
        }
        numbers = {name: torch.from_numpy(values) for name, values in remembered.items()}
        return numbers | {f"weights.{name}": values for name, values in self.state.items()}

    def keep(self, rounds: Sequence[int]) -> None:
        """Drop all rounds but the given ones."""
        places = list(rounds)
        self.state = {name: values[places] for name, values in self.state.items()}
        self.epochs, self._scores = self.epochs[places], self._scores[places]
        self._references, self._waiting_since = self._references[places], self._waiting_since[places]
