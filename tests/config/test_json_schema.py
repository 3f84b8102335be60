"""The JSON Schema for editors says what the validator says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from minidl_cli.config.json_schema import json_schema
from minidl_cli.config.yaml_tree import read_tree
from minidl_cli.training.build import registry

FOLDER = Path(__file__).parents[2] / "configs"
CONFIGS = sorted(FOLDER.rglob("*.yaml"))
SCHEMA = json_schema(registry())
VALIDATOR = Draft202012Validator(SCHEMA)


def accepts(text: str) -> bool:
    return VALIDATOR.is_valid(read_tree(text.encode(), "c.yaml").plain())


def test_schema_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "x-component-kind" not in json.dumps(SCHEMA)


def test_every_reference_leads_somewhere():
    references = set(re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(SCHEMA)))

    assert set(registry().types) <= references
    assert references <= set(SCHEMA["$defs"])


def test_shipped_schema_is_up_to_date():
    """If not: `minidl schema > configs/schema.json`."""
    assert json.loads((FOLDER / "schema.json").read_text(encoding="utf-8")) == SCHEMA


def test_there_are_configs():
    assert FOLDER / "disc.yaml" in CONFIGS


@pytest.mark.parametrize("file", CONFIGS, ids=[file.stem for file in CONFIGS])
def test_shipped_configs_are_valid_and_name_the_schema(file: Path):
    text = file.read_text(encoding="utf-8")
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)

    assert named
    assert (file.parent / named[1]).resolve() == FOLDER / "schema.json"
    assert [error.message for error in VALIDATOR.iter_errors(read_tree(text.encode(), file.name).plain())] == []


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": "x", "seed": "7", "data_seed": "round", "sweep": "{rounds: 3}"},
        {"data_seed": "3", "sweep": "{}"},
        {"data": "{disc: 7}"},
        {"data": "{disc: }"},
        {"data": "{disc: {target_values: [-1, 1], inside_label: 0}}"},
        {"model": "[tanh, tanh: , tanh: {}, linear: 3, linear: {out_features: 3, init: normal}]"},
        {"model": "[linear: {out_features: 3, init: {normal: 0.5}}, linear: {out_features: 3, init: {normal: }}]"},
        {"loss": "{mse: sum}"},
        {"optimizer": "{sgd: {lr: 1, momentum: 0.5}}"},
        {"training": "{epochs: 0, batch_size: 1, shuffle: false, drop_last: true, dtype: float64, log_every: 5}"},
        {"training": "{epochs: 1, batch_size: 1, accumulate: 4, clip_norm: 0.5, validation: 0.2, early_stopping: {}}"},
        {"training": "{epochs: 1, batch_size: 1, early_stopping: , clip_norm: , schedule: cosine}"},
        {"training": "{epochs: 1, batch_size: 1, early_stopping: {monitor: validation_mse, min_delta: 0}}"},
        {"training": "{epochs: 1, batch_size: 1, schedule: {piecewise: {0: 0.1, 100: 0.03}}}"},
        {"training": "{epochs: 1, batch_size: 1, schedule: {piecewise: {rates: {0: 1}}}}"},
        {"init": "xavier_normal", "model": "[linear: {out_features: 2, init: , bias_init: zeros}]"},
        {"init": "{kaiming_uniform: {gain: }}", "framework": "torch"},
        {"sweep": "{vary: {optimizer: [{sgd: 0.1}, {adam: 0.1}], seed: [1]}, target: {test_accuracy: 1}}"},
        {"sweep": "{vary: {model: {a: [tanh], b b: [linear: 2]}}, target: {}}"},
        {"sweep": "{vary: {training.shuffle: [true, ~]}}"},
    ],
)
def test_what_is_right_is_accepted(values: dict[str, str], base_with: Any, load_text: Any):
    text = base_with(**values)

    load_text(text)
    assert accepts(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("traning", "1"),
        ("name", "''"),
        ("name", "3"),
        ("name", "x" * 81),
        ("seed", "-1"),
        ("seed", "true"),
        ("seed", "x"),
        ("data_seed", "rounds"),
        ("data_seed", "-1"),
        ("data_seed", "1.5"),
        ("data_seed", "true"),
        ("data", "disk"),
        ("data", "3"),
        ("data", "{}"),
        ("data", "{disc: {trai: 3}}"),
        ("data", "{disc: '3'}"),
        ("data", "{disc: 0}"),
        ("data", "{disc: {inside_label: 2}}"),
        ("data", "{disc: {target_values: [0, 1, 2]}}"),
        ("data", "{disc: {target_values: [0]}}"),
        ("data", "{disc: 3, disk: 4}"),
        ("model", "[]"),
        ("model", "tanh"),
        ("model", "[tahn]"),
        ("model", "[linear]"),
        ("model", "[linear: ]"),
        ("model", "[linear: {}]"),
        ("model", "[linear: 0]"),
        ("model", "[linear: 2.5]"),
        ("model", "[linear: true]"),
        ("model", "[linear: '2']"),
        ("model", "[tanh: 3]"),
        ("model", "[tanh: {a: 1}]"),
        ("model", "[{linear: 3, tanh: }]"),
        ("model", "[linear: {out_features: 3, bias: 1}]"),
        ("model", "[linear: {out_features: 3, init: norml}]"),
        ("model", "[linear: {out_features: 3, init: {normal: 0}}]"),
        ("model", "[linear: {out_features: 3, init: {normal: {sdt: 1}}}]"),
        ("loss", "ms"),
        ("loss", "{mse: avg}"),
        ("loss", "[mse]"),
        ("optimizer", "sgd"),
        ("optimizer", "{sgd: 0}"),
        ("optimizer", "{sgd: fast}"),
        ("optimizer", "{sgd: {lr: 1, momentun: 1}}"),
        ("training", "3"),
        ("training", ""),
        ("training", "{epochs: 3}"),
        ("training", "{epochs: -1, batch_size: 1}"),
        ("training", "{epochs: 2.5, batch_size: 1}"),
        ("training", "{epochs: 1, batch_size: 0}"),
        ("training", "{epochs: 1, batch_size: 1, shuffle: 1}"),
        ("training", "{epochs: 1, batch_size: 1, dtype: float16}"),
        ("training", "{epochs: 1, batch_size: 1, sufle: true}"),
        ("training", "{epochs: 1, batch_size: 1, early_stopping: {patince: 1}}"),
        ("training", "{epochs: 1, batch_size: 1, early_stopping: {monitor: test_loss}}"),
        ("training", "{epochs: 1, batch_size: 1, early_stopping: true}"),
        ("training", "{epochs: 1, batch_size: 1, validation: 1}"),
        ("training", "{epochs: 1, batch_size: 1, clip_norm: 0}"),
        ("training", "{epochs: 1, batch_size: 1, accumulate: 0}"),
        ("training", "{epochs: 1, batch_size: 1, schedule: piecewise}"),
        ("training", "{epochs: 1, batch_size: 1, schedule: {piecewise: {}}}"),
        ("training", "{epochs: 1, batch_size: 1, schedule: {piecewise: {0: 0}}}"),
        ("init", "xavier"),
        ("init", ""),
        ("framework", "tensorflow"),
        ("sweep", "{vary: 5}"),
        ("sweep", "{vary: {optimizer: 5}}"),
        ("sweep", "{vary: {optimizer: []}}"),
        ("sweep", "{vary: {optimizer: {}}}"),
        ("sweep", "{target: {test_accuracy: x}}"),
        ("sweep", "{round: 1}"),
        ("sweep", "3"),
    ],
)
def test_common_mistakes_are_rejected(key: str, value: str, base_with: Any, problems: Any):
    text = base_with(**{key: value})

    assert problems(text)
    assert not accepts(text)


@pytest.mark.parametrize("key", ["data", "model", "loss", "optimizer", "training"])
def test_missing_keys_are_rejected(key: str, base_with: Any, problems: Any):
    text = "".join(line for line in base_with().splitlines(keepends=True) if not line.startswith(f"{key}:"))

    assert problems(text) == [f"c.yaml:1:1: {key}: missing"]
    assert not accepts(text)


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_any_components_in_any_way_of_writing_are_accepted(drawn_configs: Any, load_text: Any, data: st.DataObject):
    text = data.draw(drawn_configs).write(lambda ways: data.draw(st.sampled_from(ways)))

    load_text(text)
    assert accepts(text)


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_resolved_configs_are_accepted(drawn_configs: Any, load_text: Any, data: st.DataObject):
    config = load_text(data.draw(drawn_configs).spelled_out())

    VALIDATOR.validate(json.loads(json.dumps(config.resolved())))


# What an editor shows


def test_names_and_arguments_are_described():
    names = {form["const"]: form["description"] for form in SCHEMA["$defs"]["layer"]["anyOf"] if "const" in form}

    assert names["tanh"] == registry().types["layer"]["tanh"].summary
    assert "linear" not in names
    assert SCHEMA["properties"]["loss"]["description"] == "What training minimizes."
    assert SCHEMA["$defs"]["TrainingOptions"]["description"] == "How the network is trained."


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, types in registry().types.items() for name in types])
def test_every_argument_of_a_component_is_described(kind: str, name: str):
    known = registry().types[kind][name]
    [form] = [form for form in SCHEMA["$defs"][kind]["anyOf"] if name in form.get("properties", {})]
    [arguments] = [inner for inner in form["properties"][name]["anyOf"] if inner.get("additionalProperties") is False]

    assert form["description"] == known.summary
    assert {key: inner["description"] for key, inner in arguments["properties"].items()} == known.argument_meanings
    for key, described in known.described_arguments().items():
        assert ("default" not in described) == (key in arguments.get("required", []))
        if "default" in described:
            assert arguments["properties"][key]["default"] == json.loads(json.dumps(described["default"]))
