"""Training with compiled steps: what layers, loss and optimizer do to one round, recorded and translated to C."""

import ctypes
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from ..compiled.library import find_compiler
from ..compiled.program import Pass, Piece, Program
from ..compiled.recording import Recording
from ..compiled.translation import C_TYPES, Translator
from ..config.schema import Config
from ..randomness import generator
from ..runs.metrics import Numbers
from .build import Task, build
from .measures import MEASURES, Measures
from .step import Step
from .trainer import Trainer

# The samples of one batch of an evaluation.
EVALUATION_SIZE = 64


class CompiledStep:
    """The compiled training step and evaluation of a config.

    Args:
        config: what is trained.

    Raises:
        NotCompiled: there is no compiler, or something that the config asks for has no translation.
    """

    def __init__(self, config: Config):
        compiler = find_compiler()
        self.compiler = compiler.version
        task = build(config)
        self.dtype, step = task.dtype, Step(task)
        task.network.allocate(1, task.dtype)
        task.optimizer.start(task.network.values)
        # Numbers that nothing else is.
        stand_ins = [0.5772156649015329 + place for place, _ in enumerate(task.optimizer.scalars(1.0, 1))]
        translator = Translator(compiler.machine, task.dtype, stand_ins)
        sizes, options = task.sizes, task.config.training
        samples = min(options.batches(sizes["train"]) * options.batch_size, sizes["train"])
        pieces = list(_pieces(task))
        training = [_record_step(step, task, width, stand_ins) for width in _widths([samples], step.size)]
        tested = [size for name, size in sizes.items() if name != "train"]
        judging = [_record_evaluation(task, width) for width in _widths(tested, EVALUATION_SIZE)]
        programs = [Program("train", translator, training, pieces), Program("judge", translator, judging, pieces)]
        self.memory = max(program.memory for program in programs)
        source = "\n".join([*translator.functions(), *(program.source for program in programs)])
        self.library = compiler.load(source, C_TYPES[task.dtype])
        self.constants = torch.tensor(translator.constants, dtype=task.dtype)


def _widths(sizes: Sequence[int], whole: int) -> list[int]:
    """Return the widths of the batches of parts of these sizes, the whole ones first."""
    whole = min(whole, max(sizes))
    rests = {size % whole for size in sizes} - {0}
    return [whole, *sorted(rests)]


def _pieces(task: Task) -> Iterator[Piece]:
    """Yield the pieces of a round's state: parameters, the optimizer's state in the same layout, and buffers."""
    vectors = 1 + len(task.optimizer.state)
    for vector in range(vectors):
        begin = 0
        for _, parameter in task.network.named_parameters():
            yield Piece(vector, begin, prod(parameter.shape))
            begin += prod(parameter.shape)
    for place, (_, buffer) in enumerate(task.network.named_buffers()):
        yield Piece(vectors + place, 0, prod(buffer.shape))


def _state(task: Task) -> list[Tensor]:
    buffers = [buffer.value for _, buffer in task.network.named_buffers()]
    return [task.network.values, *task.optimizer.state.values(), *buffers]


@torch.inference_mode()
def _record_step(step: Step, task: Task, width: int, scalars: Sequence[float]) -> Pass:
    network = task.network
    network.train()
    network.draw_noise(width, [generator(0, "noise", 1)])
    x, target = _batch(task, width)
    output = torch.empty_like(target)
    recording = Recording()
    before = [recording.view(tensor) for tensor in _state(task)]
    inputs = [recording.view(tensor) for tensor in (x, target, *network.drawn_noise())]
    with recording:
        step.differentiate(x, target, output, 0)
        task.optimizer.update(network.values, network.gradients, tuple(scalars))
        sums = task.judge.sums(output, target)
    after = [recording.view(tensor) for tensor in _state(task)]
    return Pass(recording, width, inputs, before, after, [recording.view(sums[name]) for name in MEASURES])


@torch.inference_mode()
def _record_evaluation(task: Task, width: int) -> Pass:
    task.network.train(False)
    x, target = _batch(task, width)
    recording = Recording()
    state = [recording.view(tensor) for tensor in _state(task)]
    inputs = [recording.view(tensor) for tensor in (x, target)]
    with recording:
        sums = task.judge.sums(task.network.forward(x), target)
    return Pass(recording, width, inputs, state, state, [recording.view(sums[name]) for name in MEASURES])


def _batch(task: Task, width: int) -> tuple[Tensor, Tensor]:
    """Return inputs and targets of any values."""
    widths = task.network.widths
    inputs, targets = (torch.zeros(1, features, width, dtype=task.dtype) for features in (widths[0], widths[-1]))
    return inputs, targets


class _Samples(ctypes.Structure):
    """`struct samples` of prelude.c."""

    _fields_ = [
        ("numbers", ctypes.c_void_p),
        ("order", ctypes.c_void_p),
        ("round", ctypes.c_int64),
        ("row", ctypes.c_int64),
        ("order_round", ctypes.c_int64),
    ]

    @classmethod
    def of(cls, numbers: Tensor, order: Tensor | None = None) -> "_Samples":
        """Describe numbers `[1 or rounds, rows, samples]`, and the order in which they are taken, `[rounds, n]`."""
        rounds, rows, samples = numbers.shape
        places = (None, 0) if order is None else (order.data_ptr(), order.stride(0))
        return cls(numbers.data_ptr(), places[0], rows * samples if rounds > 1 else 0, samples, places[1])


class CompiledTrainer(Trainer):
    """The same training by compiled steps.

    Numbers differ from those of PyTorch's operations in the last digits, but no longer by what is stacked: each round
    goes through the same instructions on its own.

    Args:
        task: what to train.
        seeds: the seeds of the rounds, all different.
        compiled: its compiled step.
    """

    def __init__(self, task: Task, seeds: Sequence[int], compiled: CompiledStep):
        super().__init__(task, seeds)
        self.compiled, self.task = compiled, task
        self._memory = torch.zeros(compiled.memory + 64, dtype=torch.uint8)

    def _train(self, lr: float) -> dict[str, Numbers]:
        samples, size = self.samples["train"], self.step.size
        measures = Measures(len(self.stack))
        noise = [generator(seed, "noise", self.epoch) for seed in self.stack]
        for order in torch.split(self.order(self.epoch), samples.block_size(size), dim=1):
            count = order.shape[1]
            self.network.draw_noise(count, noise)
            drawn = [_Samples.of(numbers) for numbers in self.network.drawn_noise()]
            inputs = [_Samples.of(samples.inputs, order), _Samples.of(samples.targets, order), *drawn]
            measures.add(count, self._run(self.compiled.library.train, inputs, count, self._scalars(lr, count)))
        return measures.means("train")

    def _scalars(self, lr: float, samples: int) -> Tensor:
        """Count the steps of so many samples, and return the optimizer's scalars for them, `[steps, scalars]`."""
        steps = -(-samples // self.step.size)
        optimizer = self.optimizer
        optimizer.steps += steps
        first = optimizer.steps - steps + 1
        scalars = [optimizer.scalars(lr, step) for step in range(first, first + steps)]
        return torch.tensor(scalars, dtype=self.compiled.dtype)

    def _measure(self) -> dict[str, Numbers]:
        metrics: dict[str, Numbers] = {}
        for name, part in self.samples.items():
            if name != "train":
                measures = Measures(len(self.stack))
                inputs = [_Samples.of(part.inputs), _Samples.of(part.targets)]
                measures.add(len(part), self._run(self.compiled.library.judge, inputs, len(part), None))
                metrics |= measures.means(name)
        return metrics

    def _run(self, function: Any, inputs: Sequence[_Samples], count: int, scalars: Tensor | None) -> dict[str, Tensor]:
        """Call a compiled function on so many samples, and return the sums of the measures, each `[rounds]`."""
        rounds, item = len(self.stack), self.compiled.dtype.itemsize
        pointers = []
        for vector in (self.network.values, *self.optimizer.state.values()):
            place = vector.data_ptr()
            for _, parameter in self.network.named_parameters():
                pointers.append(place)
                place += rounds * prod(parameter.shape) * item
        pointers += [buffer.value.data_ptr() for _, buffer in self.network.named_buffers()]
        sums = torch.zeros(rounds, len(MEASURES), dtype=torch.float64)
        memory = -(-self._memory.data_ptr() // 64) * 64
        function(
            ctypes.c_int64(rounds),
            (ctypes.c_void_p * len(pointers))(*pointers),
            (_Samples * len(inputs))(*inputs),
            ctypes.c_int64(count),
            ctypes.c_void_p(self.compiled.constants.data_ptr()),
            ctypes.c_void_p(None if scalars is None else scalars.data_ptr()),
            ctypes.c_void_p(sums.data_ptr()),
            ctypes.c_void_p(memory),
        )
        return dict(zip(MEASURES, sums.T, strict=True))
