"""How minidl and scikit-learn are held side by side on the shipped tables."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks.shipped import ACCURACY, DEFAULTS, FOLDER, NAMES, PEERS, R2, RMSE, Figures, Result, Round, Samples, Work
from minidl_cli.training.build import build, load_config


@pytest.fixture(scope="module", params=NAMES)
def work(request) -> Work:
    return Work.of(FOLDER / f"{request.param}.yaml")


def test_a_config_asks_for_20_rounds_of_one_split_each(work):
    assert work.config.sweep.rounds == len(work.rounds) == 20
    assert work.config.data_seed == "round"
    first, second = work.rounds[:2]
    assert not np.array_equal(first.test.inputs, second.test.inputs)


def test_both_sides_have_the_same_samples(work):
    """Those that minidl trains on, as `build` gives them."""
    task = build(load_config(work.path, ["training.dtype=float64"]))
    for each in work.rounds[:3]:
        samples = task.samples([each.seed])
        for name, ours in (("train", each.train), ("test", each.test)):
            ((inputs, targets),) = samples[name].in_order(1, len(samples[name]))
            assert np.array_equal(inputs[0].T.numpy(), ours.inputs)
            expected = targets[0].argmax(dim=0) if work.learns_classes else targets[0, 0]
            assert np.array_equal(expected.numpy(), ours.targets)


def test_the_peer_has_the_architecture_of_the_config(work):
    kind = MLPClassifier if work.learns_classes else MLPRegressor
    _, network = DEFAULTS._model(work, seed=7).steps[-1]
    expected = kind(hidden_layer_sizes=work.hidden_widths, activation="relu", random_state=7)
    assert isinstance(network, kind)
    assert network.get_params() == expected.get_params()
    linear = [layer.arguments["out_features"] for layer in work.config.model if layer.name == "linear"]
    assert list(work.hidden_widths) == linear[:-1]


def test_only_the_first_peer_is_as_it_comes():
    assert PEERS[0] is DEFAULTS
    assert DEFAULTS.settings == {}
    assert all(peer.settings or not peer.standardizes for peer in PEERS[1:])


@pytest.fixture
def numbers() -> Work:
    """Two rounds of a regression with two test samples each."""
    tests = [Samples(np.zeros((2, 1)), np.array(targets)) for targets in ([1.0, 3.0], [2.0, 8.0])]
    work = Work.of(FOLDER / "diabetes.yaml")
    return replace(work, rounds=[Round(seed, test, test) for seed, test in enumerate(tests)])


def test_a_regression_is_judged_as_scikit_learn_judges(numbers):
    from benchmarks.shipped import _regression

    predictions = [np.array([1.5, 2.0]), np.array([2.0, 7.0])]
    pairs = [(each.test.targets, found) for each, found in zip(numbers.rounds, predictions, strict=True)]
    judged = _regression(numbers, [float(np.square(true - found).mean()) for true, found in pairs])
    assert judged[R2] == pytest.approx([r2_score(*pair) for pair in pairs], abs=1e-12)
    assert judged[RMSE] == pytest.approx([root_mean_squared_error(*pair) for pair in pairs], abs=1e-12)


@pytest.mark.parametrize(
    ("metric", "ours", "theirs", "peer", "ending"),
    [
        (ACCURACY, [0.9, 1.0], [0.9, 0.9], DEFAULTS, "**0.0500** (−0.5853 to 0.6853) | at least as good: met |"),
        (ACCURACY, [0.9, 0.9], [0.9, 1.0], DEFAULTS, "**−0.0500** (−0.6853 to 0.5853) | at least as good: missed |"),
        (ACCURACY, [0.9, 0.9], [0.9, 1.0], PEERS[1], "**−0.0500** (−0.6853 to 0.5853) |  |"),
        (RMSE, [50.0, 52.0], [60.0, 61.0], DEFAULTS, "**−9.50** (−15.85 to −3.15) | at least as good: met |"),
        (RMSE, [60.0, 61.0], [50.0, 52.0], DEFAULTS, "**9.50** (3.15 to 15.85) | at least as good: missed |"),
    ],
)
def test_a_row_has_the_difference_of_pairs_and_whether_the_goal_is_met(numbers, metric, ours, theirs, peer, ending):
    result = Result(numbers, metric, peer, Figures({metric: ours}, 1.5), Figures({metric: theirs}, 0.25))
    assert result.row.endswith(ending)
    assert f"| 1.50 s | {peer.name} |" in result.row
    assert "| 250 ms |" in result.row
