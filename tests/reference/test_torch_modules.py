"""Every component has its counterpart in PyTorch, which computes the same from the same weights."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from minidl_cli.errors import InputError
from minidl_cli.reference import torch_modules
from minidl_cli.reference.torch_modules import check_counterparts, loss_function, module, optimizer
from minidl_cli.training.build import build, registry
from tests.components import Case, cases

MakeConfig = Callable[..., Any]


def layer_config(small_config: MakeConfig, case: Case) -> Any:
    model = [{"linear": 7}, {case.name: case.arguments}, {"linear": {"out_features": 2, "bias": False}}]
    return small_config("training.dtype=float64", f"model={json.dumps(model)}")


@pytest.mark.parametrize("kind", ["layer", "loss", "optimizer"])
def test_every_component_has_a_counterpart_and_none_is_left_over(kind: str) -> None:
    tables = {
        "layer": torch_modules.LAYERS,
        "loss": torch_modules.LOSSES,
        "optimizer": torch_modules.OPTIMIZERS,
    }
    assert tables[kind].keys() == registry().types[kind].keys()


@pytest.mark.parametrize("case", cases("layer", {"batch_norm": [{"affine": False}]}, Case), ids=str)
def test_a_network_has_the_same_weights_by_name_and_the_same_outputs(small_config: MakeConfig, case: Case) -> None:
    config = layer_config(small_config, case)
    network = build(config).network
    network.allocate(2, torch.float64)
    network.initialize([0, 1])
    counterpart = module(config, network.widths[0])
    names = [name for name in counterpart.state_dict() if not name.endswith("num_batches_tracked")]
    assert sorted(names) == sorted(network.state())
    counterpart.load_state_dict({name: values[1] for name, values in network.state().items()})
    x = torch.randn(2, 2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(counterpart.eval()(x[1].T).T, network.forward(x)[1], rtol=1e-12, atol=1e-12)


def test_making_a_network_draws_no_numbers(small_config: MakeConfig) -> None:
    before = torch.get_rng_state()
    module(small_config("model=[linear: 7, batch_norm, layer_norm, dropout, linear: 2]"), 2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_have_the_type_of_the_config(small_config: MakeConfig, dtype: str) -> None:
    network = module(small_config(f"training.dtype={dtype}", "model=[linear: 7, batch_norm, linear: 2]"), 2)
    assert {parameter.dtype for parameter in network.parameters()} == {getattr(torch, dtype)}


LOSSES: dict[str, list[dict[str, Any]]] = {
    "huber": [{"delta": 0.3, "reduction": reduction} for reduction in ("mean", "sum", "sum_outputs")],
    "cross_entropy": [{"label_smoothing": 0.1, "reduction": reduction} for reduction in ("mean", "sum")],
}


@pytest.mark.parametrize("case", cases("loss", LOSSES, Case), ids=str)
def test_losses_of_a_batch_and_their_derivatives_are_the_same(small_config: MakeConfig, case: Case) -> None:
    function = loss_function(small_config(f"loss={json.dumps({case.name: case.arguments})}"))
    generator = torch.Generator().manual_seed(0)
    output = torch.rand(9, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    target = torch.eye(3, dtype=torch.float64)[torch.randint(3, (9,), generator=generator)]
    found = function(output, target)
    (grad,) = torch.autograd.grad(found, output)
    columns = output.detach().T.unsqueeze(0), target.T.unsqueeze(0)
    loss = case.make()
    torch.testing.assert_close(found.detach(), loss.total(*columns)[0], rtol=1e-12, atol=0)
    torch.testing.assert_close(grad, loss.backward(*columns)[0].T, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("reduction", ["mean", "sum", "sum_outputs"])
def test_bce_of_what_is_no_number_is_no_number(small_config: MakeConfig, reduction: str) -> None:
    function = loss_function(small_config(f"loss={{bce: {reduction}}}"))
    output = torch.tensor([[0.5], [torch.nan]], requires_grad=True)
    found = function(output, torch.ones(2, 1))
    assert found.isnan()
    found.backward()  # and no error


@pytest.mark.parametrize("name", sorted(registry().types["optimizer"]))
def test_an_optimizer_has_the_arguments_of_the_config(small_config: MakeConfig, name: str) -> None:
    config = small_config(f"optimizer={json.dumps({name: {'lr': 0.123}})}")
    made = optimizer(config, module(config, 2).parameters())
    assert made.defaults.items() >= dict(config.optimizer.arguments).items()
    assert (made.defaults["foreach"], made.defaults["fused"]) == (None, None) if name != "rmsprop" else True


@pytest.mark.parametrize(
    ("table", "name", "place"),
    [
        ("LAYERS", "tanh", "small.yaml:4:20: model.1"),
        ("LOSSES", "mse", "small.yaml:5:7: loss"),
        ("OPTIMIZERS", "sgd", "small.yaml:7:3: optimizer"),
    ],
)
def test_a_component_without_a_counterpart_is_told_with_its_place(
    small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, table: str, name: str, place: str
) -> None:
    monkeypatch.delitem(getattr(torch_modules, table), name)
    with pytest.raises(InputError) as caught:
        check_counterparts(small_config())
    problem = f"{place}: {name} has no counterpart in PyTorch that minidl knows; use framework: minidl"
    assert str(caught.value).endswith(problem)
