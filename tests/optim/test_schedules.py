"""The battery that every schedule passes. The registry says which there are: a new one needs no edit here.

What PyTorch has too deserves a line in `COUNTERPARTS`, and its options sets of arguments in `ARGUMENTS`.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.optim import lr_scheduler

from minidl_cli.config.dump import to_yaml
from minidl_cli.config.schema import Config
from minidl_cli.training.build import load_config
from tests.components import Case, cases

ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "step": [{"step_size": 1}, {"step_size": 10, "gamma": 0.5}, {"step_size": 3, "gamma": 1.0}],
    "exponential": [{"gamma": 0.97}, {"gamma": 1.0}],
    "piecewise": [
        {"rates": {0: 0.1, 10: 0.03, 17: 0.01}},
        {"rates": {20: 0.5, 5: 0.2}},
        {"rates": {0: 2.0}},
    ],
    "cosine": [{"end_factor": 0.1}, {"warmup": 1}, {"warmup": 5}, {"warmup": 7, "end_factor": 0.01}, {"warmup": 29}],
}

Scheduler = lr_scheduler.LRScheduler
LR, EPOCHS = 0.3, 30


def piecewise(optimizer: torch.optim.Optimizer, rates: dict[int, float]) -> Scheduler:
    def factor(finished: int) -> float:
        begun = {first: rate for first, rate in sorted(rates.items()) if first <= finished}
        return list(begun.values())[-1] / LR if begun else 1.0

    return lr_scheduler.LambdaLR(optimizer, factor)


def cosine(optimizer: torch.optim.Optimizer, warmup: int = 0, end_factor: float = 0.0) -> Scheduler:
    falling = lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS - warmup, eta_min=end_factor * LR)
    if not warmup:
        return falling
    rising = lr_scheduler.LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
    return lr_scheduler.SequentialLR(optimizer, [rising, falling], milestones=[warmup])


# PyTorch's scheduler for an optimizer of learning rate `LR` and `EPOCHS` epochs.
COUNTERPARTS: dict[str, Callable[..., Scheduler]] = {
    "constant": lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1.0),
    "step": lr_scheduler.StepLR,
    "exponential": lr_scheduler.ExponentialLR,
    "piecewise": piecewise,
    "cosine": cosine,
}

CASES = cases("schedule", ARGUMENTS, Case)
every_schedule = pytest.mark.parametrize("case", CASES, ids=str)


def rates(name: str, lr: float, epochs: int, **arguments: Any) -> list[float]:
    """The learning rates of all epochs."""
    schedule = Case("schedule", name, arguments).make()
    return [schedule.rate(lr, finished, epochs) for finished in range(epochs)]


@pytest.mark.parametrize("case", [case for case in CASES if case.name in COUNTERPARTS], ids=str)
def test_the_rates_of_all_epochs_are_those_of_pytorch(case: Case) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = COUNTERPARTS[case.name](optimizer, **case.arguments)
    for found in rates(case.name, LR, EPOCHS, **case.arguments):
        assert found == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12, abs=0)
        optimizer.step()
        scheduler.step()


def test_every_schedule_is_held_against_pytorch() -> None:
    assert {case.name for case in CASES} == set(COUNTERPARTS)


@every_schedule
@settings(max_examples=40)
@given(lr=st.floats(1e-9, 1e3), epochs=st.integers(1, 100_000), data=st.data())
def test_a_rate_is_a_finite_number_and_a_pure_function(case: Case, lr: float, epochs: int, data: st.DataObject) -> None:
    finished = data.draw(st.integers(0, epochs - 1))
    schedule = case.make()
    found = schedule.rate(lr, finished, epochs)
    assert type(found) is float
    assert math.isfinite(found)
    assert found >= 0
    assert schedule.rate(lr, 0, epochs) > 0
    schedule.rate(lr / 2, epochs - 1, epochs)
    assert schedule.rate(lr, finished, epochs) == found == case.make().rate(lr, finished, epochs)


@pytest.mark.parametrize("case", [case for case in CASES if case.name != "piecewise"], ids=str)
@settings(max_examples=40)
@given(lr=st.floats(1e-6, 1e3), epochs=st.integers(1, 300), data=st.data())
def test_all_but_piecewise_scale_the_rate_of_the_optimizer(
    case: Case, lr: float, epochs: int, data: st.DataObject
) -> None:
    finished, schedule = data.draw(st.integers(0, epochs - 1)), case.make()
    assert schedule.rate(lr, finished, epochs) == pytest.approx(lr * schedule.rate(1.0, finished, epochs), rel=1e-14)
    assert schedule.rate(lr, finished, epochs) <= lr


def test_steps_by_hand() -> None:
    assert rates("step", 1.0, 7, step_size=3) == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01])


def test_piecewise_by_hand() -> None:
    assert rates("piecewise", 1.0, 5, rates={1: 0.5, 3: 0.7}) == [1.0, 0.5, 0.5, 0.7, 0.7]
    assert rates("piecewise", 1.0, 3, rates={2: 0.7, 0: 0.5}) == [0.5, 0.5, 0.7]
    assert rates("piecewise", 1.0, 2, rates={2: 0.7}) == [1.0, 1.0]


def test_a_cosine_falls_by_half_half_way() -> None:
    assert rates("cosine", 2.0, 4) == pytest.approx([2.0, 1 + math.sqrt(0.5), 1.0, 1 - math.sqrt(0.5)])
    assert rates("cosine", 2.0, 4, end_factor=0.5)[2] == pytest.approx(1.5)


def test_a_warm_up_rises_in_equal_steps_to_the_full_rate() -> None:
    assert rates("cosine", 1.0, 6, warmup=3) == pytest.approx(
        [0.25, 0.5, 0.75, 1, (1 + math.cos(math.pi / 3)) / 2, 0.25]
    )


@given(epochs=st.integers(1, 200), warmup=st.integers(0, 250), end_factor=st.floats(0, 1))
def test_a_cosine_rises_then_falls_and_no_epoch_has_a_rate_of_zero(epochs: int, warmup: int, end_factor: float) -> None:
    found = rates("cosine", 0.3, epochs, warmup=warmup, end_factor=end_factor)
    rising, falling = found[: warmup + 1], found[warmup:]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert min(found) > 0
    assert max(found) <= 0.3
    assert all(rate >= 0.3 * end_factor * (1 - 1e-14) for rate in falling)


@pytest.mark.parametrize("finished", [0, 50_000])
def test_rates_too_small_for_a_number_are_zero(finished: int) -> None:
    schedule = Case("schedule", "exponential", {"gamma": 0.5}).make()
    assert schedule.rate(1.0, finished, 100_000) == (0.0 if finished else 1.0)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("training.schedule={piecewise: {0: 0.1, 100: 0.03}}", {"piecewise": {"rates": {0: 0.1, 100: 0.03}}}),
        ("training.schedule.piecewise.rates.0=0.1", {"piecewise": {"rates": {0: 0.1}}}),
        ("training.schedule.step=10", {"step": {"step_size": 10, "gamma": 0.1}}),
        ("training.schedule=cosine", {"cosine": {"warmup": 0, "end_factor": 0.0}}),
    ],
)
def test_a_schedule_is_read_from_yaml_and_written_again(
    setting: str, expected: dict[str, Any], small_config: Callable[..., Config], tmp_path: Path
) -> None:
    config, again = small_config(setting), tmp_path / "again.yaml"
    assert config.resolved()["training"]["schedule"] == expected
    again.write_text(to_yaml(config.resolved()))
    assert load_config(again) == config


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("step", {"step_size": 0}),
        ("step", {"step_size": 3, "gamma": 0.0}),
        ("step", {"step_size": 3, "gamma": 1.5}),
        ("exponential", {"gamma": 1.01}),
        ("exponential", {"gamma": 0.0}),
        ("piecewise", {"rates": {}}),
        ("piecewise", {"rates": {-1: 0.1}}),
        ("piecewise", {"rates": {0: 0.0}}),
        ("piecewise", {"rates": {0.5: 0.1}}),
        ("piecewise", {"rates": {"0": 0.1}}),
        ("cosine", {"warmup": -1}),
        ("cosine", {"end_factor": 1.1}),
        ("cosine", {"end_factor": -0.1}),
    ],
)
def test_arguments_out_of_range_are_refused(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Case("schedule", name, arguments).make()
