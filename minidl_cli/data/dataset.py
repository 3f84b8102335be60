"""What a dataset is: samples with targets, for training and for testing."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import Tensor

from .columns import Columns
from .tables.options import Decimal, Separator


@dataclass(frozen=True)
class Part:
    """The samples of one split.

    Attributes:
        inputs: `[features, n]`, in the data's own units; NaN where a value is missing and is to be filled.
        targets: the class of each sample, `[n]`, int64; or, where numbers are learned, `[outputs, n]`, float64.
        rows: which of the n samples belong to the part, `[samples]`, int64; None if all do, in their order.
    """

    inputs: Tensor
    targets: Tensor
    rows: Tensor | None = None

    def __len__(self) -> int:
        return self.inputs.shape[1] if self.rows is None else len(self.rows)

    def rows_of_all(self) -> Tensor:
        """Return `rows`, also where these are all of them."""
        return torch.arange(self.inputs.shape[1]) if self.rows is None else self.rows

    def select(self, places: Tensor) -> "Part":
        """Return the samples at these places of the part."""
        if self.rows is not None:
            return Part(self.inputs, self.targets, self.rows[places])
        return Part(self.inputs[:, places], self.targets[..., places])


class Dataset(ABC):
    """Samples with targets, drawn or split by a seed.

    What takes long, such as reading a file, is put off until it is asked for: configs are validated by constructing
    their datasets.

    Attributes:
        columns: what the inputs and the targets are, in terms of a table's columns.
        target_values: what a network is to put out for a class that is absent, and for one that is present.
        sizes: the number of samples of each part, by name, `train` and `test` among them: the same for every seed, so
            that rounds stack.
        fitted: what `fit` returns, by name, and how many numbers of each.
        is_shared: whether all seeds share the same samples, and only take other rows of them.
        marks: the separator and the decimal mark of CSV files with such data; None is told from a file.
        treatments: which arguments say how samples are treated, and not which they are: rounds that differ in nothing
            else have the same samples.
        ignores_unknown: whether a category that is none of those known counts as none at all, and not as an error.
        dtype: the type that inputs need to be precise in.
    """

    columns: Columns
    target_values: tuple[float, float] = (0.0, 1.0)
    sizes: dict[str, int]
    fitted: dict[str, int] = {}  # noqa: RUF012
    is_shared: bool = False
    marks: tuple[Separator | None, Decimal | None] = (None, None)
    treatments: frozenset[str] = frozenset()
    ignores_unknown: bool = True
    dtype: torch.dtype = torch.float64

    @property
    def middle(self) -> float:
        """The midpoint between the target values."""
        return sum(self.target_values) / 2

    @abstractmethod
    def draw(self, seed: int) -> dict[str, Part]:
        """Return the parts by name, as a function of the seed."""

    def fit(self, train: Part) -> dict[str, Tensor]:
        """Return what is fitted to training samples, as `nn.preprocessing` has it, `[length]` each, float64."""
        return {}

    def files(self) -> Sequence[Path]:
        """Return the files that the samples come from."""
        return []

    def hand_over(self, connection: Connection, process: int) -> None:
        """Send the dataset to another process, with what was read of files.

        What is sent is a function, which returns the dataset when the process calls it with the connection.

        Args:
            connection: the way to the process.
            process: the process's number.

        Raises:
            ConnectionError: the process is gone.
            TrainingError: there is no memory to share.
        """
        connection.send(_Handover(self))

    def parcel(self) -> "Parcel":
        """Return what another machine can make the dataset of, without its files."""
        return Parcel(self)

    def border(self) -> list[Tensor]:
        """Return the true border between the classes of a plane as curves `[points, 2]`; none if not known."""
        return []


@dataclass(frozen=True)
class Parcel:
    """A dataset that travels: to be pickled, and opened by calling it."""

    dataset: Dataset

    def __call__(self) -> Dataset:
        """Return the dataset, with what was read of files."""
        return self.dataset


@dataclass(frozen=True)
class _Handover:
    dataset: Dataset

    def __call__(self, connection: Connection) -> Dataset:
        return self.dataset


def encode(labels: Tensor, outputs: int, target_values: tuple[float, float], dtype: torch.dtype) -> Tensor:
    """Return the targets `[outputs, samples]` of the classes `[samples]`.

    Two or more outputs take one-hot targets; a single output takes whether the class is 1.
    """
    absent, present = (torch.tensor(value, dtype=dtype) for value in target_values)
    classes = torch.arange(outputs).unsqueeze(1) if outputs > 1 else torch.ones(1, 1, dtype=torch.int64)
    return torch.where(labels == classes, present, absent)
