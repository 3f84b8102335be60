"""What only a GPU can show: `make gpu` runs these tests where there is one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from minidl_cli.errors import InputError, TrainingError
from minidl_cli.nn.layers.tanh import Tanh
from minidl_cli.training.build import build, load_config
from minidl_cli.training.device import find_device, matmul_precision
from minidl_cli.training.graphed import CudaGraphs, GraphedTrainer
from minidl_cli.training.memory import Footprint
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

pytestmark = pytest.mark.cuda

DOUBLE = "training.dtype=float64"
CONFIGS = Path(__file__).parents[2] / "configs"
# A single process trains these on the CPU in seconds, for two epochs.
SHIPPED = [path for path in sorted(CONFIGS.rglob("*.yaml")) if "reports" not in path.parts]

values, table = test_tables.values, test_tables.table


def one_by_one(config, seeds):
    return Trainer(build(config), seeds, "cuda")


def graphed(config, seeds):
    return Trainers(config, device="cuda").of(seeds)


def assert_close(config, seeds, make, tolerance=1e-9, **options):
    """Train on the GPU and on the CPU."""
    ours, theirs = train(config, seeds, make, **options), train(config, seeds, operations)
    for seed in seeds:
        one, other = ours[seed], theirs[seed]
        ends = [(each.status, each.epochs, each.best_epoch) for each in (one.round, other.round)]
        assert ends[0] == ends[1]
        for mine, its in zip(one.logged, other.logged, strict=True):
            assert mine.keys() == its.keys()
            np.testing.assert_allclose(list(mine.values()), list(its.values()), tolerance, tolerance)
        assert one.round.metrics.keys() == other.round.metrics.keys()
        for weights, same in [(one.round.weights, other.round.weights), (one.round.best or {}, other.round.best or {})]:
            for name, numbers in weights.items():
                np.testing.assert_allclose(numbers, same[name], tolerance, tolerance, err_msg=name)


@pytest.mark.parametrize("make", [one_by_one, graphed], ids=["one by one", "graphed"])
class TestAgreement:
    """In double precision, a GPU agrees with the CPU on the first epochs."""

    @pytest.mark.parametrize("shape", SHAPES)
    def test_of_shapes(self, shape, make, small_config):
        assert_close(small_config(*SHAPES[shape], DOUBLE), [3, 0], make)

    @pytest.mark.parametrize("case", COMPONENTS, ids=str)
    def test_of_components(self, case: Case, make, small_config):
        assert_close(small_config(*with_component(case), DOUBLE), [0, 1], make)

    @pytest.mark.parametrize("case", test_tables.CASES)
    def test_of_tables(self, case, make, table):
        assert_close(test_tables.config(table, case), [3, 4, 9], make)

    @pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
    def test_of_shipped_configs(self, path, make):
        assert_close(load_config(path, [DOUBLE, "training.epochs=2", "sweep.rounds=2"]), [0, 1], make)

    @pytest.mark.parametrize("settings", [DIVERGING, STOPPING, STOPPING_WITH_MORE_STATE])
    def test_of_rounds_that_stop(self, settings, make, small_config):
        assert_close(small_config(*settings, DOUBLE), range(8), make, tolerance=1e-6)

    def test_of_training_that_goes_on(self, make, small_config):
        config = small_config(*SHAPES["everything at once"], DOUBLE, "training.epochs=5")
        assert_close(config, [2, 5], make, stops={2, 3})

    def test_of_training_that_goes_on_elsewhere(self, make, small_config):
        makers = iter([make, operations, make])
        config = small_config("optimizer={adam: 0.01}", DOUBLE, "training.epochs=4")
        assert_close(config, [0, 1], lambda config, seeds: next(makers)(config, seeds), stops={1, 3})

    def test_in_single_precision(self, make, small_config):
        assert_close(small_config(), [0, 1], make, tolerance=1e-4)

    def test_the_same_bits_each_time(self, make, small_config):
        config = small_config(*SHAPES["everything at once"])
        first, second = (train(config, [0, 1], make) for _ in range(2))
        for seed in (0, 1):
            assert_same(first[seed], second[seed])

    @pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
    def test_nothing_waits_for_the_gpu_within_an_epoch(self, make, small_config):
        trainer = make(small_config(*SHAPES["everything at once"]), [0, 1])
        epochs = trainer.epochs()
        next(epochs)  # which captures
        trainer.epoch += 1
        torch.cuda.set_sync_debug_mode("error")
        try:
            with torch.inference_mode():
                trainer._train(0.1)
                trainer._measure()
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_graphs_take_the_steps_where_they_can(small_config, monkeypatch):
    assert type(Trainers(small_config(), device="cuda").of([0])) is GraphedTrainer
    assert type(Trainers(small_config("training.compiled=never"), device="cuda").of([0])) is Trainer
    monkeypatch.setattr(Tanh, "forward", lambda layer, x: setattr(layer, "y", x * x.sum().item()) or layer.y)
    assert type(Trainers(small_config(), device="cuda").of([0])) is Trainer


def test_repeated_steps_are_those_taken_one_by_one(small_config):
    config = small_config(DOUBLE, "optimizer={sgd: {lr: 0.1, momentum: 0.5}}")
    ours, theirs = train(config, [0, 1], graphed), train(config, [0, 1], one_by_one)
    for seed in (0, 1):
        for name, numbers in ours[seed].round.weights.items():
            np.testing.assert_allclose(numbers, theirs[seed].round.weights[name], 1e-12, 1e-12)


def test_what_cannot_be_captured_after_all_is_told(small_config, monkeypatch):
    """What comes from the GPU in a way that does not show on the CPU."""
    monkeypatch.setattr(
        Tanh, "forward", lambda layer, x: setattr(layer, "y", x * x.cpu().sum().to(x.device)) or layer.y
    )
    trainer = Trainers(small_config(), device="cuda").of([0])
    assert type(trainer) is GraphedTrainer
    with pytest.raises(
        TrainingError, match=r"the steps cannot be captured in a CUDA graph: .* set training.compiled to never"
    ):
        next(trainer.epochs())


def test_captured_work_is_repeated():
    total = torch.zeros((), device="cuda")
    repeat = CudaGraphs(torch.device("cuda"))(lambda: total.add_(1))
    assert total.item() == 1
    repeat()
    assert total.item() == 2


def error_of_products():
    numbers = torch.Generator().manual_seed(0)
    a, b = (torch.randn(4, 64, 64, generator=numbers) for _ in range(2))
    return (torch.bmm(a.cuda(), b.cuda()).cpu() - torch.bmm(a.double(), b.double())).abs().max().item()


def test_products_are_exact_unless_asked_otherwise(small_config):
    assert not torch.backends.cuda.matmul.allow_tf32
    with matmul_precision("highest"):
        assert error_of_products() < 1e-4
    if torch.cuda.get_device_capability() >= (8, 0):
        with matmul_precision("high"):
            assert error_of_products() > 1e-3
    wide = "training.matmul_precision=high", "model.0.linear=64", "model.2.linear=64"
    assert np.isfinite(train(small_config(*wide), [0], graphed)[0].round.weights["0.weight"]).all()


@pytest.mark.parametrize("settings", [(), ("training.validation=0.2", "optimizer={adam: 0.01}", "data_seed=round")])
@pytest.mark.parametrize("rounds", [100, 1000])
def test_memory_is_not_more_than_estimated(small_config, settings, rounds):
    config = load_config(CONFIGS / "disc.yaml", [*settings, "training.epochs=2", f"sweep.rounds={rounds}"])
    expected = Footprint(build(config), device="cuda").of(rounds).on("cuda")
    train(small_config(), [0], graphed)  # so that libraries have taken what they keep
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    trainer = Trainers(config, device="cuda").of(range(rounds))
    for _ in trainer.epochs():
        pass
    used = torch.cuda.max_memory_allocated() - before
    assert expected / 10 < used < expected


def test_there_is_no_gpu_beyond_the_last():
    with pytest.raises(InputError, match="there is no such GPU"):
        find_device(f"cuda:{torch.cuda.device_count()}")


def test_a_run_goes_on_on_the_cpu(minidl, small_file, no_figures):
    first = minidl("train", small_file, "--device", "cuda", "--json")
    assert first.code == 0, first.err
    run = json.loads(first.out)["run"]
    assert "CUDA graph" in json.loads((Path(run) / "environment.json").read_text())["steps"]
    more = minidl("train", "--resume", run, "--device", "cpu", "-s", "training.epochs=5", "--json")
    assert more.code == 0, more.err
    assert minidl("eval", run).code == 0
