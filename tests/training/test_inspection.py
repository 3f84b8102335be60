"""Looking inside: every intermediate result against autograd and against numbers worked out by hand."""

import json
from copy import deepcopy

import pytest
import torch
from torch import nn

from minidl_cli import evaluate
from minidl_cli.errors import InputError
from minidl_cli.nn.inspection import saturation, trace
from minidl_cli.nn.layers.identity import Identity
from minidl_cli.nn.layers.linear import Linear
from minidl_cli.nn.layers.relu import ReLU
from minidl_cli.nn.layers.sigmoid import Sigmoid
from minidl_cli.nn.layers.tanh import Tanh
from minidl_cli.nn.losses.mse import MSE
from minidl_cli.nn.sequential import Sequential
from minidl_cli.sweeps.sweep import sweep
from minidl_cli.training.build import build, load_config, registry
from minidl_cli.training.evaluation import predict, restore
from minidl_cli.training.inspection import finite, inspect
from tests.weights import replace_weights


@pytest.fixture
def make_run(small_config, tmp_path, no_figures):
    """Returns the run of the small config with overrides."""

    def make(*settings, rounds=1):
        return sweep(small_config(*settings, f"sweep.rounds={rounds}"), runs_dir=tmp_path / "runs", workers=1)

    return make


def make_layer(name, **arguments):
    return registry().make("layer", registry().component("layer", {name: arguments}))


def twin(run, place=0):
    """The same network of torch.nn, for linear, tanh, relu and sigmoid."""
    weights = run.weights()
    modules = []
    for index, component in enumerate(load_config(run.config_path).model):
        if component.name == "linear":
            weight = weights[f"{index}.weight"][place]
            module = nn.Linear(*reversed(weight.shape), dtype=weight.dtype)
            module.weight.data, module.bias.data = weight, weights[f"{index}.bias"][place]
        else:
            module = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}[component.name]()
        modules.append(module)
    return nn.ModuleList(modules)


class TestTrace:
    def test_network_worked_out_by_hand(self):
        """s = 2 x - 1, y = relu(s), z = 3 y + 0.5, for x = 2 and x = 0; L = (z - t)² / 2, summed over both samples."""
        network = Sequential([Linear(1), ReLU(), Linear(1)], 1)
        network.allocate(1, torch.float64)
        state = {"0.weight": [[[2]]], "0.bias": [[-1]], "2.weight": [[[3]]], "2.bias": [[0.5]]}
        network.load({name: torch.tensor(value, dtype=torch.float64) for name, value in state.items()})
        found = trace(network, MSE(), torch.tensor([[2.0], [0.0]]), torch.tensor([[8.5], [1.5]]))
        assert {name: output.tolist() for name, output in found.outputs.items()} == {
            "0": [[[3.0], [-1.0]]],
            "1": [[[3.0], [0.0]]],
            "2": [[[9.5], [0.5]]],
        }
        assert found.loss.tolist() == [1.0]
        assert {name: grad.tolist() for name, grad in found.output_gradients.items()} == {
            "0": [[[3.0], [0.0]]],
            "1": [[[3.0], [-3.0]]],
            "2": [[[1.0], [-1.0]]],
        }
        assert {name: grad.tolist() for name, grad in found.gradients.items()} == {
            "0.weight": [[[6.0]]],
            "0.bias": [[3.0]],
            "2.weight": [[[3.0]]],
            "2.bias": [[0.0]],
        }

    def test_results_are_kept_when_the_network_goes_on(self):
        network = Sequential([Linear(2), Tanh(), Linear(1)], 3)
        network.allocate(4, torch.float64)
        network.initialize(range(4))
        numbers = torch.Generator().manual_seed(0)
        batches = [torch.rand(5, 3, generator=numbers) for _ in range(2)]
        found = trace(network, MSE(), batches[0], torch.ones(5, 1))
        kept = deepcopy(found)
        trace(network, MSE(), batches[1], torch.ones(5, 1))
        for name in ("outputs", "output_gradients", "gradients"):
            torch.testing.assert_close(getattr(found, name), getattr(kept, name), rtol=0, atol=0)
        assert found.outputs["1"].shape == (4, 5, 2)

    def test_mode_is_the_networks_own(self):
        network = Sequential([Linear(2), make_layer("batch_norm")], 3)
        network.allocate(1, torch.float64)
        network.initialize([0])
        inputs = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
        used = trace(network, MSE(), inputs, torch.ones(5, 2)).outputs["1"]
        network.train()
        trained = trace(network, MSE(), inputs, torch.ones(5, 2)).outputs["1"]
        assert trained.mean(dim=1).abs().max() < 1e-12
        assert used.mean(dim=1).abs().max() > 1e-3


class TestSaturation:
    def test_sigmoid_and_tanh_far_from_zero(self):
        # The slope of tanh is 1 - y², below 0.01 where |y| > √0.99; that of a sigmoid y (1 - y), at most 1/4.
        border = torch.atanh(torch.tensor(0.99, dtype=torch.float64).sqrt())
        x = torch.stack([-border * 1.001, -border * 0.999, torch.zeros_like(border), border * 0.999, border * 1.001])
        expected = [[[True, False, False, False, True]]]
        assert saturation(Tanh(), x.view(1, 1, 5)).tolist() == expected
        assert saturation(Sigmoid(), 2 * x.view(1, 1, 5)).tolist() == expected

    def test_relu_where_it_gives_zero(self):
        assert saturation(ReLU(), torch.tensor([[[-1.0, 0.0, 1e-6, 5.0]]])).tolist() == [[[True, True, False, False]]]

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_leak_of_one_percent_is_a_slope(self, dtype):
        layer = make_layer("leaky_relu", negative_slope=0.01)
        assert not saturation(layer, torch.linspace(-50, 50, 101, dtype=dtype).view(1, 1, -1)).any()

    @pytest.mark.parametrize("name", ["elu", "gelu", "silu"])
    def test_smooth_relatives_of_relu(self, name):
        layer = make_layer(name)
        assert saturation(layer, torch.tensor([[[-20.0, -0.1, 0.0, 20.0]]])).tolist() == [[[True, False, False, False]]]

    def test_identity_never(self):
        assert not saturation(Identity(), torch.tensor([[[-1e9, 0.0, 1e9]]])).any()

    @pytest.mark.parametrize("name", ["softmax", "layer_norm", "batch_norm", "dropout"])
    def test_other_layers_have_none(self, name):
        layer = make_layer(name)
        layer.connect(3)
        # A softmax this sure of itself has no slope left at all.
        assert saturation(layer, torch.tensor([[[-900.0, 0.0, 900.0]]])) is None

    def test_what_a_layer_keeps_stays(self):
        layer = Tanh()
        layer.forward(torch.ones(1, 2, 3))
        before = layer.y
        saturation(layer, torch.zeros(1, 3, 2))
        assert layer.y is before


class TestInspect:
    @pytest.mark.parametrize(
        "model", ["[linear: 7, tanh, linear: 5, relu, linear: 2]", "[linear: 3, sigmoid, linear: 1]"]
    )
    def test_everything_agrees_with_autograd(self, make_run, model):
        run = make_run("training.dtype=float64", f"model={model}", "data_seed=round", rounds=3)
        inspection = inspect(run, seed=2, batch=9)
        network, outputs = twin(run, place=2), [inspection.inputs.clone()]
        for module in network:
            outputs.append(module(outputs[-1]))
            outputs[-1].retain_grad()
        loss = nn.functional.mse_loss(outputs[-1], inspection.targets.clone())
        loss.backward()
        assert inspection.loss == pytest.approx(loss.item(), abs=1e-12)
        close = {"rtol": 0, "atol": 1e-12}
        for layer, expected in zip(inspection.layers, outputs[1:], strict=True):
            torch.testing.assert_close(layer.output.clone(), expected.detach(), **close)
            torch.testing.assert_close(layer.output_gradient.clone(), expected.grad, **close)
        expected = {name: parameter.grad for name, parameter in network.named_parameters()}
        assert inspection.gradients.keys() == inspection.parameters.keys() == expected.keys()
        for name, gradient in inspection.gradients.items():
            torch.testing.assert_close(gradient.clone(), expected[name], **close)

    def test_samples_are_those_of_the_config(self, make_run):
        run = make_run("data_seed=round", "seed=5")
        config = load_config(run.config_path)
        part = build(config).dataset.draw(5)["test"]
        inspection = inspect(run, split="test", batch=4)
        assert inspection.samples == [0, 1, 2, 3]
        assert torch.equal(inspection.inputs, part.inputs[:, :4].T.float())
        assert inspection.targets.argmax(dim=1).tolist() == part.targets[:4].tolist()

    @pytest.mark.parametrize(
        "settings",
        [
            [],
            ["loss=bce_with_logits", "model.4.linear=1"],
            ["loss=cross_entropy"],
            ["model=[linear: 7, batch_norm, dropout: 0.5, tanh, linear: 2]"],
        ],
        ids=lambda settings: settings[0] if settings else "mse",
    )
    def test_sample_is_what_predict_gives(self, make_run, settings):
        run = make_run(*settings)
        task = build(load_config(run.config_path))
        network = restore(task.network, run.weights())
        for sample in (0, 46):
            inspection = inspect(run, sample=sample)
            assert inspection.samples == [sample]
            assert torch.equal(inspection.prediction, predict(network, task.judge, inspection.inputs)[0])

    def test_right_and_wrong_are_those_of_the_accuracy(self, make_run):
        run = make_run("training.epochs=20")
        for split, size in {"train": 47, "test": 31}.items():
            right = inspect(run, split=split, batch=1000).right
            assert len(right) == size
            assert 0 < sum(right) < size
            assert sum(right) / size == pytest.approx(evaluate(run, split)[f"{split}_accuracy"]["mean"])

    def test_statistics_of_chosen_weights(self, make_run):
        """A relu whose units get 0.5, -0.5 and x - 0.5 is dead in the second only; a tanh saturates at 9."""
        run = make_run("model=[linear: 3, relu, linear: 2, tanh, linear: 2]", "training.epochs=0")
        weights = {name: torch.zeros_like(values) for name, values in run.weights().items()}
        weights["0.bias"][0] = torch.tensor([0.5, -0.5, -0.5])
        weights["0.weight"][0, 2, 0] = 1
        weights["2.bias"][0, 0] = 9
        replace_weights(run, {name: values.numpy() for name, values in weights.items()})
        inspection = inspect(run, batch=40)
        positive = (inspection.inputs[:, 0] > 0.5).double().mean().item()
        linear, relu, _, tanh, _ = (layer.statistics() for layer in inspection.layers)
        assert 0 < positive < 1
        assert relu["saturated"] == pytest.approx((1 + 1 - positive) / 3)
        assert relu["dead"] == pytest.approx(1 / 3)
        assert (tanh["saturated"], tanh["dead"]) == (0.5, 0.5)
        assert linear.keys() == {"mean", "std", "min", "max"}
        assert (relu["min"], tanh["max"]) == (0, pytest.approx(1))
        outputs = inspection.layers[0].output.double()
        assert linear["mean"] == pytest.approx(outputs.mean().item())
        assert linear["std"] == pytest.approx(outputs.numpy().std(ddof=1))

    def test_sizes_of_gradients(self, make_run):
        inspection = inspect(make_run())
        gradient, weight = (values["2.weight"].double() for values in (inspection.gradients, inspection.parameters))
        sizes = inspection.document()["parameters"]["2.weight"]
        assert sizes == {
            "shape": [5, 7],
            "norm": pytest.approx(float(torch.linalg.vector_norm(weight))),
            "gradient_norm": pytest.approx(float(torch.linalg.vector_norm(gradient))),
            "gradient_mean": pytest.approx(float(gradient.abs().mean())),
            "gradient_max": pytest.approx(float(gradient.abs().max())),
            "ratio": pytest.approx(float(torch.linalg.vector_norm(gradient) / torch.linalg.vector_norm(weight))),
        }

    def test_parameter_of_zeros_has_no_ratio(self, make_run):
        run = make_run()
        replace_weights(run, {name: 0 * values.numpy() for name, values in run.weights().items()})
        assert "ratio" not in inspect(run).document()["parameters"]["4.bias"]

    def test_document_is_complete(self, make_run):
        document = inspect(make_run(), batch=6).document()
        assert finite(document) == document
        assert [len(document[name]) for name in ("inputs", "targets", "prediction", "right")] == [6] * 4
        for name in ("outputs", "output_gradients"):
            shapes = {place: tuple(torch.tensor(values).shape) for place, values in document[name].items()}
            assert shapes == {"0": (6, 7), "1": (6, 7), "2": (6, 5), "3": (6, 5), "4": (6, 2)}
        shapes = {name: list(torch.tensor(values).shape) for name, values in document["gradients"].items()}
        assert shapes == {name: sizes["shape"] for name, sizes in document["parameters"].items()}
        assert shapes["0.weight"] == [7, 2]

    def test_round_that_diverged_is_shown(self, make_run):
        run = make_run("model=[linear: 7, relu, linear: 2]", rounds=3)
        table = run.path / "rounds.csv"
        table.write_text(table.read_text().replace("0,finished", "0,diverged", 1))
        weights = {name: values.numpy().copy() for name, values in run.weights().items()}
        weights["0.weight"][0, 0, 0] = torch.nan
        replace_weights(run, weights)
        assert inspect(run).seed == 1  # the first that finished
        inspection = inspect(run, seed=0)
        assert inspection.status == "diverged"
        document = finite(inspection.document())
        json.dumps(document, allow_nan=False)
        assert document["loss"] is None
        assert (document["layers"][1]["saturated"], document["layers"][1]["dead"]) == (None, None)
        assert document["parameters"]["0.weight"]["norm"] is None

    def test_best_weights_where_early_stopping_chose_them(self, make_run):
        run = make_run("training.validation=0.2", "training.early_stopping={patience: 2}", "training.epochs=6")
        assert inspect(run).weights == "best"
        assert inspect(run, weights="last").weights == "last"
        best = run.weights("best")["0.weight"][0]
        assert torch.equal(inspect(run).parameters["0.weight"], best)
        assert inspect(run, split="validation").split == "validation"

    def test_what_is_not_there(self, make_run):
        run = make_run(rounds=2)
        for arguments, problem in [
            ({"seed": 3}, "has no round of seed 3; its seeds are 0 to 1"),
            ({"sample": 47}, "there is no sample 47 in train; its samples are 0 to 46"),
            ({"sample": -1}, "there is no sample -1 in train"),
            ({"batch": 0}, "a batch of 0 has no samples"),
            ({"split": "tset"}, "'tset' is no part of the data; there are train, test"),
            ({"weights": "best"}, "best"),
        ]:
            with pytest.raises(InputError, match=problem) as caught:
                inspect(run, **arguments)
            assert len(caught.value.problems) == 1

    def test_damaged_runs(self, make_run, tmp_path):
        run, other = make_run(), make_run("model.0.linear=8")
        replace_weights(run, {name: values.numpy() for name, values in other.weights().items()})
        with pytest.raises(InputError, match=r"weights: 0\.bias is"):
            inspect(run)
        (run.path / "rounds.csv").write_text("seed,status,epochs\n")
        with pytest.raises(InputError, match=r"it has no rounds"):
            inspect(run)
        (run.path / "rounds.csv").unlink()
        with pytest.raises(InputError, match=r"has no rounds\.csv: the folder is damaged"):
            inspect(run)
