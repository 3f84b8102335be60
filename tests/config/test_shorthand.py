"""The three ways of writing a component mean the same."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidl_cli.config.load import load
from minidl_cli.config.schema import Config
from minidl_cli.config.shorthand import spell_out
from minidl_cli.config.yaml_tree import read_tree
from minidl_cli.errors import InputError
from minidl_cli.registry import Component, Kind, StrictModel
from minidl_cli.training.build import registry


@pytest.mark.parametrize(
    ("key", "ways"),
    [
        ("data", ["disc", "{disc: }", "{disc: ~}", "{disc: {}}", "{disc: 1000}", "{disc: {train: 1000, test: 1000}}"]),
        ("data", ["{disc: 7}", "{disc: {train: 7}}"]),
        ("data", ["{disc: {target_values: [-1, 1]}}", "{disc: {target_values: [-1.0, 1.0]}}"]),
        ("loss", ["mse", "{mse: }", "{mse: {}}", "{mse: mean}", "{mse: {reduction: mean}}", "\n  mse:\n"]),
        ("optimizer", ["{sgd: 0.3}", "{sgd: {lr: 0.3}}", "\n  sgd: 0.3", "\n  sgd:\n    lr: 0.3"]),
        ("optimizer", ["{sgd: 2}", "{sgd: {lr: 2.0, nesterov: false}}"]),
        ("model", ["[tanh]", "[tanh: ]", "[tanh: {}]", "['tanh']", "\n  - tanh", "\n  - tanh:", "\n- tanh:\n"]),
        ("model", ["[linear: 25]", "[linear: {out_features: 25}]", "[{linear: {out_features: 25, bias: true}}]"]),
        (
            "model",
            [
                "[linear: {out_features: 25, init: normal}]",
                "[linear: {out_features: 25, init: {normal: }}]",
                "[linear: {out_features: 25, init: {normal: {}}}]",
                "[linear: {out_features: 25, init: {normal: 1}}]",
                "[linear: {init: {normal: {std: 1.0}}, out_features: 25}]",
            ],
        ),
        (
            "model",
            [
                "[linear: {out_features: 25, init: {normal: 0.5}}]",
                "[linear: {out_features: 25, init: {normal: {std: 0.5}}}]",
                "\n- linear:\n    out_features: 25\n    init:\n      normal: 0.5",
            ],
        ),
        ("model", ["[linear: 3, linear: 3, tanh]", "[&a {linear: 3}, *a, tanh: ]"]),
    ],
)
def test_ways_of_writing_give_equal_configs(key: str, ways: list[str], base_with: Any, load_text: Any):
    first, *others = [load_text(base_with(**{key: way})) for way in ways]

    assert others
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("model", "[tanh]", "[relu]"),
        ("model", "[tanh]", "[tanh, tanh]"),
        ("model", "[linear: 25]", "[linear: 26]"),
        ("model", "[linear: 25]", "[linear: {out_features: 25, bias: false}]"),
        ("model", "[linear: {out_features: 2, init: normal}]", "[linear: {out_features: 2, init: {normal: 0.5}}]"),
        ("model", "[linear: {out_features: 2, init: normal}]", "[linear: 2]"),
        ("name", "a", "b"),
    ],
)
def test_different_meanings_give_different_configs(key: str, one: str, other: str, base_with: Any, load_text: Any):
    assert load_text(base_with(**{key: one})) != load_text(base_with(**{key: other}))


def test_config_is_equal_to_nothing_else(base_with: Any, load_text: Any):
    config = load_text(base_with())

    assert config != config.resolved()


@given(st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_any_components_in_any_way_of_writing(drawn_configs: Any, load_text: Any, data: st.DataObject):
    drawn = data.draw(drawn_configs)
    text = drawn.write(lambda ways: data.draw(st.sampled_from(ways)))

    config = load_text(text)

    assert drawn.is_part_of(config)
    assert config == load_text(drawn.spelled_out())


@given(st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_spelling_out_twice_is_spelling_out_once(drawn_configs: Any, data: st.DataObject):
    text = data.draw(drawn_configs).write(lambda ways: data.draw(st.sampled_from(ways)))
    root = read_tree(text.encode(), "c.yaml")
    spell_out(root, Config, registry())
    once = root.plain()

    spell_out(root, Config, registry())

    assert root.plain() == once
    assert all(isinstance(layer, dict) for layer in once["model"])


def test_components_are_spelled_out_wherever_a_model_has_them():
    class Inner(StrictModel):
        loss: Annotated[Component, Kind("loss")]

    class Outer(StrictModel):
        inner: Inner
        losses: list[Annotated[Component, Kind("loss")]]
        name: str

    root = read_tree(b"inner: {loss: mse}\nlosses: [mse: sum, mse]\nname: mse", "c.yaml")

    spell_out(root, Outer, registry())

    assert root.plain() == {
        "inner": {"loss": {"mse": {}}},
        "losses": [{"mse": {"reduction": "sum"}}, {"mse": {}}],
        "name": "mse",
    }


def test_a_value_keeps_its_place(base_with: Any, problems: Any):
    ways = ["[linear: 0]", "[linear: {out_features: 0}]"]
    found = [problems(base_with(model=way)) for way in ways]

    assert found == [
        ["c.yaml:5:17: model.0.linear.out_features: must be greater than 0, not 0"],
        ["c.yaml:5:32: model.0.linear.out_features: must be greater than 0, not 0"],
    ]


# Mappings whose keys are numbers

STEPS = '''
from minidl_cli.nn.layer import Layer
from minidl_cli.registry import Positive


class Steps(Layer):
    """A layer whose first argument is a mapping."""

    def __init__(self, values: dict[KEY, Positive], smooth: bool = False):
        self.values, self.smooth = values, smooth

    def forward(self, x):
        return x

    def backward(self, grad):
        return grad
'''


@pytest.fixture
def steps(registry_with_layer: Any, base_with: Any, tmp_path: Path) -> Callable[..., Any]:
    """Returns the arguments of a layer `steps: TEXT`, or the lines of the error that it is."""

    def read(text: str, key: str = "int", settings: Sequence[str] = ()) -> Any:
        file = tmp_path / "c.yaml"
        file.write_text(base_with(model=f"[steps: {text}]"))
        try:
            config = load(file, settings, registry_with_layer("steps", STEPS.replace("KEY", key)))
        except InputError as error:
            return [line.replace(f"{tmp_path}/", "") for line in error.problems]
        return config.model[0].arguments

    return read


@pytest.mark.parametrize(
    ("key", "text", "values"),
    [
        ("int", "{0: 0.1, 100: 0.03}", {0: 0.1, 100: 0.03}),
        ("int", "{values: {0: 0.1, 100: 0.03}}", {0: 0.1, 100: 0.03}),
        ("int", "{smooth: false, values: {0: 0.1}}", {0: 0.1}),
        ("int", "{values: {}}", {}),
        ("float", "{0.5: 1}", {0.5: 1.0}),
    ],
)
def test_mapping_whose_keys_are_numbers_is_a_first_argument(key: str, text: str, values: Any, steps: Any):
    assert steps(text, key) == {"values": values, "smooth": False}


@pytest.mark.parametrize(
    ("key", "text", "problems"),
    [
        ("int", "{}", ["16: model.0.steps.values: missing"]),
        ("int", "{0: 0.1, 7: -1}", ["28: model.0.steps.values.7: must be greater than 0, not -1"]),
        ("int", "{0: 0.1, 1O: 1}", ["25: model.0.steps.values.1O: the key must be a whole number, not the text '1O'"]),
        ("float", "{0.5: x}", ["22: model.0.steps.values.0.5: must be a number, not the text 'x'"]),
        ("int", "{values: {0: 1}, 3: 1}", ["33: model.0.steps.3: unknown key; known here: values, smooth"]),
        (
            "int",
            "{value: {0: 1}}",
            ["16: model.0.steps.values: missing", "17: model.0.steps.value: unknown key; did you mean 'values'?"],
        ),
    ],
)
def test_mistakes_in_mappings_of_numbers(key: str, text: str, problems: list[str], steps: Any):
    assert steps(text, key) == [f"c.yaml:5:{problem}" for problem in problems]


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("values.100=0.5", {-1: 0.1, 0: 0.2, 100: 0.5}),
        ("values.0=0.5", {-1: 0.1, 0: 0.5}),
        ("values.-1=0.5", {-1: 0.5, 0: 0.2}),
        ("values={7: 0.5}", {7: 0.5}),
    ],
)
def test_overrides_below_keys_that_are_numbers(setting: str, values: Any, steps: Any):
    assert steps("{-1: 0.1, 0: 0.2}", settings=[f"model.0.steps.{setting}"]) == {"values": values, "smooth": False}
