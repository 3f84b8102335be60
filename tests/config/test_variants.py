"""Variants: every combination of what `sweep.vary` and `--vary` say, each with a label and a folder of its own."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl_cli.config.dump import to_yaml
from minidl_cli.config.variants import MOST_VARIANTS
from minidl_cli.errors import InputError
from minidl_cli.training.build import load_config, variants


@pytest.fixture
def find(base_with: Any, tmp_path: Path):
    """Returns the variants of the base config with `sweep.vary` as given, or the lines of the error that it is."""

    def find(vary: str = "{}", *varied: str, **keys: str) -> Any:
        file = tmp_path / "c.yaml"
        file.write_text(base_with(sweep=f"{{rounds: 2, vary: {vary}}}", **keys))
        try:
            return variants(load_config(file, vary=varied))
        except InputError as error:
            return [line.replace(f"{tmp_path}/", "") for line in error.problems]

    return find


def labels(found: Any) -> list[str]:
    return [each.label for each in found]


@pytest.mark.parametrize(
    ("vary", "expected"),
    [
        ("{training.batch_size: [5, 10]}", ["batch_size=5", "batch_size=10"]),
        ("{optimizer.sgd.lr: [0.1, 1e-5]}", ["lr=0.1", "lr=1e-05"]),
        ("{optimizer: [{sgd: 0.1}, {adam: {lr: 0.01, eps: 1e-6}}]}", ["sgd 0.1", "adam lr=0.01 eps=1e-06"]),
        ("{loss: [mse, {mse: sum}, cross_entropy]}", ["mse", "mse sum", "cross_entropy"]),
        ("{init: [zeros, {normal: }]}", ["zeros", "normal"]),
        ("{training.shuffle: [true, false]}", ["shuffle=true", "shuffle=false"]),
        ("{training.clip_norm: [~, 1]}", ["clip_norm=null", "clip_norm=1"]),
        ("{data_seed: [round, 3]}", ["round", "data_seed=3"]),
        ("{framework: [minidl, torch]}", ["minidl", "torch"]),
        ("{model: [[linear: 2], [linear: 3, linear: 2]]}", ["model 1", "model 2"]),
        ("{model: {small: [linear: 2], deep one: [linear: 3, linear: 2]}}", ["small", "deep one"]),
        ("{training.schedule: [constant, {piecewise: {0: 0.1}}]}", ["constant", "piecewise 0=0.1"]),
        ("{optimizer.sgd.lr: [0.1, 0.1, 0.1]}", ["lr=0.1", "lr=0.1 (2)", "lr=0.1 (3)"]),
        (
            "{optimizer.sgd.lr: [0.1, 0.2], training.batch_size: [5, 10]}",
            [f"lr={lr}, batch_size={size}" for lr in (0.1, 0.2) for size in (5, 10)],
        ),
    ],
)
def test_variants_are_labelled_by_what_differs(find: Any, vary: str, expected: list[str]):
    assert labels(find(vary)) == expected


@pytest.mark.parametrize(
    ("vary", "option"),
    [
        ("{optimizer.sgd.lr: [0.1, 0.2]}", "optimizer.sgd.lr=0.1,0.2"),
        ("{optimizer: [{sgd: 0.1}, {adam: 0.1}]}", "optimizer={sgd: 0.1},{adam: 0.1}"),
        ("{init: [zeros, normal]}", "init=zeros, normal"),
        ("{model: [[linear: 2], [linear: 3, linear: 2]]}", "model=[linear: 2],[linear: 3, linear: 2]"),
    ],
)
def test_option_is_as_if_written_in_the_file(find: Any, vary: str, option: str):
    assert find(vary) == find("{}", option)
    # It replaces the values that the file has, and comes after the others.
    assert find("{seed: [1, 2], data_seed: [3]}", option, "seed=4") == find(f"{{seed: [4], data_seed: [3], {vary[1:]}")


def test_option_fills_a_sweep_that_is_empty(base_with: Any, tmp_path: Path):
    for sweep in ("", "{}", "{vary: }"):
        (tmp_path / "c.yaml").write_text(base_with(sweep=sweep))
        assert labels(variants(load_config(tmp_path / "c.yaml", vary=["seed=1,2"]))) == ["seed=1", "seed=2"]


@pytest.mark.parametrize("optimizer", ["{sgd: 0.1}", "{sgd: {lr: 0.1}}", "\n  sgd:\n    lr: 0.1"])
@pytest.mark.parametrize("key", ["optimizer.sgd.lr", "optimizer.sgd", "optimizer"])
def test_any_way_of_writing_can_be_varied(find: Any, load_text: Any, base_with: Any, optimizer: str, key: str):
    value = {"optimizer.sgd.lr": "0.3", "optimizer.sgd": "0.3", "optimizer": "{sgd: 0.3}"}[key]
    (found,) = find(f"{{{key}: [{value}]}}", optimizer=optimizer)
    assert found.config.optimizer == load_text(base_with(optimizer="{sgd: 0.3}")).optimizer


def test_a_name_alone_can_get_arguments(find: Any):
    """The tree that values are set in is spelled out, even where the file has names only."""
    (found,) = find("{init.normal.std: [0.5]}", init="normal")
    assert found.config.init.arguments == {"std": 0.5}
    (found,) = find("{loss: [cross_entropy], loss.cross_entropy.label_smoothing: [0.1]}")
    assert found.config.loss.arguments["label_smoothing"] == 0.1


def test_a_config_that_varies_nothing_is_its_only_variant(find: Any, load_text: Any, base_with: Any):
    (found,) = find("{}")
    assert found.config == load_text(base_with(sweep="{rounds: 2}"), f"name={found.config.name}")


def test_variants_vary_nothing_and_keep_the_rest(find: Any):
    for found in find("{optimizer.sgd.lr: [0.1, 0.2]}", "training.batch_size=5,7"):
        resolved = found.config.resolved()
        assert resolved["name"] == f"c-{found.folder}"
        assert resolved["sweep"] == {"rounds": 2, "vary": {}, "target": {}}
        assert resolved["training"]["epochs"] == 3


def test_resolved_config_has_the_same_variants(find: Any, tmp_path: Path, base_with: Any):
    vary = "{model: {a b: [linear: 2], c: [linear: 3, tanh, linear: 2]}, optimizer: [{sgd: 0.1}, {adam: 0.1}]}"
    (tmp_path / "c.yaml").write_text(base_with(sweep=f"{{vary: {vary}}}"))
    config = load_config(tmp_path / "c.yaml", vary=["training.schedule=constant,{piecewise: {0: 0.1, 2: 0.01}}"])
    (tmp_path / "again.yaml").write_text(to_yaml(config.resolved()))
    assert len(variants(config)) == 8
    assert variants(load_config(tmp_path / "again.yaml")) == variants(config)


any_label = st.text(st.characters(exclude_categories=["Cs"]), max_size=80).filter(str.strip)


@given(names=st.lists(any_label, min_size=1, max_size=6, unique=True))
def test_any_labels_make_folders_of_their_own(names: list[str], load_text: Any, base_with: Any):
    vary = to_yaml({"sweep": {"vary": {"seed": {name: index for index, name in enumerate(names)}}}})
    found = variants(load_text(base_with() + vary))
    assert len(set(labels(found))) == len(names)
    assert all(label.isprintable() for label in labels(found))
    folders = [each.folder for each in found]
    assert len(set(folders)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_=+][A-Za-z0-9._=+-]*", folder) for folder in folders)
    assert max(map(len, folders)) < 50


def test_labels_are_as_written_if_they_can_be_shown(find: Any):
    assert labels(find(r'{seed: {"a b": 1, "日本 (é)": 2, "a\nb": 3}}')) == ["a b", "日本 (é)", r"a\nb"]
    assert labels(find(f"{{seed: {{{'x' * 90}: 1, {'x' * 91}: 2}}}}")) == [f"{'x' * 60}…", f"{'x' * 60}… (2)"]


def test_labels_that_join_to_the_same_are_told_apart(find: Any):
    found = find("{seed: {a: 1, 'a, b': 2}, data_seed: {'b, c': 1, c: 2}}")
    assert labels(found) == ["a, b, c", "a, c", "a, b, b, c", "a, b, c (2)"]
    assert [each.folder for each in found] == ["a-b-c", "a-c", "a-b-b-c", "a-b-c-2"]


PLACE = "c.yaml:6:"
TOP = "name, seed, data, data_seed, model, init, loss, optimizer, training, framework, sweep"


@pytest.mark.parametrize(
    ("vary", "problem"),
    [
        # In `sweep: {rounds: 2, vary: {...}}`, the values of vary begin in column 26.
        ("5", "26: sweep.vary: must be a mapping of keys, not 5"),
        ("", "25: sweep.vary: must be a mapping of keys, not nothing"),
        ("[1]", "26: sweep.vary: must be a mapping of keys, not a list"),
        ("{optimizer: []}", "38: sweep.vary.optimizer: must not be empty"),
        ("{optimizer: {}}", "38: sweep.vary.optimizer: must not be empty"),
        (
            "{optimizer: 5}",
            "38: sweep.vary.optimizer: must be a list of values, or a mapping from labels to values, not 5",
        ),
        ("{model: {1: [linear: 2]}}", "35: sweep.vary.model.1: must be text, not 1; put it in quotes"),
        ("{5: [1]}", "27: sweep.vary.5: must be text, not 5; put it in quotes"),
        ("{a.b: [1]}", f"27: a: unknown key; known here: {TOP}"),
        ("{training.epoch: [1, 2]}", "27: training.epoch: unknown key; did you mean 'epochs'?"),
        ("{training..epochs: [1]}", "27: 'training..epochs' is no key; write one such as training.epochs"),
        ("{'': [1]}", "27: '' is no key; write one such as training.epochs"),
        ("{model.9.linear: [1]}", "27: '9' is no item of this list; its items are 0 to 0"),
        ("{training.epochs.x: [1]}", "27: there is nothing below a single value, so 'x' leads nowhere"),
        ("{training.epochs: [1, x]}", "48: training.epochs: must be a whole number, not the text 'x'"),
        ("{optimizer: [{sgd: 0.1}, {adm: 1}]}", "51: optimizer: no such optimizer: 'adm'; did you mean 'adam'?"),
        (
            "{optimizer: {a: {sgd: 0.1}, b: {adam: x}}}",
            "64: optimizer.adam.lr: must be a number, not the text 'x'",
        ),
        (
            "{sweep.vary: [{seed: [1]}]}",
            "39: sweep.vary.sweep.vary: cannot be varied, as it does not change the training",
        ),
        ("{sweep: [{rounds: 2}]}", "34: sweep.vary.sweep: cannot be varied, as it does not change the training"),
        ("{name: [a, b]}", "33: sweep.vary.name: cannot be varied, as it does not change the training"),
        ("{seed: {a: 1, ' ': 2}}", "33: sweep.vary.seed: a label is empty; write what to call the variant"),
        (
            f"{{seed: {list(range(101))}, training.epochs: {list(range(10))}}}",
            f"26: sweep.vary: makes more than {MOST_VARIANTS:,} combinations; vary fewer values",
        ),
        (
            f"{{{', '.join(f'seed.{key}: [1]' for key in range(101))}}}",
            "26: sweep.vary: has more than 100 keys; vary fewer of them",
        ),
    ],
)
def test_mistake_is_one_line_with_its_place(find: Any, vary: str, problem: str):
    assert find(vary) == [f"{PLACE}{problem}"]


WRITE = "write KEY=A,B, such as training.batch_size=10,20"


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("", WRITE),
        ("seed", WRITE),
        ("seed=", WRITE),
        ("=1,2", WRITE),
        ("x.=1", WRITE),
        ("nope=1,2", f"nope: unknown key; known here: {TOP}"),
        ("training.epochs.x=1", "there is nothing below a single value, so 'x' leads nowhere"),
        ("model.7.linear=1,2", "'7' is no item of this list; its items are 0 to 0"),
        ("optimizer.sgd.lr=0.1,x", "optimizer.sgd.lr: must be a number, not the text 'x'"),
        ("optimizer.sgd.lr=[0.1,0.2]", "optimizer.sgd.lr: must be a number, not a list"),
        ("optimizer=sgd", "optimizer.sgd.lr: missing"),
        ("framework=minidl,tf", "framework: must be 'minidl' or 'torch', not the text 'tf'"),
        (
            "optimizer.adam.lr=0.1",
            "optimizer: one optimizer only, but 'adam' stands beside 'sgd'; to replace it, write optimizer={adam: ...}",
        ),
    ],
)
def test_mistake_in_an_option_names_it(find: Any, option: str, problem: str):
    assert find("{}", option) == [f"--vary {option}: {problem}"]


def test_every_wrong_value_is_told_once(find: Any):
    found = find("{optimizer.sgd.lr: [x, 0.1, -1], seed: [1, 2]}")
    assert found == [
        f"{PLACE}46: optimizer.sgd.lr: must be a number, not the text 'x'",
        f"{PLACE}54: optimizer.sgd.lr: must be greater than 0, not -1",
    ]


def test_as_many_as_there_may_be(find: Any):
    assert len(find(f"{{seed: {list(range(10))}, training.epochs: {list(range(10))}}}")) == 100


def test_a_key_varied_twice_by_options_is_told(find: Any):
    assert find("{seed: [1]}", "seed=2,3", "seed=4") == [
        "--vary seed=4: seed is varied twice; give all of its values at once"
    ]
