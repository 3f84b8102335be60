"""Training on a GPU with captured steps: the operations of a step are launched one by one once, then all as one.

A step of a small network is some forty operations, each of which is done sooner than the next is launched. A CUDA graph
has them launched together, the same operations on the same memory each time. So all that differs from one step to the
next has to lie in that memory: which samples it takes, their noise, and the optimizer's numbers.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from math import ceil
from typing import Any

import torch
from torch import Tensor

from ..compiled.dispatch import DispatchMode, tensors
from ..config.schema import Config
from ..data.dataset import Dataset
from ..errors import CompilationError, GraphError, TrainingError, is_lack_of_memory
from ..nn.transfer import to_device
from ..randomness import generator
from .build import Task, build
from .exactness import single_thread
from .measures import Measures
from .samples import Samples
from .scalars import ScalarsInMemory, stand_ins
from .step import Step
from .trainer import Trainer

# Does some work, and returns what repeats it: the same operations on the same memory.
Capture = Callable[[Callable[[], None]], Callable[[], None]]

# What operations are called that give the CPU numbers from the device, or results whose sizes depend on numbers.
_ASKING = ("_local_scalar_dense", "equal", "nonzero", "masked_select")
_INDEXING = ("index", "index_put")


class GraphStep:
    """The training step of a config, as a GPU can capture it.

    Whether one can is found out without a GPU, by looking at the operations of a step.

    Args:
        config: what is trained.
        dataset: its dataset, if it is there already.

    Attributes:
        stand_ins: the numbers that stand for the optimizer's scalars when the step is captured.

    Raises:
        CompilationError: the step needs the CPU while it goes on, or its optimizer does what cannot be captured.
    """

    @single_thread()
    def __init__(self, config: Config, dataset: Dataset | None = None):
        task = build(config, dataset)
        task.network.allocate(1, task.dtype)
        task.optimizer.start(task.network.values)
        self.stand_ins = stand_ins(task)
        try:
            _try_out(task, self.stand_ins)
        except (RuntimeError, GraphError) as error:
            raise CompilationError(f"a GPU could not go on by itself: {error}") from error

    def __str__(self) -> str:
        """Say who takes the steps."""
        return "PyTorch's operations, captured in a CUDA graph"


def _try_out(task: Task, numbers: tuple[float, ...]) -> None:
    """Take steps of all widths that there are in an epoch, with the CPU in the place of the GPU.

    In the place of the CPU is the meta device, whose tensors have no numbers: what is not made on the device that it
    has to do with turns up there. (In inference mode, PyTorch would show `item` and `where`, not what these do.)
    """
    step, network, options = Step(task), task.network, task.config.training
    trained = min(task.sizes["train"], options.batches(task.sizes["train"]) * options.batch_size)
    inputs, targets = (torch.zeros(1, network.widths[end], 1, dtype=task.dtype) for end in (0, -1))
    network.train()
    for width in {min(step.size, trained), trained % step.size or step.size}:
        network.draw_noise(width, [generator(0, "noise", 1)])
        order = torch.zeros(1, width, dtype=torch.int64)
        fed = SelfFedStep(step, Samples(inputs, targets), numbers, order)
        fed.load(order, step.scalars(task.optimizer.lr, width))
        with torch.device("meta"), OnDevice(network.device):
            fed.take(width)


class OnDevice(DispatchMode):  # type: ignore[no-untyped-call]
    """A context in which everything has to happen on a device, without asking it for numbers.

    Raises:
        CompilationError: within, an operation has to do with another device, or asks.
    """

    def __init__(self, device: torch.device):
        super().__init__()
        self._device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__.removesuffix("_")
        given = list(tensors((args, kwargs or {})))
        if name in _ASKING or (name in _INDEXING and any(each.dtype == torch.bool for each in given[1:])):
            raise CompilationError(f"{name} asks for numbers on the way")
        result = func(*args, **(kwargs or {}))
        if any(each.device != self._device for each in [*given, *tensors(result)]):
            raise CompilationError(f"{name} has to do with a tensor that is not on the device")
        return result


class SelfFedStep:
    """A step that finds in the memory of a device all that differs from the last one, and moves on by itself.

    Args:
        step: the step; its network is on the device, and has drawn the noise for `order`.
        samples: the training samples, there too.
        numbers: those that stand for the optimizer's scalars.
        order: the places of the first samples that are to be loaded, `[rounds, samples]`: as many as ever are.

    Attributes:
        outputs: what the network put out for the samples that were loaded, `[rounds, outputs, samples]`.
    """

    def __init__(self, step: Step, samples: Samples, numbers: tuple[float, ...], order: Tensor):
        network, (rounds, count) = step.network, order.shape
        like = network.values
        self._step, self._samples, self._numbers = step, samples, numbers
        self._order = torch.empty_like(order, memory_format=torch.contiguous_format)
        self._noises = [torch.empty_like(drawn) for drawn in network.drawn_noise()]
        self._scalars = like.new_empty(ceil(count / step.size), len(numbers))
        self.outputs = like.new_empty(rounds, network.widths[-1], count)
        # The next step's first sample, and which step it is; a step adds `advance` to them.
        self._place = torch.zeros(2, dtype=torch.int64, device=network.device)
        self._advance = torch.tensor([step.size, 1], device=network.device)
        self._within = torch.arange(step.size, device=network.device)
        self._buffers = [(buffer, buffer.value) for _, buffer in network.named_buffers()]

    def load(self, order: Tensor, scalars: Tensor) -> None:
        """Get ready for steps on samples, whose noise the network has drawn.

        Args:
            order: their places, `[rounds, samples]`.
            scalars: the optimizer's scalars of each step, `[steps, scalars]`, on the CPU.
        """
        for memory, values in zip(
            [self._order, *self._noises], [order, *self._step.network.drawn_noise()], strict=True
        ):
            memory[..., : values.shape[-1]].copy_(values)
        self._scalars[: len(scalars)].copy_(to_device(scalars, self._scalars.device))
        self._place.zero_()

    def take(self, width: int) -> None:
        """Take the next step, on so many of the samples."""
        network, optimizer = self._step.network, self._step.optimizer
        columns = self._place[:1] + self._within[:width]
        x, target = self._samples.take(self._order.index_select(1, columns))
        network.use_noise([drawn.index_select(2, columns) for drawn in self._noises])
        output = torch.empty_like(target)
        self._step.differentiate(x, target, output, 0)
        self.outputs.index_copy_(2, columns, output)
        scalars = self._scalars.index_select(0, self._place[1:]).squeeze(0).unbind()
        with ScalarsInMemory(self._numbers, scalars):
            optimizer.update(network.values, network.gradients, self._numbers)
        self._put_back_buffers()
        self._place.add_(self._advance)

    def _put_back_buffers(self) -> None:
        """Write what layers have put in the place of their buffers to where these lay."""
        for buffer, memory in self._buffers:
            if buffer.value is not memory:
                buffer.value = memory.copy_(buffer.value)


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream to capture on: one, as libraries keep memory for each stream that they have met."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class CudaGraphs:
    """Captures work on a GPU in CUDA graphs, all of which share their memory.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device):
        self._stream = _side_stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        """Do some work, and return what repeats it.

        Doing it first, on the stream that it is then captured on, lets libraries take the memory that they need.

        Raises:
            TrainingError: it cannot be captured.
        """
        stream = torch.cuda.current_stream()
        self._stream.wait_stream(stream)
        with torch.cuda.stream(self._stream):
            work()
        stream.wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may go on with what they are at, such as drawing the next order into pinned memory. (A
            # capture that fails would leave its stream the current one.)
            with (
                torch.cuda.stream(self._stream),
                torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"),
            ):
                work()
        except (RuntimeError, GraphError) as error:
            # What ends the capture complains, too, where something has failed in it; a layer's error names the layer.
            before = error.__context__
            is_second = isinstance(before, RuntimeError | GraphError) and not isinstance(error, GraphError)
            first = before if before and is_second else error
            if is_lack_of_memory(first):
                raise first from None
            problem = f"the steps cannot be captured in a CUDA graph: {str(first).splitlines()[0]}"
            raise TrainingError(f"{problem}; set training.compiled to never") from error
        return graph.replay


class GraphedTrainer(Trainer):
    """The same training, by steps that are captured once, and again when the stack is rebuilt.

    The first step of each width is PyTorch's operations one by one, as `Trainer` has them; the others repeat it.

    Args:
        task: what to train.
        seeds: the seeds of the rounds, all different.
        graph: the step of the task's config.
        device: the name of the GPU, as `find_device` takes it.

    Raises:
        InputError: the GPU is not there.
    """

    def __init__(self, task: Task, seeds: Sequence[int], graph: GraphStep, device: str = "cuda"):
        super().__init__(task, seeds, device)
        self._numbers = graph.stand_ins
        self._forget()

    def _capturing(self) -> Capture:
        """Return what captures the steps of a stack."""
        return CudaGraphs(self.device)

    def _rebuild(self, rounds: list[int]) -> None:
        super()._rebuild(rounds)
        self._forget()

    def _forget(self) -> None:
        """Drop what was captured: the memory of the rounds has moved."""
        self._fed: SelfFedStep | None = None
        self._captured: dict[int, Callable[[], None]] = {}

    @single_thread()
    @torch.inference_mode()
    def _train(self, lr: float) -> dict[str, Tensor]:
        samples, size = self.samples["train"], self.step.size
        measures, noise = Measures(len(self.stack), self.judge.names, self.device), self._noise_generators()
        self.network.train()
        order = samples.places(self.order(self.epoch))
        for part in torch.split(order, samples.block_size(size), dim=1):
            count = part.shape[1]
            self.network.draw_noise(count, noise)
            fed = self._feed(part)
            fed.load(part, self.step.scalars(lr, count))
            for first in range(0, count, size):
                self._take(fed, min(size, count - first))
            measures.add(count, self.judge.sums(fed.outputs[:, :, :count], samples.take_targets(part)))
        return measures.on_device("train")

    def _feed(self, order: Tensor) -> SelfFedStep:
        """Return the step of the stack as it is, with memory for samples like the first ones of an epoch."""
        if self._fed is None:
            self._fed = SelfFedStep(self.step, self.samples["train"], self._numbers, order)
            self._capture = self._capturing()
        return self._fed

    def _take(self, fed: SelfFedStep, width: int) -> None:
        if width in self._captured:
            self._captured[width]()
        else:
            self._captured[width] = self._capture(partial(fed.take, width))
