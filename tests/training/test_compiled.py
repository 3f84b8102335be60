"""Compiled steps against PyTorch's operations, which are the definition, and what takes their place if need be."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minidl_cli import evaluate, sweep, train
from minidl_cli.compiled.library import find_compiler
from minidl_cli.config.schema import Config
from minidl_cli.errors import InputError, MinidlWarning
from minidl_cli.nn.layers.batch_norm import BatchNorm
from minidl_cli.nn.layers.tanh import Tanh, tanh_backward
from minidl_cli.training.build import build, registry
from minidl_cli.training.compiled import CompiledStep, CompiledTrainer
from minidl_cli.training.round import Round
from minidl_cli.training.samples import Samples
from minidl_cli.training.trainer import Trainer
from minidl_cli.training.trainers import Trainers
from tests.components import Case, cases
from tests.reference.test_torch_trainer import (
    INITIALIZERS,
    LAYERS,
    LOSSES,
    OPTIMIZERS,
    OPTIONS,
    SCHEDULES,
    WIDE,
    of,
)
from tests.sweeps.contents import results
from tests.training.rounds import DIVERGING, SHAPES, STOPPING, STOPPING_WITH_MORE_STATE, assert_same
from tests.training.rounds import train as train_rounds

DOUBLE = ("training.dtype=float64", "training.epochs=5")
# One size of batch, so that there is one step to compile, and one to evaluate.
EVEN = ("data.disc={train: 20, test: 20}",)


def compiled(config: Config, seeds: Sequence[int]) -> CompiledTrainer:
    return CompiledTrainer(build(config), seeds, CompiledStep(config))


def assert_agree(config: Config, seeds: Sequence[int] = (3, 4), tolerance: float = 1e-12) -> list[Round]:
    """Both train the rounds; returns those of compiled steps."""
    ours, theirs = compiled(config, seeds), Trainer(build(config), seeds)
    for one, other in zip(ours.epochs(), theirs.epochs(), strict=True):
        assert (one.epoch, one.seeds, one.lr, one.spared) == (other.epoch, other.seeds, other.lr, other.spared)
        assert one.metrics.keys() == other.metrics.keys()
        for name, values in one.metrics.items():
            np.testing.assert_allclose(values, other.metrics[name], tolerance, err_msg=f"{name}, {one.epoch}")
    for one, other in zip(ours.rounds(), theirs.rounds(), strict=True):
        assert _outcome(one) == _outcome(other)
        if one.status == "diverged":
            continue  # Whether a sum of overflows is infinite or NaN depends on the order of its terms.
        assert one.metrics == pytest.approx(other.metrics, rel=tolerance)
        for weights, same in ((one.weights, other.weights), (one.best or {}, other.best or {})):
            assert weights.keys() == same.keys()
            for name, values in weights.items():
                # What is 0 but for rounding, as a bias before batch_norm remains, has no digits to compare.
                np.testing.assert_allclose(values, same[name], tolerance, 1e-13, err_msg=name)
    return ours.rounds()


def _outcome(trained: Round) -> tuple[Any, ...]:
    return trained.seed, trained.status, trained.epochs, trained.best_epoch


def in_groups(given: Sequence[Case], size: int) -> list[list[Case]]:
    return [list(given[start : start + size]) for start in range(0, len(given), size)]


def together(group: Sequence[Case]) -> str:
    return ", ".join(map(str, group))


@pytest.mark.parametrize("group", in_groups(cases("layer", LAYERS, Case), 4), ids=together)
def test_layers_agree(small_config, group):
    """A few in each network: compiling takes longer than all else."""
    layers = [{each.name: each.arguments} for each in group]
    model = [each for layer in layers for each in ({"linear": 5}, layer)]
    assert_agree(small_config(*DOUBLE, *EVEN, f"model={json.dumps([*model, {'linear': 2}])}"), tolerance=1e-11)


@pytest.mark.parametrize("case", cases("loss", LOSSES, Case), ids=str)
def test_losses_agree(small_config, case):
    last = ["sigmoid"] if case.make().takes_probabilities else []
    model = json.dumps([{"linear": 2}, *last])
    assert_agree(small_config(*DOUBLE, *EVEN, f"model={model}", f"loss={of(case)}", "optimizer.sgd.lr=0.02"))


@pytest.mark.parametrize("loss", ["bce_with_logits", "mse"])
def test_one_output_agrees(small_config, loss):
    assert_agree(small_config(*DOUBLE, *EVEN, "model=[linear: 3, linear: 1]", f"loss={loss}"))


@pytest.mark.parametrize("case", cases("optimizer", OPTIMIZERS, Case), ids=str)
def test_optimizers_agree(small_config, case):
    assert_agree(small_config(*DOUBLE, *EVEN, "model=[linear: 3, tanh, linear: 2]", f"optimizer={of(case)}"))


# They have the same program, that of a network that is trained as it stands.
TWO_LAYERS = "model=[linear: 5, tanh, linear: 2]"


@pytest.mark.parametrize("case", cases("schedule", SCHEDULES, Case), ids=str)
def test_schedules_agree(small_config, case):
    assert_agree(small_config(*DOUBLE, TWO_LAYERS, f"training.schedule={of(case)}"))


@pytest.mark.parametrize("case", cases("initializer", INITIALIZERS, Case), ids=str)
def test_initializers_agree(small_config, case):
    assert_agree(small_config(*DOUBLE, TWO_LAYERS, f"init={of(case)}"))


WIDTHS = [7, 8, 9, 15, 16, 17, 31, 33, 2]
MORE_OPTIONS = {
    "a batch larger than the samples": ["training.batch_size=100"],
    "steps of more than an epoch": ["training.batch_size=20", "training.accumulate=5"],
    "a last batch of one, a test set of one": ["data.disc={train: 21, test: 1}"],
    "a test set of whole batches and one": ["data.disc={train: 20, test: 129}"],
    "widths of one": ["model=[linear: 1, tanh, linear: 1, sigmoid, linear: 1]"],
    "widths around those of vectors": [*EVEN, f"model={json.dumps([{'linear': each} for each in WIDTHS])}"],
    "batches around the size of vectors": ["data.disc={train: 48, test: 33}", "training.batch_size=33"],
    "dropout, several blocks, own data": SHAPES["dropout over several blocks"] + ["data_seed=round"],
    "everything at once": [*WIDE],
}


@pytest.mark.parametrize("settings", (OPTIONS | MORE_OPTIONS).values(), ids=(OPTIONS | MORE_OPTIONS).keys())
def test_options_agree(small_config, settings):
    assert_agree(small_config(*DOUBLE, TWO_LAYERS, *settings))


def test_early_stopping_agrees(small_config):
    stopping = "training.early_stopping={patience: 2, min_delta: 0.002}"
    settings = ["training.epochs=10", "training.validation=0.3", stopping, "model.1=batch_norm"]
    rounds = assert_agree(small_config(*DOUBLE, *settings), range(8), tolerance=1e-9)
    assert len({each.epochs for each in rounds}) > 3
    assert any(each.best_epoch < each.epochs for each in rounds)


def test_divergence_agrees(small_config):
    settings = ["model=[linear: 7, linear: 5, linear: 2]", "optimizer={sgd: 1.0}", "training.epochs=10"]
    rounds = assert_agree(small_config(*DOUBLE, *settings), range(11), tolerance=1e-9)
    assert {(each.status, each.epochs) for each in rounds} == {("diverged", 2), ("diverged", 3), ("finished", 10)}


PRECISE = {
    "as it stands": [],
    "elu, gelu, silu": ["model=[linear: 7, elu, linear: 7, gelu, linear: 7, silu, linear: 2]"],
    "normalized, cross-entropy, adam": [
        *("model=[linear: 9, batch_norm, relu, linear: 5, layer_norm, linear: 2]", "loss=cross_entropy"),
        *("optimizer=adam", "training.clip_norm=0.1"),
    ],
}


@pytest.mark.parametrize("settings", PRECISE.values(), ids=PRECISE.keys())
def test_single_precision_is_as_exact_as_by_pytorch(small_config, settings):
    """Both begin with the same numbers as a training in double precision, whose weights theirs are compared with."""
    settings, seeds = [*settings, "training.epochs=5"], range(12)
    config, exact = small_config(*settings), Trainer(build(small_config(*settings, DOUBLE[0])), seeds)
    ours, theirs = compiled(config, seeds), Trainer(build(config), seeds)
    with torch.inference_mode():
        exact.network.load({name: values.double() for name, values in theirs.network.state().items()})
    exact.samples = {
        name: Samples(part.inputs.double(), part.targets.double()) for name, part in theirs.samples.items()
    }
    for trainer in (ours, theirs, exact):
        assert len(list(trainer.epochs())) == 5
    errors = [_error(trainer.rounds(), exact.rounds()) for trainer in (ours, theirs)]
    assert 0 < errors[0] < 1.5 * errors[1]


def _error(rounds: Sequence[Round], exact: Sequence[Round]) -> float:
    """The median over rounds of the root of the summed squared errors of all weights."""
    pairs = [
        [(each.weights[name] - right.weights[name]) ** 2 for name in each.weights]
        for each, right in zip(rounds, exact, strict=True)
    ]
    return float(np.median([np.sqrt(sum(each.sum() for each in squares)) for squares in pairs]))


ALIKE = [
    *["odd widths, ragged last batch", "one output, batches of one", "double precision"],
    *["dropout over several blocks", "a validation part of the round's own data", "everything at once"],
]


@pytest.mark.parametrize("name", ALIKE)
def test_a_round_is_the_same_alone_or_in_company(small_config, name):
    config = small_config(*SHAPES[name])
    alone = {seed: train_rounds(config, [seed], compiled)[seed] for seed in range(6)}
    for stack in ([0, 1], [3, 4, 5], [2, 0, 5, 4, 1, 3]):
        for seed, each in train_rounds(config, stack, compiled).items():
            assert_same(each, alone[seed])


@pytest.mark.parametrize(
    "settings", [DIVERGING, STOPPING, STOPPING_WITH_MORE_STATE], ids=["diverge", "stop", "more state"]
)
@pytest.mark.parametrize("data_seed", ["0", "round"])
def test_a_round_that_ends_disturbs_nobody(small_config, settings, data_seed):
    config = small_config(*settings, f"data_seed={data_seed}")
    alone = {seed: train_rounds(config, [seed], compiled)[seed] for seed in range(11)}
    assert len({each.round.epochs for each in alone.values()}) > 2
    if settings is not STOPPING_WITH_MORE_STATE:
        assert {each.round.status for each in alone.values()} == {"diverged", "finished"}
    for stack in (range(11), [9, 2], [3, 8, 5, 0], [1, 2, 4, 6, 8]):
        for seed, each in train_rounds(config, stack, compiled).items():
            assert_same(each, alone[seed])


def test_the_stack_is_rebuilt(small_config):
    trainer = compiled(small_config(*STOPPING_WITH_MORE_STATE), range(11))
    sizes = [len(trainer.stack) for _ in trainer.epochs()]
    assert sizes[0] == 11
    assert sizes[-1] < 6


@pytest.mark.usefixtures("no_figures", "forked_workers")
def test_chunks_and_workers_change_nothing(small_config, tmp_path):
    config = small_config(*SHAPES["everything at once"], "training.compiled=always", "sweep.rounds=5")
    expected = sweep(config, runs_dir=tmp_path, workers=1)
    for options in ({"workers": 1, "chunk": 1}, {"workers": 1, "chunk": 2}, {"workers": 2, "chunk": 2}):
        assert results(sweep(config, runs_dir=tmp_path, **options)) == results(expected)
    assert evaluate(expected) == expected.summary()["final"]


class TestWithoutCompiledSteps:
    """PyTorch's operations take their place, and it is said why; or nothing is trained, if they are a must."""

    @pytest.fixture(autouse=True)
    def _figures(self, no_figures):
        find_compiler.cache_clear()
        yield
        find_compiler.cache_clear()

    @pytest.fixture
    def no_compiler(self, monkeypatch):
        monkeypatch.setenv("CC", "no-such-compiler")

    def test_never(self, small_config, tmp_path):
        config = small_config("training.compiled=never")
        run = train(config, runs_dir=tmp_path)
        assert run.environment()["steps"] == "PyTorch's operations (as the config says)"
        self.assert_by_torch(run, config)

    @staticmethod
    def assert_by_torch(run: Any, config: Config) -> None:
        """The run has the weights that PyTorch's operations give, bit by bit."""
        trainer = Trainer(build(config), [0])
        assert len(list(trainer.epochs())) == config.training.epochs
        for name, values in trainer.rounds()[0].weights.items():
            assert run.weights()[name][0].numpy().tobytes() == values.tobytes()

    @pytest.mark.parametrize("setting", ["auto", "always"])
    def test_with_a_compiler(self, small_config, tmp_path, setting):
        config = small_config(f"training.compiled={setting}")
        assert train(config, runs_dir=tmp_path).environment()["steps"] == f"compiled by {find_compiler().version}"
        assert type(Trainers(config).of([0])) is CompiledTrainer

    def test_without_a_compiler(self, small_config, tmp_path, no_compiler):
        run = train(small_config(), runs_dir=tmp_path)
        assert run.environment()["steps"] == "PyTorch's operations (there is no C compiler)"
        self.assert_by_torch(run, small_config())

    @pytest.mark.parametrize("command", ["train", "sweep"])
    def test_always_without_a_compiler(self, minidl, small_file, no_compiler, command):
        done = minidl(command, small_file, "-s", "training.compiled=always")
        assert (done.code, done.out) == (2, "")
        (line,) = done.err.strip().splitlines()
        assert line.endswith("training.compiled: the steps cannot be compiled: there is no C compiler")
        assert not Path("runs").exists()

    @pytest.mark.parametrize(
        "trick",
        [
            lambda x: x + torch.erfinv(torch.tanh(x) / 2),
            lambda x: x * float(x.sum(dim=1)[0, 0]),
            lambda x: x - x.mean(),
            lambda x: x + SHIFT,
            lambda x: torch.div(x, 0.1, rounding_mode="floor"),
        ],
        ids=["no translation", "a number of Python's", "no dimension", "a tensor from elsewhere", "rounding"],
    )
    def test_a_layer_that_cannot_be_translated(self, small_config, tmp_path, monkeypatch, trick):
        forward = Tanh.forward
        monkeypatch.setattr(Tanh, "forward", lambda self, x: forward(self, trick(x)))
        run = train(small_config(), runs_dir=tmp_path)
        assert run.environment()["steps"].startswith("PyTorch's operations (")
        self.assert_by_torch(run, small_config())

    @pytest.fixture
    def refusing_compiler(self, tmp_path, monkeypatch):
        """A compiler that takes the text with which it is tried, but no step."""
        path, text = tmp_path / "refusing", tmp_path / "text.c"
        body = f'case "$*" in *" -o "*) cat > {text}; grep -q train_ {text} && {{ echo "too long" >&2; exit 1; }}'
        real = shutil.which("cc")
        path.write_text(f'#!/bin/sh\n{body}\nexec {real} "$@" < {text};; esac\nexec {real} "$@"\n')
        path.chmod(0o700)
        monkeypatch.setenv("CC", str(path))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def test_a_step_that_the_compiler_refuses(self, small_config, tmp_path, refusing_compiler):
        with pytest.warns(MinidlWarning, match=r"could not be compiled; .*refusing failed: too long"):
            run = train(small_config(), runs_dir=tmp_path)
        self.assert_by_torch(run, small_config())

    def test_a_step_that_the_compiler_refuses_but_must_not(self, small_config, tmp_path, refusing_compiler):
        with pytest.raises(InputError, match=r"training\.compiled: the steps cannot be compiled: .*too long"):
            train(small_config("training.compiled=always"), runs_dir=tmp_path)


@pytest.mark.parametrize("place", ["leaky_relu: 0.7310259382716049", "elu: 0.7310259382716049"])
def test_a_number_that_stands_for_the_learning_rate_is_refused(small_config, place):
    step = Trainers(small_config(f"model=[linear: 7, {{{place}}}, linear: 2]")).step
    assert "only stands for others" in str(step)


SHIFT = torch.ones(1, 7, 1)


class TestBuffers:
    """Running statistics are what a layer says that they are, wherever it takes them from."""

    @staticmethod
    def by(monkeypatch, statistics):
        """Gives batch_norm other running statistics: those of a batch, and before it."""

        def forward(self, x):
            if self.training:
                before = self.running_mean.value, self.running_var.value
                self.running_mean.value, self.running_var.value = statistics(x, *before)
            self.inverse = torch.rsqrt(self.running_var.value.unsqueeze(2) + 1)
            self.z = (x - self.running_mean.value.unsqueeze(2)) * self.inverse
            return torch.addcmul(self.bias.column, self.weight.column, self.z)

        monkeypatch.setattr(BatchNorm, "forward", forward)

    @pytest.mark.parametrize(
        "statistics",
        [
            lambda x, mean, square: torch.stack([x.mean(dim=2), x.square().mean(dim=2)]),
            lambda x, mean, square: (x[:, :, -1], x[:, :, 0] * x[:, :, 0]),
            lambda x, mean, square: (mean, square),
        ],
        ids=["of one tensor", "of a batch's columns", "as they were"],
    )
    def test_any_statistics_agree(self, small_config, monkeypatch, statistics):
        self.by(monkeypatch, statistics)
        assert_agree(small_config(*DOUBLE, *EVEN, "model=[linear: 7, batch_norm, linear: 2]"))

    def test_statistics_that_change_places_are_left_to_pytorch(self, small_config, monkeypatch):
        self.by(monkeypatch, lambda x, mean, square: (square, mean))
        config = small_config(*DOUBLE, *EVEN, "model=[linear: 7, batch_norm, linear: 2]")
        assert type(Trainers(config).of([0])) is Trainer


SLIGHTLY_MORE = 1 + 1e-6


def test_a_wrong_step_would_be_noticed(small_config, monkeypatch):
    """The steps are recorded with a wrong derivative, and PyTorch's operations have the right one."""
    config = small_config(*DOUBLE, *EVEN, "model=[linear: 3, tanh, linear: 2]")
    assert_agree(config)
    monkeypatch.setattr(Tanh, "backward", lambda self, grad: tanh_backward(grad, self.y) * SLIGHTLY_MORE)
    wrong = CompiledStep(config)
    monkeypatch.undo()
    monkeypatch.setattr("tests.training.test_compiled.CompiledStep", lambda _: wrong)
    with pytest.raises(AssertionError, match=r"(train|test)_loss, \d"):
        assert_agree(config)


def test_every_kind_of_component_is_tested():
    tables = {"layer": LAYERS, "loss": LOSSES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}
    for kind, table in {**tables, "initializer": INITIALIZERS}.items():
        assert table.keys() <= registry().types[kind].keys()
