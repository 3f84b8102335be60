"""What is fitted to the data, as the network applies it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from minidl_cli.nn.layers.linear import Linear
from minidl_cli.nn.preprocessing import Preprocessing
from minidl_cli.nn.sequential import Sequential


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def preprocessing(fitted: dict[str, Tensor]) -> Preprocessing:
    made = Preprocessing({name: values.shape[1] for name, values in fitted.items()})
    for buffer in made.buffers.values():
        buffer.value = torch.empty(0, dtype=torch.float64)
    made.load(fitted)
    return made


def test_each_round_scales_inputs_its_own_way():
    center, scale, x = drawn(3, 4), drawn(3, 4, seed=1), drawn(3, 4, 5, seed=2)
    found = preprocessing({"inputs.center": center, "inputs.scale": scale}).scale_inputs(x)
    for index in range(3):
        for feature in range(4):
            expected = (x[index, feature] - center[index, feature]) * scale[index, feature]
            assert torch.equal(found[index, feature], expected)


def test_gaps_are_filled_before_scaling():
    x = torch.tensor([[[1.0, torch.nan], [torch.nan, 4.0]]], dtype=torch.float64)
    fitted = {"inputs.center": [[1.0, 2.0]], "inputs.scale": [[10.0, 100.0]], "inputs.fill": [[3.0, 2.5]]}
    found = preprocessing({name: torch.tensor(values) for name, values in fitted.items()}).scale_inputs(x)
    assert found.tolist() == [[[0.0, 20.0], [50.0, 200.0]]]


def test_without_fill_gaps_remain():
    x = torch.full((1, 1, 1), torch.nan)
    assert preprocessing({"inputs.center": torch.ones(1, 1), "inputs.scale": torch.ones(1, 1)}).scale_inputs(x).isnan()


def test_nothing_fitted_changes_nothing():
    x = drawn(2, 3, 4)
    nothing = Preprocessing({})
    assert nothing.scale_inputs(x) is x
    assert nothing.scale_targets(x) is x
    assert nothing.unscale(x) is x
    assert nothing.weights(x, 0.5) is None


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 100))
def test_predictions_go_back_to_the_targets_own_units(rounds, outputs, seed):
    target = drawn(rounds, outputs, 6, seed=seed)
    scale = drawn(rounds, outputs, seed=seed + 1).abs() + 0.1
    scaling = preprocessing({"targets.center": drawn(rounds, outputs, seed=seed + 2), "targets.scale": scale})
    assert torch.allclose(scaling.unscale(scaling.scale_targets(target)), target, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("absent", "present"), [(0.0, 1.0), (-1.0, 1.0), (0.1, 0.9)])
def test_a_sample_counts_as_its_class_does(absent, present):
    classes = torch.tensor([0, 2, 1, 2])
    one_hot = torch.where(torch.arange(3).unsqueeze(1) == classes, present, absent).expand(2, -1, -1)
    weight = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    found = preprocessing({"classes.weight": weight}).weights(one_hot, (absent + present) / 2)
    assert found.tolist() == [[[1.0, 3.0, 2.0, 3.0]], [[4.0, 6.0, 5.0, 6.0]]]


def test_a_single_output_has_two_classes():
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    targets = torch.tensor([[[0.0, 1.0, 1.0]]]).expand(2, -1, -1)
    assert preprocessing({"classes.weight": weight}).weights(targets, 0.5).tolist() == [[[1, 2, 2]], [[3, 4, 4]]]


def test_a_round_by_itself_has_its_own_numbers():
    fitted = {"inputs.center": drawn(3, 2), "inputs.scale": drawn(3, 2, seed=1)}
    x, whole = drawn(3, 2, 4, seed=2), preprocessing(fitted)
    for index in range(3):
        alone = whole.of_round(index).scale_inputs(x[index : index + 1])
        assert torch.equal(alone, whole.scale_inputs(x)[index : index + 1])


def test_the_network_keeps_what_was_fitted_with_its_weights():
    network = Sequential([Linear(1)], 2, fitted={"inputs.center": 2, "inputs.scale": 2, "targets.center": 1})
    assert network.state_shapes()["inputs.center"] == (2,)
    network.allocate(3, torch.float64)
    network.initialize([0, 1, 2])
    x = drawn(3, 2, 5)
    before = network.forward(x)  # nothing is changed until something was fitted
    center = drawn(3, 2, seed=1)
    network.preprocessing.load(
        {"inputs.center": center, "inputs.scale": torch.ones(3, 2), "targets.center": torch.zeros(3, 1)}
    )
    assert torch.allclose(network.forward(x + center.unsqueeze(2)), before, rtol=1e-12)
    network.keep([2])
    assert torch.equal(network.state()["inputs.center"], center[2:])
    center.zero_()
    assert network.state()["inputs.center"].abs().min() > 0  # it was copied
