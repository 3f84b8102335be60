"""Writing a config: what is written reads back as the same."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from minidl_cli.config.dump import to_yaml
from minidl_cli.config.yaml_tree import read_tree
from minidl_cli.training.build import load_config

CONFIGS = sorted((Path(__file__).parents[2] / "configs").rglob("*.yaml"))


def read(text: str) -> Any:
    return read_tree(text.encode(), "c.yaml").plain()


# Plain data


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"name": "disc", "seed": 0}, "{name: disc, seed: 0}\n"),
        ({"a": {"b": 0.1}, "c": "x"}, "a: {b: 0.1}\nc: x\n"),
        ({"model": ["tanh", {"linear": {"bias": True}}]}, "model:\n- tanh\n- linear: {bias: true}\n"),
        ({"z": [0.0, 1.0], "a": None}, "z: [0.0, 1.0]\na: null\n"),
        ({"pair": (0, 1)}, "pair: [0, 1]\n"),
        ({"name": "日本", "key": "y", "other": "n"}, 'name: "日本"\nkey: "y"\nother: "n"\n'),
        ({"text": "no", "like": "north", "size": "3"}, 'text: "no"\nlike: north\nsize: "3"\n'),
    ],
)
def test_how_it_looks(value: Any, text: str):
    assert to_yaml(value) == text


def test_values_that_occur_twice_are_written_twice():
    shared = [1.5]

    assert to_yaml({"a": shared, "b": shared}) == "a: [1.5]\nb: [1.5]\n"


WORDS = [
    *["no", "No", "yes", "on", "off", "y", "n", "true", "False", "null", "Null", "~", "", "None"],
    *["1e3", "1.", ".5", "0o17", "0x1F", "010", "-7", "+1", "1:30", "1_000", ".inf", "-.inf", ".nan", "nan", "inf"],
    *["2020-01-01", "=", "<<", "a: b", "a:", ": a", "a #b", "#a", "- a", "-", "---", "...", "? a", "[a]", "{a}", "a,b"],
    *[
        "'",
        '"',
        "'a'",
        '"a"',
        "a'b",
        'a"b',
        "\\",
        "\\n",
        "a\\",
        "&a",
        "*a",
        "!a",
        "!!int 3",
        "%a",
        "@a",
        "`a",
        "|",
        ">",
    ],
    *[" a", "a ", " ", "a  b", "\t", "a\tb", "\n", "a\nb", "a\n", "\r\n", "\x85", "\u2028", "\ufeff", "\xa0", "\u200b"],
    *["é", "日本語", "😀", "a" * 200, "word " * 60, "word  " * 60 + "x", "a-" * 100 + "a", "/a/b c/d.csv", "C:\\data"],
]


@pytest.mark.parametrize("word", WORDS, ids=range(len(WORDS)))
def test_text_reads_back_as_text(word: str):
    values = {"key": word, "list": [word, [word]], "nested": {word: word}}

    assert read(to_yaml(values)) == values


@pytest.mark.parametrize("word", ["no", "1:30", "1_000", "0b1", "2020-01-01", "on", "y", "010", "12e03"])
def test_other_readers_take_text_for_text(word: str):
    assert yaml.safe_load(to_yaml({"key": word, "nested": {"key": [word]}})) == {"key": word, "nested": {"key": [word]}}


NUMBERS = [0.1, 1e-300, 1e22, 5e-324, 1.7976931348623157e308, 1e16, 123456789.125, -1e-7, 1.0, 0.0, 1 / 3, 10**18 - 1]


@pytest.mark.parametrize("number", [*NUMBERS, 0, -1, True, False, None])
def test_numbers_read_back_as_themselves(number: Any):
    found = read(to_yaml({"key": number, "list": [number]}))

    assert found == {"key": number, "list": [number]}
    assert type(found["key"]) is type(number)


texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(WORDS)
scalars = st.none() | st.booleans() | st.integers(1 - 10**18, 10**18 - 1) | st.floats(allow_nan=False) | texts
data = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=15
)


@given(value=st.dictionaries(texts, data, max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_data_reads_back(value: dict[str, Any]):
    text = to_yaml(value)

    assert read(text) == value
    assert to_yaml(read(text)) == text


# Configs


@pytest.mark.parametrize("file", CONFIGS, ids=[file.stem for file in CONFIGS])
def test_shipped_configs_read_back(file: Path, load_text: Any):
    config = load_config(file)
    text = to_yaml(config.resolved())

    again = load_text(text)

    assert again == config
    assert to_yaml(again.resolved()) == text


def test_small_config_reads_back(small_config: Any, load_text: Any):
    config = small_config("optimizer.sgd.lr=1e-5", "model.0.linear.init=normal", "data_seed=round", "name='007'")
    text = to_yaml(config.resolved())

    again = load_text(text)

    assert again == config
    assert again.name == "007"
    assert to_yaml(again.resolved()) == text


def test_resolved_config_spells_everything_out(base_with: Any, load_text: Any):
    config = load_text(base_with(model="[linear: {out_features: 2, init: normal}, tanh: ]", sweep="{rounds: 3}"))

    assert to_yaml(config.resolved()) == (
        "name: c\n"
        "seed: 0\n"
        "data:\n"
        "  disc:\n"
        "    train: 1000\n"
        "    test: 1000\n"
        "    inside_label: 1\n"
        "    target_values: [0.0, 1.0]\n"
        "    radius: 0.3989422804014327\n"
        "data_seed: 0\n"
        "model:\n"
        "- linear:\n"
        "    out_features: 2\n"
        "    bias: true\n"
        "    init:\n"
        "      normal: {std: 1.0}\n"
        "    bias_init: torch_default\n"
        "- tanh\n"
        "init: torch_default\n"
        "loss:\n"
        "  mse: {reduction: mean}\n"
        "optimizer:\n"
        "  sgd: {lr: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0}\n"
        "training: {epochs: 3, batch_size: 10, shuffle: true, drop_last: false, schedule: constant, accumulate: 1, "
        "clip_norm: null,\n"
        "  validation: 0.0, early_stopping: null, dtype: float32, matmul_precision: highest, compiled: auto, "
        "log_every: 1, checkpoint_every: 30.0}\n"
        "framework: minidl\n"
        "sweep:\n"
        "  rounds: 3\n"
        "  vary: {}\n"
        "  target: {}\n"
    )


valid_names = (
    st.text(min_size=1, max_size=80) | st.sampled_from([word for word in WORDS if 0 < len(word) <= 80])
).filter(lambda name: name.isprintable() and not name.startswith(".") and not set(name) & set("/\\"))


@given(drawn=st.data(), name=valid_names)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_any_config_reads_back(drawn: Any, name: str, drawn_configs: Any, load_text: Any):
    text = drawn.draw(drawn_configs).spelled_out()
    config = load_text(text, f"name={json.dumps(name, ensure_ascii=False)}")
    assert config.name == name
    written = to_yaml(config.resolved())

    again = load_text(written)

    assert again == config
    assert to_yaml(again.resolved()) == written


@given(lr=st.floats(min_value=0, exclude_min=True, allow_infinity=False))
@example(lr=5e-324)
@example(lr=1e22)
@example(lr=1e-300)
@example(lr=0.1)
@settings(max_examples=60, deadline=None)
def test_any_number_of_a_config_reads_back(lr: float, base_with: Any, load_text: Any):
    config = load_text(base_with(optimizer=to_yaml({"sgd": lr}).strip()))
    assert config.optimizer.arguments["lr"] == lr

    assert load_text(to_yaml(config.resolved())) == config


@pytest.mark.parametrize("settings", [(), ("optimizer.sgd.lr=0.3", "model.0.linear.init.normal=2", "data_seed=round")])
def test_configs_go_through_pickle(settings: tuple[str, ...], small_config: Any):
    config = small_config(*settings)

    again = pickle.loads(pickle.dumps(config))

    assert again == config
    assert to_yaml(again.resolved()) == to_yaml(config.resolved())
    assert again.error(("model", 1), "x").problems == config.error(("model", 1), "x").problems
