"""Which rounds train together, and in how many processes."""

from dataclasses import replace
from math import ceil

import pytest
import torch

from minidl_cli import load_config
from minidl_cli.sweeps import plan as planning
from minidl_cli.sweeps.plan import Capacity, capacity_here, default_workers, expected_seconds, faster_device, plan
from minidl_cli.sweeps.sweep import settled
from minidl_cli.sweeps.workers import Workers
from minidl_cli.training import memory
from minidl_cli.training.build import build

LONG, SHORT = "training.epochs=1000000", "training.epochs=1"


@pytest.fixture
def task(small_config):
    """Returns the task of the small config, with overrides."""
    return lambda *settings: build(small_config(*settings))


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(planning, "default_workers", lambda: 4)


def capacity(workers: int | None = None, memory: int = 2**40, device: str = "cpu") -> Capacity:
    return Capacity(workers, memory, device)


@pytest.mark.parametrize("rounds", [1, 2, 7, 100])
@pytest.mark.parametrize(("workers", "chunk"), [(None, None), (3, None), (None, 3), (2, 9)])
@pytest.mark.parametrize("length", [LONG, SHORT])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_round_is_in_one_chunk(task, rounds, workers, chunk, length, device):
    planned = plan(task(f"sweep.rounds={rounds}", "seed=5", length), capacity(workers, device=device), chunk)
    assert [seed for stack in planned.chunks for seed in stack] == list(range(5, 5 + rounds))
    assert 1 <= planned.workers <= min(len(planned.chunks), workers or 4)
    assert planned.device == device
    if chunk:
        assert max(map(len, planned.chunks)) <= chunk


def test_long_trainings_use_all_cores_and_short_ones_start_no_worker(task):
    assert plan(task("sweep.rounds=100", LONG), capacity()).workers == 4
    assert plan(task("sweep.rounds=100", SHORT), capacity()).workers == 1
    assert plan(task("sweep.rounds=100", SHORT), capacity(2)).workers == 2
    assert plan(task("sweep.rounds=1", LONG), capacity()).workers == 1
    assert plan(task("sweep.rounds=100", LONG), capacity(device="cuda")).workers == 1


def test_a_single_core_starts_no_worker(task, monkeypatch):
    monkeypatch.setattr(planning, "default_workers", lambda: 1)
    assert plan(task("sweep.rounds=100", LONG), capacity()).workers == 1


def test_expected_time_grows_with_the_work(task):
    def expected(*settings, is_compiled=True):
        return expected_seconds(task("sweep.rounds=10", "training.epochs=10", *settings), is_compiled)

    base = expected()
    assert expected("sweep.rounds=20") == pytest.approx(2 * base)
    assert expected("training.epochs=30") == pytest.approx(3 * base)
    assert expected("model.0.linear=500") > 2 * base
    assert base < expected(is_compiled=False) < expected("framework=torch", is_compiled=False)
    assert expected("training.epochs=0") == 0


@pytest.mark.parametrize(("is_compiled", "largest"), [(False, "STACK_BYTES"), (True, "COMPILED_STACK_BYTES")])
def test_stacks_are_bounded_and_divided_evenly(task, is_compiled, largest, monkeypatch):
    monkeypatch.setattr(planning, largest, 2**20)
    rounds = task("sweep.rounds=1000", LONG, "model.0.linear=200")
    planned = plan(rounds, capacity(), is_compiled=is_compiled)
    sizes = [len(chunk) for chunk in planned.chunks]
    assert max(sizes) * memory.vector_bytes(rounds) <= 2**20
    assert len(sizes) % 4 == 0
    assert max(sizes) - min(sizes[:-1]) == 0


def test_a_gpu_takes_all_rounds_as_one_stack_and_several_divide_them(task):
    rounds = task("sweep.rounds=1000", LONG, "model.0.linear=200")
    assert [len(chunk) for chunk in plan(rounds, capacity(device="cuda")).chunks] == [1000]
    assert [len(chunk) for chunk in plan(rounds, capacity(3, device="cuda")).chunks] == [334, 334, 332]


LARGE = ("sweep.rounds=64", LONG, "data_seed=round", "data.disc={train: 100000, test: 10}")


@pytest.mark.parametrize(("device", "stacks"), [("cpu", 2), ("cuda", 1)])
def test_stacks_are_as_large_as_memory_allows(task, device, stacks):
    rounds = task(*LARGE)
    for fitting in (1, 3, 5, 16):
        room = 4 * stacks * memory.Footprint(rounds, device=device).of(fitting).on(device)
        planned = plan(rounds, capacity(4, room, device))
        assert max(map(len, planned.chunks)) <= fitting
        assert len(planned.chunks) <= 4 * ceil(64 / fitting / 4)  # no more than there have to be
        assert planned.memory.on(device) <= room / stacks
    assert len(plan(rounds, capacity(4, 1), chunk=64).chunks) == 1  # as the user says


def test_checkpoints_of_a_gpu_s_stack_fit_into_the_memory_beside_it(task, monkeypatch):
    rounds = task(*LARGE)
    host = memory.Footprint(rounds, device="cuda").of(10).beside("cuda")
    monkeypatch.setattr(planning, "physical_memory", lambda: 2 * host)
    assert {len(chunk) for chunk in plan(rounds, capacity(device="cuda")).chunks} == {10, 4}
    monkeypatch.setattr(planning, "physical_memory", lambda: 1)  # of the machine that only hands out the work
    elsewhere = replace(capacity(2, device="cuda"), host=2 * host)
    assert {len(chunk) for chunk in plan(rounds, elsewhere).chunks} == {8}


def test_as_many_cores_train_as_can_have_a_round(task):
    rounds = task(*LARGE)
    for workers in (1, 2, 3, 4, 9):
        room = workers * memory.Footprint(rounds).of(1).total
        assert plan(rounds, capacity(None, room)).workers == min(workers, 4)
    assert plan(rounds, capacity(None, 1)).workers == 1
    assert plan(rounds, capacity(3, 1)).workers == 3  # as the user says


def test_stacks_that_were_begun_stay(task):
    rounds = task("sweep.rounds=7", LONG)
    assert list(map(list, plan(rounds, capacity(1), begun=[[1, 4]]).chunks)) == [[1, 4], [0, 2, 3, 5, 6]]
    assert list(map(list, plan(rounds, capacity(), begun=[list(range(7))]).chunks)) == [list(range(7))]


def test_pytorch_trains_one_round_after_the_other(task):
    planned = plan(task("sweep.rounds=5", "framework=torch"), capacity())
    assert {len(chunk) for chunk in planned.chunks} == {1}


class TestSettlingTheDevice:
    LARGE = ("sweep.rounds=100", "training.epochs=100", "training.batch_size=47", "model.0.linear=1000")
    LARGE += ("model.2.linear=1000",)

    def test_a_name_stands_for_itself(self, task):
        for name in ("cpu", "cuda", "cuda:1"):
            assert settled([task().config], None, name, Workers()) == name

    def test_what_is_large_goes_to_the_gpu_and_what_is_small_does_not(self, task):
        assert faster_device([task(*self.LARGE)]) == "cuda"
        assert faster_device([task("training.epochs=100")]) == "cpu"
        assert faster_device([task("sweep.rounds=1", LONG)]) == "cpu"  # which hardly fills a GPU
        assert faster_device([task("training.epochs=0")]) == "cpu"

    def test_variants_are_taken_together(self, task):
        one = task("sweep.rounds=100", "training.epochs=10", "training.batch_size=47", "model.0.linear=1000")
        assert faster_device([one]) == "cpu"
        assert faster_device([one] * 1000) == "cuda"

    def test_pytorch_s_modules_train_on_the_cpu(self, task):
        assert faster_device([task(*self.LARGE, "framework=torch")]) == "cpu"


class TestWhatAGPUHas:
    @pytest.fixture(autouse=True)
    def _one_gpu(self, monkeypatch):
        monkeypatch.setattr(planning, "find_device", torch.device)
        monkeypatch.setattr("minidl_cli.training.device.find_device", torch.device)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000 if device.index else 2000, 4000))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")

    def test_a_share_of_what_is_free_for_one_worker(self):
        assert capacity_here(None, "cuda") == Capacity(1, 1700, "cuda", "NVIDIA H200 (cuda)")
        assert capacity_here(3, "cuda:1") == Capacity(1, 850, "cuda:1", "NVIDIA H200 (cuda:1)")


def test_what_this_machine_has(monkeypatch):
    monkeypatch.setattr(planning, "physical_memory", lambda: 12)
    assert capacity_here() == Capacity(None, 12)
    assert capacity_here(3).for_each(3) == 4


def test_default_workers_are_the_cores_that_may_be_used():
    assert default_workers() >= 1


def test_the_shipped_sweep_uses_all_cores():
    planned = plan(build(load_config("configs/disc.yaml")), capacity())
    assert planned.workers == 4
    assert {len(chunk) for chunk in planned.chunks} == {25}
