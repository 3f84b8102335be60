"""The samples of a stack of rounds, as the network takes them."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..config.schema import TrainingOptions
from ..randomness import generator


class Samples:
    """One part of the data for a stack of rounds, shared by all of them or with samples of their own.

    Where rounds divide the same samples in different ways, they share these and have `rows` of their own.

    Args:
        inputs: `[1 or rounds, features, n]`.
        targets: `[1 or rounds, outputs, n]`.
        rows: which of the n samples belong to the part, `[1 or rounds, samples]`; None if all do, in their order.
    """

    # About 16 MB of inputs and targets for a hundred rounds. It must not depend on the number of rounds: sums
    # over blocks are part of the logged numbers.
    BLOCK_NUMBERS = 40_000

    def __init__(self, inputs: Tensor, targets: Tensor, rows: Tensor | None = None):
        self.inputs, self.targets, self.rows = inputs, targets, rows

    def __len__(self) -> int:
        return self.inputs.shape[2] if self.rows is None else self.rows.shape[1]

    def select(self, rounds: Sequence[int]) -> "Samples":
        """Return the samples of these rounds only."""
        inputs, targets, rows = (_selected(values, rounds) for values in (self.inputs, self.targets, self.rows))
        assert inputs is not None
        assert targets is not None
        return Samples(inputs, targets, rows)

    def block_size(self, batch_size: int) -> int:
        """Return how many samples to gather or to evaluate at once: a multiple of the batch size."""
        numbers = self.inputs.shape[1] + self.targets.shape[1]
        return max(1, self.BLOCK_NUMBERS // (numbers * batch_size)) * batch_size

    def places(self, order: Tensor) -> Tensor:
        """Return where samples lie among the n, `[rounds, samples]`, given their numbers in the part."""
        if self.rows is None:
            return order
        return self.rows.expand(len(order), -1).gather(1, order)

    def gather(self, order: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs `[rounds, features, n]` and targets in the order given, `size` samples at a time.

        Args:
            order: for each round the numbers of the samples, `[rounds, samples]`.
            size: the largest n.
        """
        for part in torch.split(order, size, dim=1):
            index = self.places(part).unsqueeze(1)
            yield _take(self.inputs, index), _take(self.targets, index)

    def in_order(self, rounds: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs `[rounds, features, n]` and targets as they stand, `size` samples at a time."""
        for first in range(0, len(self), size):
            inputs, targets = (self._columns(values, first, size) for values in (self.inputs, self.targets))
            yield inputs.expand(rounds, -1, -1), targets.expand(rounds, -1, -1)

    def _columns(self, values: Tensor, first: int, size: int) -> Tensor:
        """Return the numbers of at most so many samples, `[1 or rounds, k, size]`."""
        if self.rows is None:
            return values[:, :, first : first + size]
        return _take(values, self.rows[:, first : first + size].unsqueeze(1))


def epoch_order(options: TrainingOptions, size: int, seeds: Sequence[int], epoch: int) -> Tensor:
    """Return the order of the samples in an epoch.

    Args:
        options: whether to shuffle, and whether to leave out a last batch that is not full.
        size: the number of training samples.
        seeds: the seeds of the rounds.
        epoch: the epoch, from 1.

    Returns:
        The numbers of the samples, `[rounds, samples]`.
    """
    if options.shuffle:
        order = torch.empty(len(seeds), size, dtype=torch.int64)
        for row, seed in zip(order, seeds, strict=True):
            torch.randperm(size, generator=generator(seed, "order", epoch), out=row)
    else:
        order = torch.arange(size).expand(len(seeds), size)
    return order[:, : options.batches(size) * options.batch_size]


def _selected(values: Tensor | None, rounds: Sequence[int]) -> Tensor | None:
    """Return the entries of these rounds, unless all rounds share one."""
    return values if values is None or len(values) == 1 else values[list(rounds)]


def _take(values: Tensor, index: Tensor) -> Tensor:
    rounds, _, size = index.shape
    rows = values.shape[1]
    return values.expand(rounds, -1, -1).gather(2, index.expand(rounds, rows, size))
