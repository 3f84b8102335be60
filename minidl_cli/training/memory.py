"""How much memory a stack of rounds takes."""

from dataclasses import astuple, dataclass

import torch

from ..display.text import readable
from ..runs.environment import physical_memory
from .build import Task
from .measures import EVALUATION_SIZE
from .samples import Samples

# The state itself, its bytes, and the file's content.
CHECKPOINT_COPIES = 3


@dataclass(frozen=True)
class Memory:
    """An estimate, in bytes.

    Attributes:
        vectors: parameters, gradients and the optimizer's state.
        activations: what the layers keep and pass on, in training or evaluation, whichever is more.
        samples: inputs and targets, their order in an epoch, and the batches gathered from them.
        checkpoint: copies of what training changes, while they become the content of a file.
    """

    vectors: int
    activations: int
    samples: int
    checkpoint: int

    def __mul__(self, times: int) -> "Memory":
        return Memory(*(times * value for value in astuple(self)))

    @property
    def total(self) -> int:
        """All together."""
        return sum(astuple(self))


def estimate(task: Task, rounds: int) -> Memory:
    """Estimate what training a stack of this many rounds takes, without making it."""
    size, options, network = task.dtype.itemsize, task.config.training, task.network
    # A layer keeps its input and output, and its derivative takes about as much again.
    train = task.sizes["train"]
    columns = max(min(options.batch_size, train), EVALUATION_SIZE)
    activations = rounds * sum(network.widths) * columns * 2 * size
    numbers = network.widths[0] + network.widths[-1]
    drawn, total = rounds if task.config.data_seed == "round" else 1, sum(task.sizes.values())
    shared = (1 if task.dataset.is_shared else drawn) * numbers * total
    # What is gathered at once, with its outputs and the noise of its samples.
    block = min(numbers * train, Samples.BLOCK_NUMBERS)
    gathered = rounds * (block + (block // numbers) * (network.widths[-1] + network.noise_features()))
    gradients = 1 + (options.accumulate > 1)  # which no checkpoint has
    rows = drawn * total if task.dataset.is_shared else 0
    order = (rounds * train + rows) * torch.int64.itemsize
    return Memory(
        vectors=rounds * vector_bytes(task),
        activations=activations,
        samples=(shared + gathered) * size + order,
        checkpoint=CHECKPOINT_COPIES
        * rounds
        * (vector_bytes(task) - gradients * task.network.parameter_count() * size),
    )


def vector_bytes(task: Task) -> int:
    """Return the bytes of one round's parameters, gradients, optimizer state, and best parameters if they are kept."""
    options = task.config.training
    vectors = 2 + len(task.optimizer.state_names) + (options.validation > 0) + (options.accumulate > 1)
    return task.network.parameter_count() * vectors * task.dtype.itemsize


def check_evaluation(task: Task, rounds: int) -> None:
    """Make sure that samples and activations of so many rounds fit into memory.

    Raises:
        InputError: they do not.
    """
    needed = estimate(task, rounds).total
    if needed > physical_memory():
        raise task.config.error(
            ("data",),
            f"this would take about {readable(needed)} of memory, but this machine has {readable(physical_memory())}",
        )
