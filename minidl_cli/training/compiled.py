"""Training with compiled steps: what the layers, the loss and the optimizer do to one round, repeated by C."""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from math import ceil, prod
from typing import Any

import torch
from torch import Tensor

from ..compiled.library import find_compiler
from ..compiled.program import ALIGNMENT, Pass, Piece, Program
from ..compiled.recording import Recording
from ..compiled.translation import C_TYPES, LARGEST_PRODUCT, Translator
from ..config.schema import Config
from ..data.dataset import Dataset
from ..errors import CompilationError
from ..randomness import generator
from ..runs.metrics import Numbers
from .build import Task, build
from .exactness import single_thread
from .measures import Measures
from .memory import vector_bytes
from .scalars import check_stand_ins, stand_ins
from .step import Step
from .trainer import Trainer

# The samples of one batch of an evaluation: their activations stay in the processor's first cache.
EVALUATION_WIDTH = 64
# The bytes of a round that leave no doubt of where its time goes: into large products.
LARGEST_ROUND = 2**28

# What is told of compiled steps starts with this.
COMPILED = "compiled by"


class CompiledStep:
    """The training step and the evaluation of a config, for one round after the other, in C.

    Args:
        config: what is trained.
        dataset: its dataset, if it is there already.

    Attributes:
        memory: the bytes that the programs need to work in.
        constants: the numbers in them, `[constants]`.

    Raises:
        CompilationError: there is no compiler, or something that the config asks for has no translation.
    """

    @single_thread()
    def __init__(self, config: Config, dataset: Dataset | None = None):
        self._compiler = find_compiler()
        task = build(config, dataset)
        self.dtype = task.dtype
        self._check_size(task)
        task.network.allocate(1, task.dtype)
        task.optimizer.start(task.network.values)
        numbers = stand_ins(task)
        translator = Translator(self._compiler.machine, task.dtype, numbers)
        sizes, step, options = task.sizes, Step(task), task.config.training
        trained = min(sizes["train"], options.batches(sizes["train"]) * options.batch_size)
        judged = [size for name, size in sizes.items() if name != "train"]
        steps = [_record_step(task, step, width, numbers) for width in _widths([trained], step.size)]
        evaluations = [_record_evaluation(task, width, numbers) for width in _widths(judged, EVALUATION_WIDTH)]
        pieces = list(_pieces(task))
        programs = [Program("train", translator, steps, pieces), Program("judge", translator, evaluations, pieces)]
        self.memory = max(program.memory for program in programs)
        self.constants = torch.tensor(translator.constants, dtype=task.dtype)
        self._source = "\n".join([*translator.functions(), *(program.source for program in programs)])

    def __str__(self) -> str:
        """Say who takes the steps."""
        return f"{COMPILED} {self._compiler.version}"

    def _check_size(self, task: Task) -> None:
        """Refuse what is too large before it takes memory to record it."""
        widest = max(prod(parameter.shape) for _, parameter in task.network.named_parameters())
        batch = min(task.config.training.batch_size, task.sizes["train"])
        too_long = widest * batch > LARGEST_PRODUCT[self._compiler.machine.vector_bytes]
        if too_long or vector_bytes(task) > LARGEST_ROUND:
            raise CompilationError("networks or batches this large gain nothing by compiling")

    @cached_property
    def library(self) -> ctypes.CDLL:
        """The programs `train` and `judge`, compiled when they are first asked for.

        Raises:
            CompilationError: the compiler fails.
        """
        return self._compiler.load(self._source, C_TYPES[self.dtype])


def _widths(sizes: Sequence[int], whole: int) -> list[int]:
    """Return the widths of the batches that parts of these sizes are divided into, the whole one first."""
    whole = min(whole, max(sizes))
    return [whole, *sorted({size % whole for size in sizes} - {0})]


def _pieces(task: Task) -> Iterator[Piece]:
    """Yield the pieces of a round's state: of the parameters, of the optimizer's vectors, and the buffers."""
    vectors = 1 + len(task.optimizer.state)
    for vector in range(vectors):
        begin = 0
        for _, parameter in task.network.named_parameters():
            yield Piece(vector, begin, prod(parameter.shape))
            begin += prod(parameter.shape)
    for place, (_, buffer) in enumerate(task.network.named_buffers()):
        yield Piece(vectors + place, 0, prod(buffer.shape))


def _own_buffers(task: Task) -> None:
    """Give every buffer memory of its own, also where a layer has made it a part of something larger."""
    for _, buffer in task.network.named_buffers():
        buffer.value = buffer.value.clone(memory_format=torch.contiguous_format)


def _state(task: Task) -> list[Tensor]:
    buffers = [buffer.value for _, buffer in task.network.named_buffers()]
    return [task.network.values, *task.optimizer.state.values(), *buffers]


@torch.inference_mode()
def _record_step(task: Task, step: Step, width: int, scalars: tuple[float, ...]) -> Pass:
    network = task.network
    _own_buffers(task)
    network.train()
    network.draw_noise(width, [generator(0, "noise", 1)])
    x, target = _batch(task, width)
    output = torch.empty_like(target)
    recording = Recording()
    before = [recording.view(tensor) for tensor in _state(task)]
    inputs = [recording.view(tensor) for tensor in (x, target, *network.drawn_noise())]
    with recording:
        step.differentiate(x, target, output, 0)
        sums = task.judge.sums(output, target)
    check_stand_ins(recording, scalars)
    with recording:
        task.optimizer.update(network.values, network.gradients, scalars)
    after = [recording.view(tensor) for tensor in _state(task)]
    return Pass(recording, width, inputs, before, after, [recording.view(sums[name]) for name in task.judge.names])


@torch.inference_mode()
def _record_evaluation(task: Task, width: int, numbers: Sequence[float]) -> Pass:
    _own_buffers(task)
    task.network.train(False)
    x, target = _batch(task, width)
    recording = Recording()
    state = [recording.view(tensor) for tensor in _state(task)]
    inputs = [recording.view(tensor) for tensor in (x, target)]
    with recording:
        sums = task.judge.sums(task.network.forward(x), target)
    check_stand_ins(recording, numbers)
    return Pass(recording, width, inputs, state, state, [recording.view(sums[name]) for name in task.judge.names])


def _batch(task: Task, width: int) -> list[Tensor]:
    """Return inputs and targets for one round, of whatever values."""
    return [torch.zeros(1, task.network.widths[end], width, dtype=task.dtype) for end in (0, -1)]


class _Samples(ctypes.Structure):
    """`struct samples` of prelude.c."""

    _fields_ = (
        ("numbers", ctypes.c_void_p),
        ("order", ctypes.c_void_p),
        ("round", ctypes.c_int64),
        ("row", ctypes.c_int64),
        ("order_round", ctypes.c_int64),
    )

    @classmethod
    def of(cls, numbers: Tensor, order: Tensor | None = None) -> "_Samples":
        """Describe numbers `[1 or rounds, rows, samples]`, taken in an order `[1 or rounds, n]`, or as they stand."""
        places = (None, 0) if order is None else (order.data_ptr(), order.stride(0) * (len(order) > 1))
        return cls(numbers.data_ptr(), places[0], numbers.stride(0) * (len(numbers) > 1), numbers.stride(1), places[1])


class CompiledTrainer(Trainer):
    """The same training, by compiled steps.

    The numbers differ from those of PyTorch's operations in their last digits. What is stacked makes no difference at
    all: each round goes through the same instructions on its own.

    Args:
        task: what to train.
        seeds: the seeds of the rounds, all different.
        compiled: the compiled step of the task's config.
    """

    def __init__(self, task: Task, seeds: Sequence[int], compiled: CompiledStep):
        super().__init__(task, seeds)
        self._compiled = compiled
        # Zeros: what pads the blocks is computed with, too, and denormal numbers among it would take long.
        self._memory = torch.zeros(compiled.memory + ALIGNMENT, dtype=torch.uint8)
        self._bind()

    def _bind(self) -> None:
        """Look up where the rounds' state lies."""
        rounds, pointers = len(self.stack), []
        for vector in (self.network.values, *self.optimizer.state.values()):
            pointer = vector.data_ptr()
            for _, parameter in self.network.named_parameters():
                pointers.append(pointer)
                pointer += rounds * prod(parameter.shape) * vector.itemsize
        pointers += [buffer.value.data_ptr() for _, buffer in self.network.named_buffers()]
        self._pieces = (ctypes.c_void_p * len(pointers))(*pointers)

    def _rebuild(self, rounds: list[int]) -> None:
        super()._rebuild(rounds)
        self._bind()

    def _train(self, lr: float) -> dict[str, Numbers]:
        samples, measures = self.samples["train"], Measures(len(self.stack), self.judge.names)
        noise = self._noise_generators()
        for part in torch.split(self.order(self.epoch), samples.block_size(self.step.size), dim=1):
            order, count = samples.places(part), part.shape[1]
            self.network.draw_noise(count, noise)
            drawn = [_Samples.of(numbers) for numbers in self.network.drawn_noise()]
            inputs = [_Samples.of(samples.inputs, order), _Samples.of(samples.targets, order), *drawn]
            measures.add(count, self._call(self._compiled.library.train, inputs, count, self.step.scalars(lr, count)))
        return measures.means("train")

    def _measure(self) -> dict[str, Numbers]:
        metrics: dict[str, Numbers] = {}
        for name, part in self.samples.items():
            if name != "train":
                measures = Measures(len(self.stack), self.judge.names)
                inputs = [_Samples.of(part.inputs, part.rows), _Samples.of(part.targets, part.rows)]
                measures.add(len(part), self._call(self._compiled.library.judge, inputs, len(part), torch.empty(0)))
                metrics |= measures.means(name)
        return metrics

    def _call(
        self, program: Callable[..., Any], inputs: Sequence[_Samples], count: int, scalars: Tensor
    ) -> dict[str, Tensor]:
        """Call a program on so many samples, and return each measure, added up over them, `[rounds]`."""
        rounds = len(self.stack)
        sums = torch.zeros(rounds, len(self.judge.names), dtype=torch.float64)
        program(
            ctypes.c_int64(rounds),
            self._pieces,
            (_Samples * len(inputs))(*inputs),
            ctypes.c_int64(count),
            ctypes.c_void_p(self._compiled.constants.data_ptr()),
            ctypes.c_void_p(scalars.data_ptr()),
            ctypes.c_void_p(sums.data_ptr()),
            ctypes.c_void_p(ceil(self._memory.data_ptr() / ALIGNMENT) * ALIGNMENT),
        )
        return dict(zip(self.judge.names, sums.T, strict=True))
