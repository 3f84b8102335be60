"""minidl and PyTorch train the same: in double precision they agree in every epoch and every weight."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from minidl_cli import evaluate, load_config, sweep, train
from minidl_cli.errors import InputError
from minidl_cli.nn.layers.tanh import Tanh
from minidl_cli.nn.losses.mse import MSE
from minidl_cli.optim.sgd import SGD
from minidl_cli.reference import torch_modules
from minidl_cli.reference.torch_trainer import TorchTrainer
from minidl_cli.sweeps.plan import capacity_here, plan
from minidl_cli.training.build import build, registry, variants
from minidl_cli.training.step import Step
from minidl_cli.training.trainer import Trainer
from tests.components import Arguments, Case, cases

pytestmark = pytest.mark.usefixtures("no_figures")

MakeConfig = Callable[..., Any]
DOUBLE = ("training.dtype=float64", "training.epochs=10")
TOLERANCE = 1e-9
SLIGHTLY_MORE = 1 + 1e-6


def assert_agree(config: Any, seeds: Sequence[int] = (3, 4)) -> list[Any]:
    """Both train the rounds, each their own way; returns minidl's."""
    trainers = [kind(build(config), seeds) for kind in (Trainer, TorchTrainer)]
    for ours, theirs in zip(*(trainer.epochs() for trainer in trainers), strict=True):
        assert (ours.epoch, ours.seeds, ours.lr) == (theirs.epoch, theirs.seeds, theirs.lr)
        assert ours.metrics.keys() == theirs.metrics.keys()
        for name, values in ours.metrics.items():
            np.testing.assert_allclose(theirs.metrics[name], values, rtol=TOLERANCE, err_msg=f"{name}, {ours.epoch}")
    rounds = [trainer.rounds() for trainer in trainers]
    for one, other in zip(*rounds, strict=True):
        assert_same_round(one, other)
    return rounds[0]


def assert_same_round(one: Any, other: Any) -> None:
    assert (one.seed, one.status, one.epochs, one.best_epoch) == (
        other.seed,
        other.status,
        other.epochs,
        other.best_epoch,
    )
    assert one.metrics == pytest.approx(other.metrics, rel=TOLERANCE)
    for ours, theirs in ((one.weights, other.weights), (one.best or {}, other.best or {})):
        assert ours.keys() == theirs.keys()
        for name, values in ours.items():
            np.testing.assert_allclose(theirs[name], values, rtol=TOLERANCE, atol=1e-11, err_msg=name)


def of(case: Case) -> str:
    """The component as a setting's value. (JSON would make texts of numbers that are keys.)"""
    return yaml.safe_dump({case.name: case.arguments}, default_flow_style=True, width=1000).strip()


LAYERS: dict[str, list[Arguments]] = {
    "linear": [{"out_features": 4, "bias": False}],
    "leaky_relu": [{"negative_slope": 0.2}],
    "elu": [{"alpha": 0.7}],
    "batch_norm": [{"eps": 0.01, "momentum": 0.3}, {"affine": False}],
    "layer_norm": [{"eps": 0.01}, {"elementwise_affine": False}],
}
# The masks of a dropout that drops are each side's own.
WITHOUT_MASKS = {"dropout": {"p": 0.0}}


@pytest.mark.parametrize("case", cases("layer", LAYERS, Case), ids=str)
def test_layers_agree(small_config, case):
    layer = {case.name: case.arguments | WITHOUT_MASKS.get(case.name, {})}
    model = [{"linear": 7}, layer, {"linear": 5}, layer, {"linear": 2}]
    assert_agree(small_config(*DOUBLE, f"model={json.dumps(model)}"))


LOSSES: dict[str, list[Arguments]] = {
    "huber": [{"delta": 0.3}],
    "cross_entropy": [{"label_smoothing": 0.1}],
}


@pytest.mark.parametrize("case", cases("loss", LOSSES, Case), ids=str)
def test_losses_agree(small_config, case):
    last = ["sigmoid"] if case.make().takes_probabilities else []
    model = [{"linear": 7}, "tanh", {"linear": 2}, *last]
    settings = [f"model={json.dumps(model)}", f"loss={of(case)}", "optimizer.sgd.lr=0.02"]
    assert_agree(small_config(*DOUBLE, *settings))


def test_losses_of_one_output_agree(small_config):
    for loss in ("bce_with_logits", "mse"):
        assert_agree(small_config(*DOUBLE, "model.4.linear=1", f"loss={loss}"))


OPTIMIZERS: dict[str, list[Arguments]] = {
    "sgd": [
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01},
        {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    ],
    "rmsprop": [
        {"lr": 0.01, "weight_decay": 0.01, "momentum": 0.5},
        {"lr": 0.001, "alpha": 0.9, "eps": 1e-3, "centered": True},
    ],
    "adam": [
        {"lr": 0.01, "betas": [0.8, 0.99], "weight_decay": 0.01},
        {"lr": 0.01, "eps": 1e-4, "amsgrad": True},
    ],
    "adamw": [{"lr": 0.01, "weight_decay": 0.1}, {"lr": 0.01, "amsgrad": True}],
}


@pytest.mark.parametrize("case", cases("optimizer", OPTIMIZERS, Case), ids=str)
def test_optimizers_agree(small_config, case):
    assert_agree(small_config(*DOUBLE, "model=[linear: 7, tanh, linear: 5, silu, linear: 2]", f"optimizer={of(case)}"))


SCHEDULES: dict[str, list[Arguments]] = {
    "step": [{"step_size": 3, "gamma": 0.5}],
    "piecewise": [{"rates": {0: 0.1, 4: 0.03}}],
    "exponential": [{"gamma": 0.8}],
    "cosine": [{"warmup": 3, "end_factor": 0.1}],
}


@pytest.mark.parametrize("case", cases("schedule", SCHEDULES, Case), ids=str)
def test_schedules_agree(small_config, case):
    assert_agree(small_config(*DOUBLE, f"training.schedule={of(case)}"))


INITIALIZERS: dict[str, list[Arguments]] = {"constant": [{"val": 0.1}], "uniform": [{"a": -0.5, "b": 0.5}]}


@pytest.mark.parametrize("case", cases("initializer", INITIALIZERS, Case), ids=str)
def test_initializers_agree(small_config, case):
    assert_agree(small_config(*DOUBLE, f"init={of(case)}"))


OPTIONS: dict[str, list[str]] = {
    "as it stands": [],
    "accumulate": ["training.accumulate=3"],
    "accumulate, sum": ["training.accumulate=3", "loss.mse=sum", "optimizer.sgd.lr=0.005"],
    "accumulate, batch_norm": ["training.accumulate=2", "model.1=batch_norm"],
    "clip_norm": ["training.clip_norm=0.05"],
    "clip_norm, accumulate": ["training.clip_norm=0.05", "training.accumulate=2"],
    "validation": ["training.validation=0.2"],
    "data of each round": ["data_seed=round", "training.validation=0.2"],
    "drop_last": ["training.drop_last=true"],
    "batch_norm, drop_last": ["training.drop_last=true", "model.1=batch_norm", "training.validation=0.2"],
    "in order": ["training.shuffle=false"],
    "log_every": ["training.log_every=3", "training.validation=0.2"],
    "one batch": ["training.batch_size=47"],
    "batches of one": ["training.batch_size=1", "data.disc.train=9"],
    "no epochs": ["training.epochs=0"],
    "several blocks": ["data.disc={train: 11000, test: 15000}", "training.batch_size=1000", "training.epochs=2"],
}


@pytest.mark.parametrize("settings", OPTIONS.values(), ids=OPTIONS.keys())
def test_options_agree(small_config, settings):
    assert_agree(small_config(*DOUBLE, *settings))


CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_configs_agree(path):
    """Every variant but those with dropout; what trains is no difference here. A few epochs will do."""
    config = load_config(path, [*DOUBLE, "training.epochs=3"])
    is_varied = config.sweep.vary.keys() - {"framework"}
    for each in [variant.config for variant in variants(config)] if is_varied else [config]:
        if all(layer.name != "dropout" for layer in each.model):
            assert_agree(each, [each.seed])


@pytest.mark.parametrize("monitor", ["validation_loss", "validation_accuracy"])
@pytest.mark.parametrize("log_every", [1, 2])
def test_both_stop_early_after_the_same_epochs(small_config, monitor, log_every):
    stopping = f"training.early_stopping={{monitor: {monitor}, patience: 2, min_delta: 0.002}}"
    settings = ["training.validation=0.3", stopping, "model.1=batch_norm", f"training.log_every={log_every}"]
    rounds = assert_agree(small_config(*DOUBLE, *settings), range(8))
    assert any(each.epochs < 10 for each in rounds)
    assert any(each.best_epoch < each.epochs for each in rounds)
    if (monitor, log_every) == ("validation_loss", 1):
        assert len({each.epochs for each in rounds}) > 3


LINEAR = "model=[linear: 7, linear: 5, linear: 2]"


def test_both_diverge_in_the_same_epochs(small_config):
    rounds = assert_agree(small_config(*DOUBLE, LINEAR, "optimizer={sgd: 1.0}"), range(11))
    assert {(each.status, each.epochs) for each in rounds} == {("diverged", 2), ("diverged", 3), ("finished", 10)}


@pytest.mark.parametrize("loss", sorted(registry().types["loss"]))
def test_both_diverge_from_weights_that_are_too_large(small_config, loss):
    last = ["sigmoid"] if registry().types["loss"][loss].cls.takes_probabilities else []
    model = [{"linear": {"out_features": 7, "init": {"normal": 1e308}}}, {"linear": 5}, {"linear": 2}, *last]
    rounds = assert_agree(small_config(*DOUBLE, f"model={json.dumps(model)}", f"loss={loss}"), range(4))
    assert "diverged" in {each.status for each in rounds}


CLIPPED = "training.clip_norm=0.05"


@pytest.mark.parametrize(
    ("kind", "name", "wrong", "settings"),
    [
        (Tanh, "backward", lambda right: lambda self, grad: right(self, grad) * SLIGHTLY_MORE, []),
        (MSE, "backward", lambda right: lambda self, y, target: right(self, y, target) * SLIGHTLY_MORE, []),
        (
            SGD,
            "update",
            lambda right: (
                lambda self, values, grads, scalars: right(self, values, grads, (scalars[0] * SLIGHTLY_MORE,))
            ),
            [],
        ),
        (Step, "_clip", lambda right: lambda self, largest: right(self, largest * SLIGHTLY_MORE), [CLIPPED]),
        (Trainer, "order", lambda right: lambda self, epoch: right(self, epoch).flip(1), []),
    ],
    ids=["layer", "loss", "optimizer", "clipping", "order"],
)
def test_a_wrong_derivative_or_step_would_be_noticed(small_config, monkeypatch, kind, name, wrong, settings):
    config = small_config(*DOUBLE, *settings)
    assert_agree(config)
    monkeypatch.setattr(kind, name, wrong(getattr(kind, name)))
    with pytest.raises(AssertionError, match=r"(train|test)_loss, \d"):
        assert_agree(config)


# A bias before batch_norm has no effect and no gradient but rounding, which Adam would make visible.
MODEL = "model=[linear: {out_features: 7, bias: false}, batch_norm, leaky_relu, linear: 5, layer_norm, gelu, linear: 2]"
WIDE = (
    *(MODEL, "init=xavier_normal", "loss={cross_entropy: {label_smoothing: 0.1}}", "optimizer={adamw: 0.01}"),
    *("training.schedule={cosine: {warmup: 2}}", "training.accumulate=2", "training.clip_norm=1.0"),
    *("training.validation=0.2", "training.early_stopping={}", "data_seed=round", "sweep.rounds=3"),
)


SMALL = pytest.param(("sweep.rounds=3",), marks=pytest.mark.figures)


@pytest.mark.parametrize("settings", [SMALL, WIDE], ids=["small", "wide"])
def test_run_folders_agree(small_config, tmp_path, settings):
    ours, theirs = (
        sweep(small_config(*DOUBLE, *settings, f"framework={framework}"), runs_dir=tmp_path, workers=1)
        for framework in ("minidl", "torch")
    )
    assert {each.name for each in ours.path.iterdir()} == {each.name for each in theirs.path.iterdir()}
    epochs = load_config(ours.config_path).training.epochs
    curves = ours.curves(epochs), theirs.curves(epochs)
    assert curves[0].values.keys() == curves[1].values.keys()
    for name, values in curves[0].values.items():
        if name != "seconds":
            np.testing.assert_allclose(curves[1].values[name], values, rtol=TOLERANCE, err_msg=name)
    for file in sorted((ours.path / "weights").iterdir()):
        weights, same = load_file(file), load_file(theirs.path / "weights" / file.name)
        assert weights.keys() == same.keys()
        for name, values in weights.items():
            torch.testing.assert_close(same[name], values, rtol=TOLERANCE, atol=1e-11)
    final = ours.summary()["final"], theirs.summary()["final"]
    assert final[0].keys() == final[1].keys()
    for name, statistics in final[0].items():
        assert statistics["mean"] == pytest.approx(final[1][name]["mean"], rel=TOLERANCE)
    assert ours.summary()["steps"] == theirs.summary()["steps"]


DROPOUT = "model=[linear: 7, batch_norm, dropout: 0.3, linear: 5, dropout: 0.3, linear: 2]"


@pytest.mark.parametrize("settings", [(), WIDE, (DROPOUT,)], ids=["small", "wide", "dropout"])
def test_evaluation_gives_exactly_the_numbers_of_the_summary(small_config, tmp_path, settings):
    run = sweep(small_config(*settings, "sweep.rounds=3", "framework=torch"), runs_dir=tmp_path, workers=1)
    assert evaluate(run) == run.summary()["final"]
    assert run.summary()["rounds"]["finished"] == 3


def bits(each: Any) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in each.weights.items()}


@pytest.fixture
def dropping(small_config):
    """A config whose torch rounds draw masks."""
    return small_config(DROPOUT, "framework=torch", "sweep.rounds=3")


def test_a_round_is_the_same_alone_and_in_company(dropping, small_config, tmp_path):
    def rows(run: Any, seed: int) -> list[str]:
        lines = run.metrics_path.read_text().splitlines()[1:]
        return [line.rpartition(",")[0] for line in lines if line.startswith(f"{seed},")]

    together = sweep(dropping, runs_dir=tmp_path, workers=1)
    stacked = sweep(dropping, runs_dir=tmp_path, workers=1, chunk=3)
    alone = train(small_config(DROPOUT, "framework=torch", "seed=2"), runs_dir=tmp_path)
    assert rows(together, 2) == rows(alone, 2) == rows(stacked, 2) != rows(together, 1)
    for name, values in alone.weights().items():
        assert torch.equal(together.weights()[name][2], values[0])
        assert torch.equal(stacked.weights()[name][2], values[0])
    assert (together.path / "rounds.csv").read_text().splitlines()[3] == (
        (alone.path / "rounds.csv").read_text().splitlines()[1]
    )


@pytest.mark.usefixtures("forked_workers")
def test_workers_change_nothing(dropping, tmp_path):
    one, two = (sweep(dropping, runs_dir=tmp_path, workers=workers) for workers in (1, 2))
    assert two.environment()["workers"] == 2
    assert (one.path / "rounds.csv").read_bytes() == (two.path / "rounds.csv").read_bytes()
    assert all(torch.equal(values, two.weights()[name]) for name, values in one.weights().items())


def test_each_round_of_torch_is_a_chunk(small_config):
    settings = ["sweep.rounds=5", "framework=torch"]
    planned = plan(build(small_config(*settings)), capacity_here(3))
    assert [list(chunk) for chunk in planned.chunks] == [[0], [1], [2], [3], [4]]
    assert planned.workers == 3
    assert [len(chunk) for chunk in plan(build(small_config(*settings)), capacity_here(), chunk=2).chunks] == [2, 2, 1]


def test_the_global_generator_neither_matters_nor_moves(dropping):
    def rounds(seed: int) -> list[Any]:
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        trainer = TorchTrainer(build(dropping), [0, 1])
        for _ in trainer.epochs():
            assert torch.equal(torch.get_rng_state(), before)
            torch.rand(7)  # what the caller draws meanwhile
            before = torch.get_rng_state()
        found = trainer.rounds()
        assert torch.equal(torch.get_rng_state(), before)
        return found

    state = torch.get_rng_state()
    try:
        for one, other in zip(rounds(0), rounds(1), strict=True):
            assert bits(one) == bits(other)
            assert one.metrics == other.metrics
    finally:
        torch.set_rng_state(state)


def test_dropout_drops_in_training_only_and_anew_in_each_epoch_and_round(small_config):
    # With equal initial weights and a learning rate of almost 0, training losses differ by their masks alone.
    model = "model=[linear: {out_features: 7, bias: false}, dropout, linear: {out_features: 2, bias: false}]"
    settings = ["init={constant: 0.1}", "optimizer={sgd: 1.0e-30}", "training.shuffle=false"]
    records = list(TorchTrainer(build(small_config(model, *settings)), [0, 1]).epochs())
    assert len({float(loss) for record in records for loss in record.metrics["train_loss"]}) == 2 * 3
    assert len({float(loss) for record in records for loss in record.metrics["test_loss"]}) == 1


def test_one_thread_trains_and_measures_and_the_caller_has_as_many_as_before(small_config):
    trainer = TorchTrainer(build(small_config()), [0])
    seen = set()
    trainer.twins[0].network.register_forward_hook(
        lambda network, *_: seen.add((network.training, torch.get_num_threads()))
    )
    torch.set_num_threads(2)
    try:
        for _ in trainer.epochs():
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert seen == {(True, 1), (False, 1)}


def test_rounds_can_be_taken_after_any_epoch(small_config):
    trainer = TorchTrainer(build(small_config("training.epochs=5")), [0, 1])
    for record, _ in zip(trainer.epochs(), range(2), strict=False):
        assert {each.epochs for each in trainer.rounds()} == {record.epoch}


def test_a_missing_counterpart_is_told_before_anything_is_made(small_config, tmp_path, monkeypatch):
    monkeypatch.delitem(torch_modules.LAYERS, "tanh")
    with pytest.raises(InputError, match=r"model\.1: tanh has no counterpart in PyTorch"):
        train(small_config("framework=torch"), runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    train(small_config(), runs_dir=tmp_path / "runs")


def test_every_component_is_tested() -> None:
    """The tables of cases name nothing that is not there."""
    tables = {"layer": LAYERS, "loss": LOSSES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}
    for kind, table in {**tables, "initializer": INITIALIZERS}.items():
        assert table.keys() <= registry().types[kind].keys()
