"""How much memory a stack of rounds takes."""

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from math import ceil
from typing import Any
from weakref import finalize

import torch

from ..compiled.dispatch import DispatchMode, tensors
from ..display.text import readable
from ..errors import GraphError
from ..runs.environment import physical_memory
from .build import Task, connect
from .exactness import single_thread
from .measures import EVALUATION_SIZE
from .samples import Samples

# The state itself, its arrays' bytes, and the file's content.
CHECKPOINT_COPIES = 3
# How much more memory is taken than there is in tensors that come and go: for tensors so small that the C library may
# keep their memory (glibc's threshold for mmap grows up to this), and for larger ones. See benchmarks/estimates.py.
HEAP_BLOCK, GAPS, LARGE_GAPS = 2**25, 1.75, 1.2
# Rounds are judged in stacks of this size, so that memory stays bounded. It does not change their numbers.
STACK_SIZE = 50
# The samples of a trial, and the most that the vectors of its round may take. Beyond that, and where a layer fails, as
# many tensors of each width are counted as linear layers and activations keep, or make on the way.
TRIAL_SAMPLES, TRIAL_BYTES, USUAL_TENSORS = 16, 2**27, 1.5


@dataclass(frozen=True)
class Memory:
    """An estimate, in bytes.

    Attributes:
        vectors: parameters, gradients and the optimizer's state.
        activations: a block of samples with its noise and outputs, and what the layers keep and pass on in training or
            evaluation, or what comes and goes when they only keep it; whichever is more.
        samples: inputs and targets, and their order in an epoch.
        checkpoint: copies of all that training changes, while they become the content of a file.
        ends: what is there before or after training: samples while they are drawn, rounds while they are judged.
    """

    vectors: int
    activations: int
    samples: int
    checkpoint: int
    ends: int

    def __mul__(self, times: int) -> "Memory":
        return Memory(*(times * value for value in astuple(self)))

    @property
    def training(self) -> int:
        """The most at a time while steps are taken."""
        return self.vectors + self.samples + self.activations

    @property
    def total(self) -> int:
        """The most at a time: in a step or, when layers only keep about half of their activations, beside steps."""
        besides = max(self.checkpoint, self.ends)
        return max(self.training, self.vectors + self.samples + self.activations // 2 + besides)

    def on(self, device: str) -> int:
        """Return how much of it lies on the device that trains, given its name: a GPU only takes steps."""
        return self.total if device == "cpu" else self.training

    def beside(self, device: str) -> int:
        """Return what it takes of the CPU's memory, where another device trains: to begin with, or beside steps."""
        return 0 if device == "cpu" else max(self.vectors + self.samples, self.checkpoint, self.ends)


@dataclass(frozen=True)
class Activations:
    """The most that there is at a time of what is computed of one sample of one round, in bytes.

    Attributes:
        training: during a step, with what the layers keep.
        judging: during an evaluation, likewise.
        measuring: while outputs are judged that are there already.
    """

    training: float
    judging: float
    measuring: float

    @classmethod
    def of(cls, task: Task) -> "Activations":
        """Count on a few samples, with a network of one round."""
        usual = USUAL_TENSORS * task.dtype.itemsize
        of_all = usual * sum(task.network.widths)
        uncounted = cls(of_all, of_all, usual * task.network.widths[-1])
        if vector_bytes(task) > TRIAL_BYTES:
            return uncounted
        try:
            return cls._counted(task)
        except (RuntimeError, GraphError):  # of a layer, which is told when it is asked for what it declared
            return uncounted

    @classmethod
    @single_thread()
    @torch.inference_mode()
    def _counted(cls, task: Task) -> "Activations":
        network = connect(task.config, task.dataset.columns, task.dataset.fitted)
        loss, judge = task.loss, replace(task, network=network).judge
        network.allocate(1, task.dtype)
        network.draw_noise(TRIAL_SAMPLES, [torch.Generator()])
        x, target = (torch.zeros(1, network.widths[end], TRIAL_SAMPLES, dtype=task.dtype) for end in (0, -1))

        def train() -> None:
            network.train()
            output = network.forward(x)
            network.backward_parameters(loss.backward(output, network.preprocessing.scale_targets(target)))

        def evaluate() -> None:
            network.train(False)
            judge.sums(network.forward(x), target)

        return cls(*(_peak(work) / TRIAL_SAMPLES for work in (train, evaluate, lambda: judge.sums(target, target))))


def _peak(work: Callable[[], object]) -> int:
    """Return the most bytes of new tensors that there are at a time while some work is done, twice."""
    with LiveTensors() as live:
        work()
        work()  # what was kept of the first time is there until it is replaced
    return int(live.peak)


class LiveTensors(DispatchMode):  # type: ignore[no-untyped-call]
    """A context that counts the bytes of the tensors that are made within it, as long as they live.

    Attributes:
        peak: the most that there were at a time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak, self._now = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {each.untyped_storage() for each in tensors([args, kwargs])}
        for storage in {each.untyped_storage() for each in tensors(result)} - given:
            self._now += storage.nbytes()
            finalize(storage, self._forget, storage.nbytes())
        self.peak = max(self.peak, self._now)
        return result

    def _forget(self, size: int) -> None:
        self._now -= size


class Footprint:
    """What stacks of a task's rounds take, estimated without making one.

    Args:
        task: what they train.
        is_compiled: whether compiled steps train them, which take one round after the other.
        device: the name of the device that they are on.
    """

    def __init__(self, task: Task, *, is_compiled: bool = False, device: str = "cpu"):
        self._task, self._is_compiled, self._is_on_gpu = task, is_compiled, device != "cpu"
        self._activations = Activations.of(task)

    def of(self, rounds: int) -> Memory:
        """Return what a stack of so many rounds takes."""
        # A compiled step works on a copy of one round.
        return Memory(
            vectors=(rounds + self._is_compiled) * vector_bytes(self._task),
            activations=self._of_block(rounds) + self._of_activations(rounds),
            samples=self._of_samples(rounds),
            checkpoint=self._of_state(rounds),
            ends=max(self._judging(rounds), self._drawing(rounds)),
        )

    def _of_activations(self, rounds: int) -> int:
        task, size, block = self._task, self._task.dtype.itemsize, _block(self._task)
        trained = min(task.config.training.batch_size, task.sizes["train"])
        training, judging = self._activations.training * trained, self._activations.judging * _judged(task)
        # Noise is drawn for each round, and joined, while the last one is there. Like the judging of the outputs, that
        # is when the layers only keep about half of their activations.
        noise, measuring = 2 * block * max(_noises(task), default=0) * size, block * self._activations.measuring
        largest = rounds * max(task.network.widths) * max(trained, _judged(task)) * size
        if self._is_compiled:
            return _with_gaps(training + rounds * noise, largest)
        # What a captured step takes is its own, and so is what it took when it was done before it was captured.
        most = 2 * training + judging if self._is_on_gpu else max(training, judging)
        return _with_gaps(rounds * max(most, most / 2 + max(noise, measuring)), largest)

    def _of_block(self, rounds: int) -> int:
        """Return what is gathered at once, with its noise and outputs."""
        task, size, block = self._task, self._task.dtype.itemsize, _block(self._task)
        inputs, outputs = task.network.widths[0], task.network.widths[-1]
        of_sample = sum(_noises(task)) * size + task.dataset.is_shared * torch.int64.itemsize  # its place
        if not self._is_compiled:
            # A block is gathered while the last one is there.
            blocks = 2 if block < task.sizes["train"] else 1
            of_sample += (blocks * (inputs + outputs) + outputs) * size
        return _with_gaps(rounds * block * of_sample, rounds * block * max(inputs, outputs, *_noises(task)) * size)

    def _of_samples(self, rounds: int) -> int:
        # On a GPU, the order as it came, its places among the samples, and where a captured step finds them.
        orders = 3 if self._is_on_gpu else 1
        return self._drawn(rounds) + orders * rounds * self._task.sizes["train"] * torch.int64.itemsize

    def _drawn(self, rounds: int) -> int:
        """Return what the samples take, as the network takes them."""
        task, total = self._task, sum(self._task.sizes.values())
        of_one = total * (task.network.widths[0] + task.network.widths[-1]) * task.dtype.itemsize
        own = rounds if task.config.data_seed == "round" else 1
        return of_one + own * total * torch.int64.itemsize if task.dataset.is_shared else own * of_one

    def _drawing(self, rounds: int) -> int:
        """Return what samples take while they are drawn for each round, in double precision, and joined."""
        task = self._task
        own = rounds if task.config.data_seed == "round" else 1
        in_double = own * sum(task.sizes.values()) * task.network.widths[0] * torch.float64.itemsize
        return self._drawn(rounds) + (0 if task.dataset.is_shared else in_double)

    def _of_state(self, rounds: int) -> int:
        """Return what the copies of a checkpoint take."""
        task = self._task
        working = _working_vectors(task) * task.network.parameter_count() * task.dtype.itemsize
        return CHECKPOINT_COPIES * rounds * (vector_bytes(task) - working)

    def _judging(self, rounds: int) -> int:
        """Return what trained rounds take while they are judged: each apart, all together, and a network of some."""
        task, judged = self._task, min(rounds, STACK_SIZE)
        network = 2 * task.network.parameter_count() * task.dtype.itemsize
        activations = ceil(self._activations.judging * _judged(task))
        return 2 * result_bytes(task, rounds) + judged * (network + activations) + self._drawing(judged)


def _noises(task: Task) -> list[int]:
    """Return how many random numbers of each kind a sample takes in training."""
    return [noise.features for layer in task.network.layers for noise in layer.noises()]


def _judged(task: Task) -> int:
    """Return how many samples are judged at once."""
    return min(EVALUATION_SIZE, max(size for name, size in task.sizes.items() if name != "train"))


def _with_gaps(size: float, largest: int) -> int:
    """Return what tensors of this size together take, given the bytes of the largest of them."""
    return ceil(size * (GAPS if largest < HEAP_BLOCK else LARGE_GAPS))


def _working_vectors(task: Task) -> int:
    """Return how many of the vectors that training takes are in no checkpoint: the gradients, and their sum."""
    return 1 + (task.config.training.accumulate > 1)


def _block(task: Task) -> int:
    """Return how many samples are gathered at once, as `Samples.block_size` does."""
    options, train = task.config.training, task.sizes["train"]
    step = options.batch_size * options.accumulate
    numbers = task.network.widths[0] + task.network.widths[-1]
    return min(train, max(1, Samples.BLOCK_NUMBERS // (numbers * step)) * step)


def result_bytes(task: Task, rounds: int) -> int:
    """Return what the weights of so many trained rounds take, the last and the best ones."""
    return rounds * task.network.parameter_count() * (1 + ("validation" in task.sizes)) * task.dtype.itemsize


def vector_bytes(task: Task) -> int:
    """Return the bytes of one round's parameters, gradients, optimizer state, and best parameters if they are kept."""
    vectors = 1 + _working_vectors(task) + len(task.optimizer.state_names) + ("validation" in task.sizes)
    return task.network.parameter_count() * vectors * task.dtype.itemsize


def check_evaluation(task: Task, rounds: int) -> None:
    """Make sure that samples and activations of so many rounds fit into memory.

    Raises:
        InputError: they do not.
    """
    needed = Footprint(task).of(rounds).total
    if needed > physical_memory():
        raise task.config.error(
            ("data",),
            f"this would take about {readable(needed)} of memory, but this machine has {readable(physical_memory())}",
        )
