"""The estimated memory of a stack, held beside the tensors and arrays that there are."""

import pytest

from minidl_cli.training import memory
from minidl_cli.training.build import build
from minidl_cli.training.compiled import CompiledStep, CompiledTrainer
from minidl_cli.training.memory import (
    Activations,
    Footprint,
    LiveTensors,
    Memory,
    check_evaluation,
    result_bytes,
)
from minidl_cli.training.trainer import Trainer
from minidl_cli.training.trainers import Trainers

DEEP = "model=[linear: 60, batch_norm, gelu, dropout: 0.2, linear: 40, layer_norm, silu, dropout: 0.5, linear: 2]"
WIDE = "model=[linear: 200, tanh, linear: 200, relu, linear: 2]"
ADAM = "optimizer={adam: 0.001}"
LARGE_DATA = "data.disc={train: 600, test: 300}"

CONFIGS = {
    "small": (),
    "classes": ("model.4=linear: 2", "loss=cross_entropy", LARGE_DATA),
    "adam": (ADAM, LARGE_DATA),
    "double": ("training.dtype=float64", LARGE_DATA),
    "validation": ("training.validation=0.2", "training.early_stopping.patience=5", LARGE_DATA),
    "accumulate": ("training.accumulate=4", "training.clip_norm=1.0", WIDE),
    "deep": (DEEP, ADAM, LARGE_DATA),
    "deep, all samples at once": (DEEP, "training.batch_size=600", LARGE_DATA),
    "wide": (WIDE, ADAM),
    "wide, all samples at once": (WIDE, "training.batch_size=600", LARGE_DATA),
    "data of its own": ("data_seed=round", LARGE_DATA),
    "hardly a sample": ("data.disc={train: 3, test: 1}",),
}


@pytest.fixture(autouse=True)
def _without_gaps(monkeypatch):
    """Leaves out what the C library loses, of which tensors tell nothing."""
    monkeypatch.setattr(memory, "GAPS", 1)
    monkeypatch.setattr(memory, "LARGE_GAPS", 1)


def assert_near(estimated, real):
    assert 0.9 <= estimated / real <= 1.5


@pytest.mark.parametrize("rounds", [1, 9])
@pytest.mark.parametrize("settings", CONFIGS.values(), ids=CONFIGS)
def test_training_takes_about_as_much_as_estimated(small_config, settings, rounds):
    config = small_config(*settings, "training.epochs=2", f"sweep.rounds={rounds}", "training.compiled=never")
    task = build(config)
    with LiveTensors() as live:
        trainer = Trainer(build(config, task.dataset), config.seeds)
        for _ in trainer.epochs():
            pass
    assert_near(Footprint(task).of(rounds).training, live.peak)


def test_so_do_compiled_steps(small_config):
    config = small_config(*CONFIGS["adam"], "training.epochs=2", "sweep.rounds=70", "model.0.linear=20")
    task = build(config)
    step = Trainers(config, task.dataset).step
    if not isinstance(step, CompiledStep):
        pytest.skip(step)
    with LiveTensors() as live:
        trainer = CompiledTrainer(build(config, task.dataset), config.seeds, step)
        for _ in trainer.epochs():
            pass
    estimated = Footprint(task, is_compiled=True).of(70)
    assert_near(estimated.training, live.peak)
    with live:
        trainer.rounds()
    in_arrays = 2 * result_bytes(task, 70)
    assert_near(estimated.total, live.peak + in_arrays)


@pytest.mark.parametrize("settings", [(), (ADAM,), (ADAM, "training.validation=0.2"), ("training.accumulate=4",)])
def test_checkpoints_take_three_times_the_state(small_config, settings):
    config = small_config(WIDE, *settings, "training.compiled=never", "training.epochs=1", "sweep.rounds=60")
    trainer = Trainers(config).of(config.seeds)
    state = sum(array.nbytes for array in trainer.checkpoint().state.values())
    assert_near(Footprint(build(config)).of(60).checkpoint, 3 * state)


def test_an_estimate_grows_with_the_rounds(small_config):
    of = Footprint(build(small_config(DEEP))).of
    totals = [of(rounds).total for rounds in range(1, 70)]
    assert totals == sorted(set(totals))
    assert of(70).training > 60 * of(1).training


def test_compiled_steps_keep_no_activations_of_all_rounds(small_config):
    task = build(small_config(DEEP))
    few, many = (Footprint(task, is_compiled=True).of(rounds).activations for rounds in (1, 1000))
    assert few < many < Footprint(task).of(1000).activations  # the noise is drawn for all of them
    task = build(small_config(WIDE))
    few, many = (Footprint(task, is_compiled=True).of(rounds).activations for rounds in (1, 1000))
    assert few == many


def test_a_network_too_large_to_try_out_is_estimated_from_its_widths(small_config, monkeypatch):
    task = build(small_config(WIDE))
    counted = Activations.of(task)
    monkeypatch.setattr(memory, "TRIAL_BYTES", 1)
    uncounted = Activations.of(task)
    assert 1 <= uncounted.training / counted.training <= 1.6
    assert 1 <= uncounted.judging / counted.judging <= 1.6


def test_a_layer_that_fails_is_left_to_those_who_name_it(small_config, monkeypatch):
    task = build(small_config())

    def fail(*arguments):
        raise RuntimeError

    monkeypatch.setattr("minidl_cli.nn.layers.tanh.Tanh.forward", fail)
    assert Activations.of(task).training == 1.5 * 4 * sum(task.network.widths)


@pytest.mark.parametrize("beside", [{"checkpoint": 5000, "ends": 20}, {"checkpoint": 20, "ends": 5000}])
def test_a_gpu_only_takes_steps(beside):
    stack = Memory(vectors=10, activations=100, samples=1000, **beside)
    assert stack.on("cpu") == stack.total == 10 + 1000 + 50 + 5000
    assert stack.beside("cpu") == 0
    assert stack.on("cuda") == 10 + 100 + 1000
    assert stack.beside("cuda") == 5000
    assert Memory(10, 100, 1000, 20, 30).on("cpu") == 1110
    assert Memory(10, 100, 1000, 20, 30).beside("cuda") == 1010


def test_a_captured_step_has_memory_of_its_own(small_config):
    task = build(small_config(WIDE, "training.batch_size=47"))
    assert Footprint(task, device="cuda").of(9).activations > 2 * Footprint(task).of(9).activations


def test_what_cannot_be_judged_is_refused(small_config, monkeypatch):
    task = build(small_config())
    check_evaluation(task, 50)
    monkeypatch.setattr(memory, "physical_memory", lambda: 1000)
    with pytest.raises(Exception, match=r"this would take about .* of memory, but this machine has 1\.0 kB"):
        check_evaluation(task, 50)


def test_live_tensors_are_counted_once_and_forgotten():
    import torch

    with LiveTensors() as live:
        a = torch.zeros(100)
        b = a[10:].view(9, 10)
        b.add_(1)
        torch.add(a, a, out=a)
        del a
        torch.zeros(25)
        del b
        torch.zeros(50)
    assert live.peak == 500
