"""The samples of a stack of rounds, as the network takes them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

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

    def to(self, device: torch.device) -> "Samples":
        """Return the samples on a device."""
        return Samples(
            self.inputs.to(device), self.targets.to(device), None if self.rows is None else self.rows.to(device)
        )

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
            yield self.take(self.places(part))

    def take(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs `[rounds, features, n]` and targets from these places, `[rounds, n]`, as `places` has them."""
        index = places.unsqueeze(1)
        return _take(self.inputs, index), _take(self.targets, index)

    def take_targets(self, places: Tensor) -> Tensor:
        """Return the targets alone from these places."""
        return _take(self.targets, places.unsqueeze(1))

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


class OrdersAhead:
    """The orders of the samples for a GPU, each drawn and on its way while the epoch before is trained.

    There is one thread for it: half of what drawing takes is Python's, and two threads were no faster.

    Args:
        options: those of the training.
        size: the number of training samples.
        device: where the orders are to be.
    """

    def __init__(self, options: TrainingOptions, size: int, device: torch.device):
        self._options, self._size, self._device = options, size, device
        self._thread = ThreadPoolExecutor(1)
        self._ahead: dict[int, Future[Tensor]] = {}
        self._seeds: list[int] = []

    def take(self, seeds: Sequence[int], epoch: int) -> Tensor:
        """Return the order of an epoch, as `epoch_order` does, and have that of the next one drawn."""
        if self._seeds != seeds:
            self._seeds, self._ahead = list(seeds), {}
        drawn = self._ahead.pop(epoch, None) or self._draw(epoch)
        self._ahead = {epoch + 1: self._draw(epoch + 1)} if epoch < self._options.epochs else {}
        return drawn.result().to(self._device, non_blocking=True)

    def _draw(self, epoch: int) -> Future[Tensor]:
        is_gpu = self._device.type == "cuda"
        return self._thread.submit(epoch_order, self._options, self._size, self._seeds, epoch, pinned=is_gpu)


def epoch_order(
    options: TrainingOptions, size: int, seeds: Sequence[int], epoch: int, *, pinned: bool = False
) -> Tensor:
    """Return the order of the samples in an epoch.

    Args:
        options: whether to shuffle, and whether to leave out a last batch that is not full.
        size: the number of training samples.
        seeds: the seeds of the rounds.
        epoch: the epoch, from 1.
        pinned: whether to draw into memory from which a GPU can copy by itself.

    Returns:
        The numbers of the samples, `[rounds, samples]`.
    """
    if options.shuffle:
        order, drawing = torch.empty(len(seeds), size, dtype=torch.int64, pin_memory=pinned), torch.Generator()
        for row, seed in zip(order, seeds, strict=True):
            torch.randperm(size, generator=generator(seed, "order", epoch, drawing), out=row)
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
