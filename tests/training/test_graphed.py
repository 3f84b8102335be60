import re
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from minidl_cli.errors import CompilationError, GraphError, InputError, TrainingError
from minidl_cli.nn.layers.tanh import Tanh
from minidl_cli.optim.sgd import SGD
from minidl_cli.training import graphed
from minidl_cli.training.build import build
from minidl_cli.training.graphed import CudaGraphs, GraphedTrainer, GraphStep, OnDevice
from minidl_cli.training.measures import fetch
from minidl_cli.training.scalars import ScalarsInMemory
from minidl_cli.training.step import Step
from minidl_cli.training.trainer import Trainer
from minidl_cli.training.trainers import Trainers
from tests.components import Case
from tests.training import test_tables
from tests.training.rounds import (
    COMPONENTS,
    DIVERGING,
    SHAPES,
    STOPPING,
    STOPPING_WITH_MORE_STATE,
    assert_same,
    operations,
    train,
    with_component,
)


class Tape(TorchDispatchMode):
    """Records operations with their tensors, and undoes what they did; playing it does them again, on the same memory.

    So it does what a CUDA graph does: whatever is decided, or computed by Python, is that of the recording.
    """

    @classmethod
    def _should_skip_dynamo(cls):
        return False

    def __init__(self):
        super().__init__()
        self.operations, self.before = [], {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for tensor in tensors([args, kwargs or {}]):
            memory = tensor.untyped_storage()
            self.before.setdefault(memory.data_ptr(), (memory, memory.clone()))
        result = func(*args, **(kwargs or {}))
        for tensor in tensors(result):
            self.before.setdefault(tensor.untyped_storage().data_ptr(), None)
        self.operations.append((func, args, kwargs or {}, result))
        return result

    def rewind(self):
        for memory, content in filter(None, self.before.values()):
            memory.copy_(content)

    def play(self):
        for func, args, kwargs, results in self.operations:
            for was, now in zip(tensors(results), tensors(func(*args, **kwargs)), strict=True):
                if was.untyped_storage().data_ptr() != now.untyped_storage().data_ptr():
                    was.copy_(now)


def tensors(values):
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, list | tuple):
        return [each for value in values for each in tensors(value)]
    return [values] if isinstance(values, torch.Tensor) else []


def record(work):
    """Do some work and return what repeats it, as `CudaGraphs` does: that runs the work twice, too."""
    for _ in range(2):
        with Tape() as tape:
            work()
        tape.rewind()
    tape.play()
    return tape.play


class Recorded(GraphedTrainer):
    """A trainer that repeats steps as CUDA graphs do, on the CPU."""

    def _capturing(self):
        return record


def recorded(config, seeds):
    return Recorded(build(config), seeds, GraphStep(config), "cpu")


class InMemory(Step):
    """A step whose optimizer takes its numbers from memory, which rounds some results in another way."""

    def update(self, lr):
        scalars = self.scalars(lr, self.size)[0].unbind()
        numbers = [0.73 + place for place in range(len(scalars))]
        with ScalarsInMemory(numbers, scalars):
            self.optimizer.update(self.network.values, self.network.gradients, tuple(numbers))


def one_by_one(config, seeds):
    """Return the trainer of operations one by one whose numbers are to be the same."""
    trainer = Trainer(task := build(config), seeds)
    trainer.step = InMemory(task)
    return trainer


def assert_repeats(config, seeds, **options):
    ours, theirs = train(config, seeds, recorded, **options), train(config, seeds, one_by_one)
    for seed in seeds:
        assert_same(ours[seed], theirs[seed])
    return ours


@pytest.mark.parametrize("shape", SHAPES)
def test_repeated_steps_are_those_taken_one_by_one(shape, small_config):
    assert_repeats(small_config(*SHAPES[shape]), [3, 0])


@pytest.mark.parametrize("case", [case for case in COMPONENTS if case.kind != "initializer"], ids=str)
def test_repeated_steps_of_every_component_are_those_taken_one_by_one(case: Case, small_config):
    assert_repeats(small_config(*with_component(case)), [0, 1])


@pytest.mark.parametrize("settings", [DIVERGING, STOPPING, STOPPING_WITH_MORE_STATE])
def test_steps_are_captured_anew_when_the_stack_is_rebuilt(settings, small_config):
    config, captured = small_config(*settings), 0

    class Counting(Recorded):
        def _capturing(self):
            nonlocal captured
            captured += 1
            return super()._capturing()

    ours = train(config, range(8), lambda config, seeds: Counting(build(config), seeds, GraphStep(config), "cpu"))
    theirs = train(config, range(8), one_by_one)
    assert captured > 1
    for seed, one in ours.items():
        assert_same(one, theirs[seed])


def test_going_on_from_a_checkpoint_gives_the_same(small_config):
    assert_repeats(small_config(*SHAPES["everything at once"], "training.epochs=5"), [2, 5], stops={2, 3})


def test_a_checkpoint_goes_on_with_other_steps(small_config):
    """That of a GPU on the CPU, and the other way round."""
    config = small_config("optimizer={adam: 0.01}", "training.dtype=float64", "training.epochs=4")
    makers = iter([recorded, operations, recorded, operations])
    mixed = train(config, [0, 1], lambda config, seeds: next(makers)(config, seeds), stops={1, 2, 3})
    alone = train(config, [0, 1])
    for seed, one in mixed.items():
        np.testing.assert_allclose(
            one.round.weights["0.weight"], alone[seed].round.weights["0.weight"], rtol=1e-10, atol=1e-12
        )


@pytest.mark.parametrize("case", [case for case in COMPONENTS if case.kind == "optimizer"], ids=str)
def test_optimizers_do_the_same_with_numbers_in_memory(case: Case):
    numbers = torch.Generator().manual_seed(0)
    ours, theirs = case.make(), case.make()
    values = torch.randn(50, generator=numbers, dtype=torch.float64)
    mine, others = values.clone(), values.clone()
    ours.start(mine)
    theirs.start(others)
    for step in range(1, 6):
        gradients = torch.randn(50, generator=numbers, dtype=torch.float64)
        scalars = torch.tensor(ours.scalars(0.1 / step, step), dtype=torch.float64)
        stand_ins = tuple(0.73 + place for place in range(len(scalars)))
        with ScalarsInMemory(stand_ins, scalars.unbind()):
            ours.update(mine, gradients.clone(), stand_ins)
        theirs.step(others, gradients.clone(), 0.1 / step)
        np.testing.assert_allclose(mine, others, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    "operation",
    [
        lambda values, others, number: values.add_(others, alpha=number),
        lambda values, others, number: values.add_(number),
        lambda values, others, number: values.mul_(-number),
        lambda values, others, number: values.lerp_(others, number),
        lambda values, others, number: values.addcmul_(others, others, value=-number),
        lambda values, others, number: values.addcdiv_(others, others + 4, value=number),
        lambda values, others, number: values.copy_(others / number),
    ],
)
def test_operations_take_numbers_from_memory(operation):
    values, others = torch.linspace(1, 2, 7, dtype=torch.float64), torch.linspace(-3, 1, 7, dtype=torch.float64)
    expected = values.clone()
    operation(expected, others, 0.25)
    with ScalarsInMemory([0.73], [torch.tensor(0.25, dtype=torch.float64)]):
        operation(values, others, 0.73)
    np.testing.assert_allclose(values, expected, rtol=1e-15)


def test_other_operations_are_refused():
    with ScalarsInMemory([0.73], [torch.tensor(0.25)]), pytest.raises(CompilationError, match="clamp takes no number"):
        torch.ones(3).clamp_(max=0.73)


ASKING = {
    "_local_scalar_dense asks for numbers": [
        lambda x: x * x.sum().item(),
        lambda x: x * float(x.max()),
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * int(x.sum().round()),
    ],
    "index asks for numbers": [lambda x: x * x[x >= 0].sum()],
    "index_put asks for numbers": [lambda x: x.clone().index_put_((x > 0,), x.sum())],
    "nonzero asks for numbers": [lambda x: x * len(x.nonzero()), lambda x: x * len(torch.where(x > 0))],
    "equal asks for numbers": [lambda x: x if torch.equal(x, x) else -x],
    "masked_select asks for numbers": [lambda x: x * x.masked_select(x > 0).sum()],
    "zeros has to do with a tensor that is not on the device": [lambda x: x + torch.zeros(x.shape[2])],
    "linspace has to do": [lambda x: x + torch.linspace(0, 1, x.shape[2]).to(x.device)],
}


@pytest.mark.parametrize(("reason", "change"), [(reason, each) for reason in ASKING for each in ASKING[reason]])
def test_a_step_that_needs_the_cpu_is_not_captured(reason, change, small_config, monkeypatch):
    monkeypatch.setattr(Tanh, "forward", lambda layer, x: setattr(layer, "y", torch.tanh(change(x))) or layer.y)
    found = Trainers(small_config(), device="cuda").step
    assert isinstance(found, str)
    assert found.startswith("PyTorch's operations (")
    assert reason in found
    with pytest.raises(InputError, match=r"training\.compiled: the steps cannot be compiled: "):
        str(Trainers(small_config("training.compiled=always"), device="cuda").step)


def test_tensors_made_on_the_device_are_captured(small_config, monkeypatch):
    def forward(layer, x):
        layer.y = torch.tanh(x + torch.zeros(x.shape[2], device=x.device) + x.new_ones(1))
        return layer.y

    monkeypatch.setattr(Tanh, "forward", forward)
    assert isinstance(Trainers(small_config(), device="cuda").step, GraphStep)


def test_an_optimizer_that_computes_with_its_numbers_is_not_captured(small_config, monkeypatch):
    def update(optimizer, values, gradients, scalars):
        values.add_(gradients, alpha=-2 * scalars[0])

    monkeypatch.setattr(SGD, "update", update)
    assert "the optimizer computes with the numbers" in str(Trainers(small_config(), device="cuda").step)


def test_an_operation_without_a_form_for_numbers_in_memory_is_not_captured(small_config, monkeypatch):
    monkeypatch.setattr(SGD, "update", lambda self, values, gradients, scalars: values.clamp_(max=scalars[0]))
    found = Trainers(small_config("optimizer.sgd.momentum=0"), device="cuda").step
    assert found == "PyTorch's operations (clamp takes no number from memory)"


def test_who_takes_the_steps_on_a_gpu(small_config):
    assert str(Trainers(small_config(), device="cuda").step) == "PyTorch's operations, captured in a CUDA graph"
    assert str(Trainers(small_config(), device="cuda:1").step) == "PyTorch's operations, captured in a CUDA graph"
    never = Trainers(small_config("training.compiled=never"), device="cuda").step
    assert never == "PyTorch's operations (as the config says)"
    with pytest.raises(InputError, match="framework: torch trains on the CPU only, not on cuda"):
        str(Trainers(small_config("framework=torch"), device="cuda").step)


class FakeCuda:
    """Notes what is asked of `torch.cuda`, in the order of asking."""

    def __init__(self, monkeypatch):
        self.notes, self.fails_to_end = [], False
        graphed._side_stream.cache_clear()
        for name in ("Stream", "CUDAGraph", "current_stream", "graph_pool_handle", "stream", "graph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))

    def note(self, text):
        self.notes.append(text)

    def Stream(self, device):  # noqa: N802
        return SimpleNamespace(name="side", wait_stream=lambda other: self.note(f"side waits for {other.name}"))

    def current_stream(self):
        return SimpleNamespace(name="main", wait_stream=lambda other: self.note(f"main waits for {other.name}"))

    def graph_pool_handle(self):
        return "pool"

    def CUDAGraph(self):  # noqa: N802
        return SimpleNamespace(replay=lambda: self.note("replay"))

    @contextmanager
    def stream(self, stream):
        self.note(f"on {stream.name}")
        try:
            yield
        finally:
            self.note(f"off {stream.name}")

    @contextmanager
    def graph(self, graph, *, pool, stream, capture_error_mode):
        self.note(f"capture on {stream.name} with {pool}, {capture_error_mode}")
        try:
            yield
        finally:
            if self.fails_to_end:
                raise RuntimeError("CUDA error: the capture was invalidated\nmore lines")
        self.note("captured")


def test_work_is_done_once_on_a_stream_of_its_own_and_then_captured(monkeypatch):
    cuda = FakeCuda(monkeypatch)
    capture = CudaGraphs(torch.device("cuda", 0))
    repeat = capture(lambda: cuda.note("work"))
    first = ["side waits for main", "on side", "work", "off side", "main waits for side"]
    then = ["on side", "capture on side with pool, thread_local", "work", "captured", "off side"]
    assert cuda.notes == [*first, *then]
    repeat()
    assert cuda.notes[-1] == "replay"


def test_all_captures_of_a_gpu_are_on_one_stream(monkeypatch):
    """Libraries keep memory for each stream that they have met."""
    FakeCuda(monkeypatch)
    one, other = (CudaGraphs(torch.device("cuda", 0)) for _ in range(2))
    assert one._stream is other._stream
    assert CudaGraphs(torch.device("cuda", 1))._stream is not one._stream


@pytest.mark.parametrize("fails_to_end", [False, True])
def test_work_that_cannot_be_captured_is_told_with_its_layer(fails_to_end, monkeypatch):
    cuda = FakeCuda(monkeypatch)
    cuda.fails_to_end = fails_to_end

    def work():
        if cuda.notes[-1].startswith("capture"):
            cause = RuntimeError("not permitted when stream is capturing\nmore lines")
            try:
                raise cause
            except RuntimeError as error:
                raise GraphError(f"model.1 (Tanh): forward failed: {error}") from error

    problem = (
        "the steps cannot be captured in a CUDA graph: model.1 (Tanh): forward failed: not permitted when stream is "
    )
    with pytest.raises(TrainingError, match=re.escape(f"{problem}capturing; set training.compiled to never")):
        CudaGraphs(torch.device("cuda", 0))(work)
    assert cuda.notes[-1] == "off side"


@pytest.mark.parametrize("fails_to_end", [False, True])
def test_a_lack_of_memory_stays_one(fails_to_end, monkeypatch):
    cuda = FakeCuda(monkeypatch)
    cuda.fails_to_end = fails_to_end

    def work():
        if cuda.notes[-1].startswith("capture"):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with pytest.raises(torch.OutOfMemoryError):
        CudaGraphs(torch.device("cuda", 0))(work)


def test_what_depends_on_python_is_not_repeated(small_config, monkeypatch):
    """The battery can fail: a layer that does something else each time is told from one that does not."""

    def forward(layer, x):
        layer.calls = getattr(layer, "calls", 0) + 1
        layer.y = torch.tanh(x * layer.calls)
        return layer.y

    monkeypatch.setattr(Tanh, "forward", forward)
    with pytest.raises(AssertionError):
        assert_repeats(small_config(), [0])


@pytest.mark.parametrize("shape", ["everything at once", "several blocks of training samples", "own data"])
@pytest.mark.parametrize("is_graphed", [False, True])
def test_nothing_is_read_back_before_the_end_of_an_epoch(shape, is_graphed, small_config, monkeypatch):
    """On PyTorch's meta device, which has no numbers to read, an epoch goes through up to its end."""

    class OnMeta(GraphedTrainer):
        def _capturing(self):
            return take

    def take(work):
        with OnDevice(torch.device("meta")):
            work()
        return work

    monkeypatch.setattr("minidl_cli.training.trainer.find_device", torch.device)
    config = small_config(*SHAPES[shape])
    made = [build(config), [0, 1]]
    trainer = OnMeta(*made, GraphStep(config), "meta") if is_graphed else Trainer(*made, "meta")
    assert {values.device.type for values in trainer._state().values()} <= {"meta", "cpu"}
    trainer.epoch = 1
    metrics = {**trainer._train(0.1), **trainer._measure()}
    assert {values.device.type for values in metrics.values()} == {"meta"}
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        fetch(metrics)


values, table = test_tables.values, test_tables.table


@pytest.mark.parametrize("case", ["classes", "two classes, one output", "a number"])
def test_repeated_steps_on_tables_are_those_taken_one_by_one(case, table):
    """With missing values, weights of classes and scales, and rows of their own for each round."""
    assert_repeats(test_tables.config(table, case), [3, 4])
