"""The table of metrics, and what follows from it."""

import math

import pytest

from minidl_cli.metrics import METRICS, headline, measured, metric, title


def test_names_are_the_keys():
    assert list(METRICS) == [each.name for each in METRICS.values()]


def test_errors_are_better_low_and_shares_high():
    better_low = {name for name, each in METRICS.items() if not each.higher_is_better}
    assert better_low == {"loss", "mse", "rmse", "mae"}
    assert not any(METRICS[name].is_share for name in [*better_low, "r2"])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("test_mse", "test MSE"),
        ("validation_balanced_accuracy", "validation balanced accuracy"),
        ("data_r2", "data R²"),
    ],
)
def test_a_part_comes_before_the_title(name, shown):
    assert title(name) == shown
    assert metric(name).title == shown.partition(" ")[2]


def test_unknown_metric():
    with pytest.raises(KeyError):
        metric("test_acc")


@pytest.mark.parametrize("of_classes", [True, False])
def test_what_is_measured_is_in_the_table(of_classes):
    assert set(measured(of_classes=of_classes)) <= METRICS.keys()


def test_headline():
    assert headline([f"test_{name}" for name in measured(of_classes=True)]) == "test_accuracy"
    assert headline([f"test_{name}" for name in measured(of_classes=False)]) == "test_mse"


@pytest.mark.parametrize(
    ("name", "mean", "margin"),
    [
        ("accuracy", 0.5, 0.01),
        ("r2", -2.0, 0.01),
        ("mse", 0.5, 0.05),
        ("mae", 3000.0, 300.0),
        ("mse", 0.0, None),
        ("loss", -1.0, None),
        ("mse", math.inf, None),
        ("mse", math.nan, None),
    ],
)
def test_differences_too_small_to_matter(name, mean, margin):
    found = METRICS[name].margin(mean)
    assert found is None if margin is None else found == pytest.approx(margin)
