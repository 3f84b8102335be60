"""Which rounds train together, and in how many processes."""

import pytest

from minidl_cli import load_config
from minidl_cli.sweeps import plan as planning
from minidl_cli.sweeps.plan import default_workers, expected_seconds, plan
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


@pytest.mark.parametrize("rounds", [1, 2, 7, 100])
@pytest.mark.parametrize("settings", [{}, {"workers": 3}, {"chunk": 3}, {"workers": 2, "chunk": 9}])
@pytest.mark.parametrize("length", [LONG, SHORT])
def test_every_round_is_in_one_chunk(task, rounds, settings, length):
    planned = plan(task(f"sweep.rounds={rounds}", "seed=5", length), **settings)
    assert [seed for chunk in planned.chunks for seed in chunk] == list(range(5, 5 + rounds))
    assert 1 <= planned.workers <= min(len(planned.chunks), settings.get("workers", 4))
    if "chunk" in settings:
        assert max(map(len, planned.chunks)) <= settings["chunk"]


def test_long_trainings_use_all_cores_and_short_ones_start_no_worker(task):
    assert plan(task("sweep.rounds=100", LONG)).workers == 4
    assert plan(task("sweep.rounds=100", SHORT)).workers == 1
    assert plan(task("sweep.rounds=100", SHORT), workers=2).workers == 2
    assert plan(task("sweep.rounds=1", LONG)).workers == 1


def test_a_single_core_starts_no_worker(task, monkeypatch):
    monkeypatch.setattr(planning, "default_workers", lambda: 1)
    assert plan(task("sweep.rounds=100", LONG)).workers == 1


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
    planned = plan(task("sweep.rounds=1000", LONG, "model.0.linear=200"), is_compiled=is_compiled)
    sizes = [len(chunk) for chunk in planned.chunks]
    assert max(sizes) * memory.vector_bytes(task("model.0.linear=200")) <= 2**20
    assert len(sizes) % 4 == 0
    assert max(sizes) - min(sizes[:-1]) == 0


def test_a_sweep_that_would_not_fit_is_split(task, monkeypatch):
    settings = ["sweep.rounds=64", LONG, "data_seed=round", "data.disc={train: 100000, test: 10}"]
    before = plan(task(*settings))
    assert {len(chunk) for chunk in before.chunks} == {16}
    one_round = memory.estimate(task(*settings), 1).total
    monkeypatch.setattr(planning, "physical_memory", lambda: 4 * 6 * one_round)
    after = plan(task(*settings))
    assert {len(chunk) for chunk in after.chunks} == {2}
    assert after.memory(task(*settings)).total < 4 * 6 * one_round
    assert len(plan(task(*settings), chunk=64).chunks) == 1  # as the user says


def test_pytorch_trains_one_round_after_the_other(task):
    assert {len(chunk) for chunk in plan(task("sweep.rounds=5", "framework=torch")).chunks} == {1}


def test_default_workers_are_the_cores_that_may_be_used():
    assert default_workers() >= 1


def test_the_shipped_sweep_uses_all_cores():
    planned = plan(build(load_config("configs/disc.yaml")))
    assert planned.workers == 4
    assert {len(chunk) for chunk in planned.chunks} == {25}
