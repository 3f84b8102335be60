"""Every layer has nodes in ONNX, which compute the same in onnxruntime."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidl_cli.data.columns import Column, Columns
from minidl_cli.exporting.onnx_layers import LAYERS
from minidl_cli.exporting.onnx_model import onnx_model
from minidl_cli.exporting.verification import session
from minidl_cli.training.build import registry
from tests.components import Case, cases

EXTRA = {
    "linear": [{"out_features": 3, "bias": False}],
    "batch_norm": [{"affine": False, "eps": 0.1}],
    "layer_norm": [{"elementwise_affine": False, "eps": 0.1}],
    "leaky_relu": [{"negative_slope": 0.3}, {"negative_slope": 0}, {"negative_slope": 1}],
    "elu": [{"alpha": 1.7}],
}
# In onnxruntime these operators, or an argument of theirs, are in single precision always.
SINGLE = {"leaky_relu", "elu", "gelu", "batch_norm", "layer_norm"}

NUMBERS = Columns((Column("x1"), Column("x2")), ("y",), None)


def outputs(example, x):
    """Returns the predictions for x `[samples, features]` of onnxruntime, and of minidl."""
    (found,) = session(onnx_model(example.trained).SerializeToString()).run(["prediction"], {"inputs": x.numpy()})
    return torch.from_numpy(found), example.predict(x)


def test_every_layer_has_nodes_and_none_is_left_over():
    assert LAYERS.keys() == registry().types["layer"].keys()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", cases("layer", EXTRA, Case), ids=str)
def test_a_layer_alone_and_between_others_gives_what_minidl_gives(example, case, dtype):
    layer = {case.name: case.arguments}
    bound = 1e-12 if dtype == "float64" and case.name not in SINGLE else 1e-5
    x = torch.randn(50, 2, dtype=getattr(torch, dtype), generator=torch.Generator().manual_seed(0))
    x[:4] = torch.tensor([[30.0, -30.0], [-8.0, 8.0], [0.0, -0.0], [1e-3, -1e-3]])
    for model in ([layer], [{"linear": 7}, layer, {"linear": 2}]):
        made = example(f"training.dtype={dtype}", model=model, columns=NUMBERS)
        found, expected = outputs(made, x)
        torch.testing.assert_close(found, expected, rtol=bound, atol=bound)


NAMES = sorted(set(LAYERS) - {"linear"})


# The fixture makes another example with every call, and keeps nothing of it.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.sampled_from(["linear", *NAMES]), max_size=6), samples=st.integers(1, 9))
def test_any_network_gives_what_minidl_gives(example, names, samples):
    model = [{"linear": 3 + place} if name == "linear" else name for place, name in enumerate(names)]
    made = example(model=[*model, {"linear": 2}], columns=NUMBERS)
    x = torch.randn(samples, 2, generator=torch.Generator().manual_seed(samples))
    found, expected = outputs(made, x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", cases("loss", {}, Case), ids=str)
def test_a_link_is_the_layer_that_it_names(case):
    output = torch.randn(1, 3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    loss = case.make()
    layer = Case("layer", loss.link_name, {}).make()
    torch.testing.assert_close(loss.link(output), layer.forward(output), rtol=1e-12, atol=0)
