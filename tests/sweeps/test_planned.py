"""What is refused before a run folder is made, because it does not fit into memory."""

from dataclasses import replace

import pytest

from minidl_cli.display.text import readable
from minidl_cli.errors import InputError
from minidl_cli.sweeps import plan as planning
from minidl_cli.sweeps.plan import THIS_MACHINE, Capacity
from minidl_cli.sweeps.planned import Planned, first_files
from minidl_cli.training.build import build
from minidl_cli.training.memory import Footprint, result_bytes

WIDE = ("model.0.linear=2000", "model.2.linear=2000", "training.compiled=never")
ELSEWHERE = "the cluster"


@pytest.fixture
def refusal(small_config):
    """Returns the line with which a config is refused, given what there is to train on."""

    def refusal(capacity, *settings, chunk=None):
        with pytest.raises(InputError) as caught:
            Planned(small_config(*WIDE, *settings), capacity, chunk)
        (line,) = caught.value.problems
        return line

    return refusal


@pytest.fixture
def one_round(small_config):
    """The memory that a stack of one round takes."""
    return Footprint(build(small_config(*WIDE))).of(1)


def here(monkeypatch, memory):
    monkeypatch.setattr(planning, "physical_memory", lambda: memory)
    return Capacity(None, memory)


def test_what_fits_by_a_hair_is_not_refused(small_config, one_round):
    assert [len(chunk) for chunk in Planned(small_config(*WIDE), Capacity(1, one_round.total)).plan.chunks] == [1]
    with pytest.raises(InputError):
        Planned(small_config(*WIDE), Capacity(1, one_round.total - 1))


def test_a_lone_round_that_does_not_fit(refusal, one_round, monkeypatch):
    line = refusal(here(monkeypatch, one_round.total // 2))
    needed, there = readable(one_round.total), readable(one_round.total // 2)
    assert f"this would take about {needed} of memory, but this machine has {there};" in line
    assert line.endswith("what helps: a smaller model or batch size")


def test_more_workers_than_have_room(refusal, one_round):
    line = refusal(Capacity(3, 2 * one_round.total), "sweep.rounds=9")
    assert line.endswith("what helps: fewer workers, a smaller model or batch size")


def test_a_larger_stack_than_has_room(refusal, one_round):
    line = refusal(Capacity(1, 2 * one_round.total), "sweep.rounds=9", chunk=9)
    assert line.endswith("what helps: a smaller chunk, a smaller model or batch size")


def test_the_log_of_very_many_epochs(refusal, monkeypatch):
    line = refusal(here(monkeypatch, 2**32), "training.epochs=100000000")
    assert " of it for the metrics of all epochs, but this machine has 4.3 GB" in line
    assert "a larger training.log_every" in line


def test_the_log_is_kept_here_wherever_rounds_train(refusal, monkeypatch):
    here(monkeypatch, 2**32)
    line = refusal(Capacity(8, 2**50, place=ELSEWHERE, host=2**50), "training.epochs=100000000")
    assert ", but this machine has 4.3 GB" in line


@pytest.mark.parametrize(("workers", "times"), [(2, 4), (100, 7)])
def test_results_and_checkpoints_are_kept_here_wherever_rounds_train(small_config, monkeypatch, workers, times):
    """Results four times, while they are written; or beside them, of each worker's round, state and momentum thrice."""
    many = small_config(*WIDE, "sweep.rounds=100")
    results = result_bytes(build(many), 100)
    here(monkeypatch, int((times + 0.1) * results))
    Planned(many, Capacity(workers, 2**50, place=ELSEWHERE, host=2**50), chunk=1)
    here(monkeypatch, int((times - 0.1) * results))
    with pytest.raises(InputError, match="but this machine has"):
        Planned(many, Capacity(workers, 2**50, place=ELSEWHERE, host=2**50), chunk=1)


def test_a_cluster_here_takes_of_this_machine_what_is_beside_its_gpus(small_config, monkeypatch):
    one = Footprint(build(small_config(*WIDE)), device="cuda").of(1)
    results = result_bytes(build(small_config(*WIDE)), 1)
    here(monkeypatch, one.beside("cuda") + 2 * results)
    assert one.total > one.beside("cuda") + 2 * results
    gpus = Capacity(1, 2**50, "cuda", THIS_MACHINE)
    assert Planned(small_config(*WIDE, "training.compiled=never"), gpus).plan.memory == one


def test_workers_elsewhere(refusal, one_round):
    line = refusal(Capacity(2, one_round.total, place=ELSEWHERE, host=2**50), "sweep.rounds=9")
    assert f", but the cluster has {readable(one_round.total)};" in line


def test_a_run_folder_says_what_it_was_trained_on(small_config):
    config = small_config("sweep.rounds=6")
    planned = Planned(config, Capacity(2, 2**40))
    assert '"device": "cpu"' in planned.files()["environment.json"]
    assert '"workers": 2' in planned.files()["environment.json"]
    elsewhere = replace(planned.plan, device="cuda")
    assert '"device": "cuda"' in first_files(config, elsewhere, "", {})["environment.json"]
