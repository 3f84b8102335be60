"""Choices that any config needs, by the size of the data: layers, loss, optimizer, epochs."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ..config.commented import Entries, Entry
from .draft import shell_argument

_ROUNDS = 20

# Training takes about so many multiplications and additions: seconds to a minute.
_BUDGET = 2e11
_EPOCHS = (5, 10, 20, 50, 100, 200)


@dataclass(frozen=True)
class Size:
    """How much there is to learn, and from how much.

    Attributes:
        samples: the number of samples to train on.
        features: the number of inputs.
        outputs: the number of classes or of target columns.
        is_classification: which of the two.
        has_validation: whether there are samples to stop early by.
        fine: what numbers float32 cannot tell apart, or not square, as a remark lists them.
    """

    samples: int
    features: int
    outputs: int
    is_classification: bool
    has_validation: bool
    fine: str = ""

    @property
    def magnitude(self) -> int:
        """0 for fewer than 1,000 samples, 1 for fewer than 10,000, 2 for fewer than 100,000, else 3."""
        return sum(self.samples >= bound for bound in (1_000, 10_000, 100_000))

    @property
    def hidden(self) -> list[int]:
        """The widths of the hidden layers: a wide network would learn few samples by heart."""
        width = (16, 32, 64, 128)[self.magnitude]
        width *= 2 if self.features > width else 1
        return [width, width] if self.magnitude else [width]

    @property
    def widths(self) -> list[int]:
        """The number of inputs, and of each layer's outputs."""
        return [self.features, *self.hidden, self.outputs]

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return sum((below + 1) * above for below, above in pairwise(self.widths))

    @property
    def epochs(self) -> int:
        """How often to go through all samples."""
        affordable = _BUDGET / (6 * self.parameters * self.samples)
        return max([_EPOCHS[0], *(epochs for epochs in _EPOCHS if epochs <= affordable)])


def introduction(purpose: str, config: Path) -> list[str]:
    """Return the lines at the beginning of a config: what it does, and how to use it."""
    file = shell_argument(Path(config.name))
    return [
        f"{purpose} Drafted by `minidl init`: all of it is yours to change.",
        "",
        f"minidl train {file}    one network",
        f"minidl sweep {file}    {_ROUNDS} networks, and how much they differ",
    ]


def config_groups(name: str, dataset: Entry, data_seed: Entry, size: Size) -> list[list[Entry]]:
    """Return all entries of a config, in groups."""
    head = [Entry("name", name), Entry("seed", 0, "the seed of initial values and of the order of samples")]
    data = [Entry("data", Entries([dataset])), data_seed]
    return [head, data, [_model(size)], [_loss(size)], [_optimizer(size)], [_training(size)], [_sweep()]]


def _model(size: Size) -> Entry:
    layers: list[Entry] = []
    for width in size.hidden:
        layers += [Entry(None, {"linear": width}), Entry(None, "relu")]
    what = "one output for each class" if size.is_classification else _counted(size.outputs, "output")
    layers.append(Entry(None, {"linear": size.outputs}, what))
    return Entry("model", Entries(layers), f"{size.parameters:,} weights for {size.samples:,} samples to train on")


def _loss(size: Size) -> Entry:
    if not size.is_classification:
        return Entry("loss", "mse", "the mean of the squared errors; huber minds single large ones less")
    return Entry("loss", "cross_entropy", "makes the outputs probabilities, one for each class")


def _optimizer(size: Size) -> Entry:
    if size.magnitude == 0:
        remark = "weight decay, as few samples are easily learned by heart"
        return Entry("optimizer", Entries([Entry("adamw", {"lr": 0.003, "weight_decay": 0.3}, remark)]))
    falls = size.magnitude == 1 and not size.has_validation
    return Entry("optimizer", Entries([Entry("adam", 0.01 if falls else 0.003, "the learning rate")]))


def _training(size: Size) -> Entry:
    entries = [
        Entry("epochs", size.epochs, "at most" if size.has_validation else "how often it sees all samples"),
        Entry("batch_size", min((16, 32, 128, 512)[size.magnitude], size.samples), "samples for each step"),
    ]
    if size.fine:
        entries.append(Entry("dtype", "float64", f"{size.fine}: differs by too little for float32, or is too large"))
    if size.has_validation:
        remark = "ends after so many epochs without a better validation loss; keeps the best"
        entries.append(Entry("early_stopping", {"patience": max(2, size.epochs // 10)}, remark))
    else:
        entries.append(Entry("schedule", "cosine", "the learning rate falls towards 0"))
    return Entry("training", Entries(entries))


def _sweep() -> Entry:
    remark = f"minidl sweep trains {_ROUNDS} networks, from the seeds 0 to {_ROUNDS - 1}"
    return Entry("sweep", Entries([Entry("rounds", _ROUNDS, remark)]))


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
