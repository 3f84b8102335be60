"""Loading a config: every mistake is told with its place, in the words of the config's author."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from minidl_cli.config.load import load
from minidl_cli.config.schema import fitting_name
from minidl_cli.errors import InputError
from minidl_cli.registry import Registry
from minidl_cli.training.build import load_config, registry

TOP = "name, seed, data, data_seed, model, init, loss, optimizer, training, framework, sweep"
IN_TRAINING = (
    "epochs, batch_size, shuffle, drop_last, schedule, accumulate, clip_norm, validation, early_stopping, "
    "dtype, matmul_precision, compiled, log_every, checkpoint_every"
)
IN_DISC = "train, test, inside_label, target_values, radius"

TABLE = "data: {table: {file: x.csv, target: y"
MISSING = (
    "data.table.missing: must be 'error', 'drop', 'mean', 'median', 'most_frequent' or a mapping such as "
    "{constant: ...}"
)


def known(kind: str) -> str:
    return ", ".join(registry().types[kind])


def test_a_complete_config(base_with: Any, load_text: Any):
    config = load_text(base_with(seed="7", data_seed="round", name="trial", sweep="{rounds: 4}"))

    assert (config.name, config.seed, config.data_seed, config.sweep.rounds) == ("trial", 7, "round", 4)
    assert (config.training.epochs, config.training.batch_size, config.training.shuffle) == (3, 10, True)
    assert config.data.arguments["train"] == 1000
    assert [layer.name for layer in config.model] == ["linear"]
    assert config.optimizer.arguments["lr"] == 0.1


def test_defaults(base_with: Any, load_text: Any):
    config = load_text(base_with())

    assert (config.name, config.seed, config.data_seed, config.sweep.rounds) == ("c", 0, 0, 1)
    assert config.training.model_dump() == {
        "epochs": 3,
        "batch_size": 10,
        "shuffle": True,
        "drop_last": False,
        "dtype": "float32",
        "matmul_precision": "highest",
        "compiled": "auto",
        "log_every": 1,
        "checkpoint_every": 30.0,
        "schedule": "constant",
        "accumulate": 1,
        "clip_norm": None,
        "validation": 0.0,
        "early_stopping": None,
    }
    assert (config.init.name, config.framework) == ("torch_default", "minidl")
    assert (config.sweep.vary, config.sweep.target) == ({}, {})


@pytest.mark.parametrize(
    ("epochs", "every", "logged"), [(0, 1, []), (3, 1, [1, 2, 3]), (7, 3, [3, 6, 7]), (6, 3, [3, 6]), (2, 5, [2])]
)
def test_logged_epochs(epochs: int, every: int, logged: list[int], base_with: Any, load_text: Any):
    options = load_text(base_with(training=f"{{epochs: {epochs}, batch_size: 1, log_every: {every}}}")).training

    assert list(options.logged_epochs()) == options.logged_epochs()[:] == logged
    assert [epoch for epoch in range(1, epochs + 1) if options.is_logged(epoch)] == logged


def test_very_many_logged_epochs_are_not_kept_one_by_one(base_with: Any, load_text: Any):
    options = load_text(base_with(training=f"{{epochs: {10**18 - 1}, batch_size: 1, log_every: 7}}")).training

    assert len(options.logged_epochs()) == (10**18 - 1 + 6) // 7
    assert options.logged_epochs()[-1] == 10**18 - 1


@pytest.mark.parametrize("text", ["ü" * 300, "\U0001f40c" * 80, "x" * 300, "plain"])
def test_as_much_of_a_text_as_fits_a_name(text: str, base_with: Any, load_text: Any):
    name = fitting_name(text)

    assert text.startswith(name)
    assert load_text(base_with(name=f"'{name}'")).name == name


@pytest.mark.parametrize("name", ["3", "x.y", "näme", "1e3", "no"])
def test_a_file_gives_its_own_name(name: str, base_with: Any, tmp_path: Path):
    file = tmp_path / f"{name}.yaml"
    file.write_text(base_with())

    assert load_config(file).name == name


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("seed", "999999999999999999", 999999999999999999),
        ("seed", "0x10", 16),
        ("data_seed", "999999999999999999", 999999999999999999),
        ("data_seed", "round", "round"),
        ("data_seed", "'round'", "round"),
        ("name", "x" * 80, "x" * 80),
        ("name", "'3'", "3"),
        ("name", "1:30", "1:30"),
        ("name", "日本 é", "日本 é"),
    ],
)
def test_values_at_the_edge(key: str, text: str, value: Any, base_with: Any, load_text: Any):
    assert getattr(load_text(base_with(**{key: text})), key) == value


def test_no_epochs_are_allowed(base_with: Any, load_text: Any):
    assert load_text(base_with(training="{epochs: 0, batch_size: 1}")).training.epochs == 0


# The fifth line of a config, and what is wrong with it: the column, and the line after it.
MISTAKES = [
    # Unknown keys
    ("data: {disc: {trai: 3}}", 15, "data.disc.trai: unknown key; did you mean 'train'?"),
    ("data: {disc: {zzz: 3}}", 15, f"data.disc.zzz: unknown key; known here: {IN_DISC}"),
    ("data: {disc: {train: 3, 7: 3}}", 25, f"data.disc.7: unknown key; known here: {IN_DISC}"),
    ("data: {disc: {train: 3, 1.5: 3}}", 25, f"data.disc.1.5: unknown key; known here: {IN_DISC}"),
    ("training: {epochs: 1, batch_size: 1, sufle: 3}", 38, "training.sufle: unknown key; did you mean 'shuffle'?"),
    ("training: {epochs: 1, batch_size: 1, Dtype: x}", 38, "training.Dtype: unknown key; did you mean 'dtype'?"),
    ("training: {epochs: 1, batch_size: 1, DTYPE: x}", 38, "training.DTYPE: unknown key; did you mean 'dtype'?"),
    ("training: {epochs: 1, batch_size: 1, 3: 4}", 38, f"training.3: unknown key; known here: {IN_TRAINING}"),
    ("training: {epochs: 1, batch_size: 1, zzz: 4}", 38, f"training.zzz: unknown key; known here: {IN_TRAINING}"),
    ("model: [linear: {out_features: 2, ini: x}]", 35, "model.0.linear.ini: unknown key; did you mean 'init'?"),
    (
        "model: [tanh, linear: {out_features: 2, init: {normal: {sdt: 1}}}]",
        57,
        "model.1.linear.init.normal.sdt: unknown key; did you mean 'std'?",
    ),
    ("model: [tanh: {a: 1}]", 16, "model.0.tanh.a: unknown key; tanh takes no arguments"),
    ("optimizer: {sgd: {lr: 1, momentun: 2}}", 26, "optimizer.sgd.momentun: unknown key; did you mean 'momentum'?"),
    # Unknown components
    ("data: disk", 7, "data: no such dataset: 'disk'; did you mean 'disc'?"),
    ("data: {disk: 3}", 7, "data: no such dataset: 'disk'; did you mean 'disc'?"),
    ("data: zzz", 7, f"data: no such dataset: 'zzz'; known here: {known('dataset')}"),
    ("data: ''", 7, f"data: no such dataset: ''; known here: {known('dataset')}"),
    ("model: [tahn]", 9, "model.0: no such layer: 'tahn'; did you mean 'tanh'?"),
    ("model: [tanh, ReLU]", 15, "model.1: no such layer: 'ReLU'; did you mean 'relu'?"),
    ("model: [tanh, Linear: 3]", 15, "model.1: no such layer: 'Linear'; did you mean 'linear'?"),
    ("model: [7: 3]", 9, f"model.0: no such layer: '7'; known here: {known('layer')}"),
    ("model: [linear 3]", 9, "model.0: no such layer: 'linear 3'; did you mean 'linear'?"),
    ("loss: ms", 7, "loss: no such loss: 'ms'; did you mean 'mse'?"),
    ("loss: MSE", 7, "loss: no such loss: 'MSE'; did you mean 'mse'?"),
    ("optimizer: sgdd", 12, "optimizer: no such optimizer: 'sgdd'; did you mean 'sgd'?"),
    (
        "model: [linear: {out_features: 2, init: norml}]",
        41,
        "model.0.linear.init: no such initializer: 'norml'; did you mean 'normal'?",
    ),
    # Components written wrongly
    ("data: 3", 7, "data: must be a dataset: a name, or a name and its arguments, not 3"),
    ("data: true", 7, "data: must be a dataset: a name, or a name and its arguments, not true"),
    ("data: ~", 7, "data: must be a dataset: a name, or a name and its arguments, not nothing"),
    ("data:", 6, "data: must be a dataset: a name, or a name and its arguments, not nothing"),
    ("data: {}", 7, "data: must be a dataset: a name, or a name and its arguments, not an empty mapping"),
    ("data: [disc]", 7, "data: must be a dataset: a name, or a name and its arguments, not a list"),
    ("optimizer: 0.1", 12, "optimizer: must be an optimizer: a name, or a name and its arguments, not 0.1"),
    ("model: [3]", 9, "model.0: must be a layer: a name, or a name and its arguments, not 3"),
    ("model: [tanh, {}]", 15, "model.1: must be a layer: a name, or a name and its arguments, not an empty mapping"),
    (
        "model: [linear: {out_features: 2, init: 0.5}]",
        41,
        "model.0.linear.init: must be an initializer: a name, or a name and its arguments, not 0.5",
    ),
    (
        "model: [linear: {out_features: 2, bias_init: }]",
        45,
        "model.0.linear.bias_init: must be an initializer: a name, or a name and its arguments, not nothing",
    ),
    (
        "data: {disc: 3, disk: 4}",
        17,
        "data: no such dataset: 'disk'; did you mean 'disc'?",
    ),
    (
        "optimizer: {sgd: , lr: 0.1}",
        20,
        "optimizer: one optimizer only, but 'lr' stands beside 'sgd'; keep one, with its arguments below it",
    ),
    (
        "model: [tanh, {linear: 3, tanh: }]",
        27,
        "model.1: one layer only, but 'tanh' stands beside 'linear'; begin each with '- '",
    ),
    ("model: [tanh: 3]", 15, "model.0.tanh: takes no arguments; write only 'tanh', without 3"),
    ("model: [tanh: x]", 15, "model.0.tanh: takes no arguments; write only 'tanh', without the text 'x'"),
    ("model: [tanh: [1]]", 15, "model.0.tanh: takes no arguments; write only 'tanh', without a list"),
    ("model: [tanh: {0: 1}]", 16, "model.0.tanh.0: unknown key; tanh takes no arguments"),
    # Missing keys
    ("training: {epochs: 3}", 11, "training.batch_size: missing"),
    ("training: {batch_size: 3}", 11, "training.epochs: missing"),
    ("model: [linear]", 9, "model.0.linear.out_features: missing"),
    ("model: [linear: ]", 16, "model.0.linear.out_features: missing"),
    ("model: [linear: {}]", 17, "model.0.linear.out_features: missing"),
    ("model: [linear: {bias: false}]", 17, "model.0.linear.out_features: missing"),
    ("optimizer: sgd", 12, "optimizer.sgd.lr: missing"),
    # Wrong types
    ("training: {epochs: '3', batch_size: 1}", 20, "training.epochs: must be a whole number, not the text '3'"),
    ("training: {epochs: x, batch_size: 1}", 20, "training.epochs: must be a whole number, not the text 'x'"),
    ("training: {epochs: 2.5, batch_size: 1}", 20, "training.epochs: must be a whole number, not 2.5"),
    ("training: {epochs: 3.0, batch_size: 1}", 20, "training.epochs: must be a whole number, not 3.0"),
    ("training: {epochs: true, batch_size: 1}", 20, "training.epochs: must be a whole number, not true"),
    ("training: {epochs: , batch_size: 1}", 19, "training.epochs: must be a whole number, not nothing"),
    ("training: {epochs: .inf, batch_size: 1}", 20, "training.epochs: must be a whole number, not .inf"),
    ("training: {epochs: [3], batch_size: 1}", 20, "training.epochs: must be a whole number, not a list"),
    ("training: {epochs: -1, batch_size: 1}", 20, "training.epochs: must be at least 0, not -1"),
    ("training: {epochs: 1, batch_size: 0}", 35, "training.batch_size: must be greater than 0, not 0"),
    (
        "training: {epochs: 1, batch_size: 1, shuffle: yes}",
        47,
        "training.shuffle: must be true or false, not the text 'yes'",
    ),
    ("training: {epochs: 1, batch_size: 1, shuffle: 1}", 47, "training.shuffle: must be true or false, not 1"),
    (
        "training: {epochs: 1, batch_size: 1, dtype: float16}",
        45,
        "training.dtype: must be 'float32' or 'float64', not the text 'float16'",
    ),
    ("training: 5", 11, f"training: must be a mapping of keys, not 5; known here: {IN_TRAINING}"),
    ("training: fast", 11, f"training: must be a mapping of keys, not the text 'fast'; known here: {IN_TRAINING}"),
    ("training:", 10, f"training: must be a mapping of keys, not nothing; known here: {IN_TRAINING}"),
    ("training: [epochs: 1]", 11, f"training: must be a mapping of keys, not a list; known here: {IN_TRAINING}"),
    ("model: []", 8, "model: must not be empty"),
    ("model: linear", 8, "model: must be a list, not the text 'linear'"),
    ("model: {linear: 2}", 8, "model: must be a list, not a mapping"),
    ("model:", 7, "model: must be a list, not nothing"),
    ("model: [linear: 0]", 17, "model.0.linear.out_features: must be greater than 0, not 0"),
    ("model: [linear: -3]", 17, "model.0.linear.out_features: must be greater than 0, not -3"),
    ("model: [linear: 2.5]", 17, "model.0.linear.out_features: must be a whole number, not 2.5"),
    ("model: [linear: true]", 17, "model.0.linear.out_features: must be a whole number, not true"),
    ("model: [linear: '2']", 17, "model.0.linear.out_features: must be a whole number, not the text '2'"),
    ("model: [linear: [2, 3]]", 17, "model.0.linear.out_features: must be a whole number, not a list"),
    ("model: [linear: {0: 3}]", 17, "model.0.linear.out_features: must be a whole number, not a mapping"),
    ("model: [linear: {out_features: 2, bias: 1}]", 41, "model.0.linear.bias: must be true or false, not 1"),
    (
        "model: [linear: {out_features: 2, init: {normal: 0}}]",
        50,
        "model.0.linear.init.normal.std: must be greater than 0, not 0",
    ),
    ("optimizer: {sgd: '0.1'}", 18, "optimizer.sgd.lr: must be a number, not the text '0.1'"),
    ("optimizer: {sgd: fast}", 18, "optimizer.sgd.lr: must be a number, not the text 'fast'"),
    ("optimizer: {sgd: true}", 18, "optimizer.sgd.lr: must be a number, not true"),
    ("optimizer: {sgd: [0.1]}", 18, "optimizer.sgd.lr: must be a number, not a list"),
    ("optimizer: {sgd: .nan}", 18, "optimizer.sgd.lr: must be a finite number, not .nan"),
    ("optimizer: {sgd: .inf}", 18, "optimizer.sgd.lr: must be a finite number, not .inf"),
    ("optimizer: {sgd: -.inf}", 18, "optimizer.sgd.lr: must be a finite number, not -.inf"),
    ("optimizer: {sgd: 0}", 18, "optimizer.sgd.lr: must be greater than 0, not 0"),
    ("optimizer: {sgd: {lr: 1, momentum: -0.5}}", 36, "optimizer.sgd.momentum: must be at least 0, not -0.5"),
    ("optimizer: {sgd: {lr: 1, nesterov: true}}", 12, "optimizer: sgd: nesterov needs a momentum above 0"),
    ("loss: {mse: avg}", 13, "loss.mse.reduction: must be 'mean', 'sum_outputs' or 'sum', not the text 'avg'"),
    (
        "loss: {mse: {reduction: avg}}",
        25,
        "loss.mse.reduction: must be 'mean', 'sum_outputs' or 'sum', not the text 'avg'",
    ),
    # The options of a training
    (
        "training: {epochs: 1, batch_size: 1, early_stopping: {patince: 3}}",
        55,
        "training.early_stopping.patince: unknown key; did you mean 'patience'?",
    ),
    (
        "training: {epochs: 1, batch_size: 1, early_stopping: {patience: 0}}",
        65,
        "training.early_stopping.patience: must be greater than 0, not 0",
    ),
    (
        "training: {epochs: 1, batch_size: 1, early_stopping: {monitor: test_loss}}",
        64,
        "training.early_stopping.monitor: must be 'validation_loss', 'validation_mse', 'validation_mae' or "
        "'validation_accuracy', not the text 'test_loss'",
    ),
    (
        "training: {epochs: 1, batch_size: 1, early_stopping: 3}",
        54,
        "training.early_stopping: must be a mapping of keys, not 3; known here: monitor, patience, min_delta",
    ),
    ("training: {epochs: 1, batch_size: 1, validation: 1}", 50, "training.validation: must be less than 1, not 1"),
    ("training: {epochs: 1, batch_size: 1, validation: -1}", 50, "training.validation: must be at least 0, not -1"),
    ("training: {epochs: 1, batch_size: 1, clip_norm: 0}", 49, "training.clip_norm: must be greater than 0, not 0"),
    ("training: {epochs: 1, batch_size: 1, accumulate: 0}", 50, "training.accumulate: must be greater than 0, not 0"),
    (
        "training: {epochs: 1, batch_size: 1, schedule: cosin}",
        48,
        "training.schedule: no such schedule: 'cosin'; did you mean 'cosine'?",
    ),
    (
        "training: {epochs: 1, batch_size: 1, schedule: {piecewise: {0: 0.1, x: 1}}}",
        69,
        "training.schedule.piecewise.rates.x: the key must be a whole number, not the text 'x'",
    ),
    (
        "training: {epochs: 1, batch_size: 1, schedule: {piecewise: {-1: 0.1}}}",
        61,
        "training.schedule.piecewise.rates.-1: the key must be at least 0, not -1",
    ),
    (
        "training: {epochs: 1, batch_size: 1, schedule: {piecewise: {0: 0}}}",
        64,
        "training.schedule.piecewise.rates.0: must be greater than 0, not 0",
    ),
    (
        "training: {epochs: 1, batch_size: 1, schedule: piecewise}",
        48,
        "training.schedule.piecewise.rates: missing",
    ),
    ("loss: [mse]", 7, "loss: must be a loss: a name, or a name and its arguments, not a list"),
    ("data: {disc: {inside_label: 2}}", 29, "data.disc.inside_label: must be at most 1, not 2"),
    ("data: {disc: {target_values: [1, 0]}}", 7, "data: disc: target_values must ascend, not [1.0, 0.0]"),
    ("data: {disc: {target_values: [0, 1, 2]}}", 30, "data.disc.target_values: must have at most 2 items, not 3"),
    ("data: {disc: {target_values: [0]}}", 30, "data.disc.target_values.1: missing: the list is too short"),
    ("data: {disc: {target_values: 1}}", 30, "data.disc.target_values: must be a list, not 1"),
    ("data: {disc: {target_values: [0, b]}}", 34, "data.disc.target_values.1: must be a number, not the text 'b'"),
    ("data: {disc: {target_values: [0, .nan]}}", 34, "data.disc.target_values.1: must be a finite number, not .nan"),
    # A value of a union, where each branch complains: only the branch that it has the form of counts
    (f"{TABLE}, class_weights: {{p: -1}}}}}}", 59, "data.table.class_weights.p: must be at least 0, not -1"),
    (f"{TABLE}, class_weights: {{p: x}}}}}}", 59, "data.table.class_weights.p: must be a number, not the text 'x'"),
    (f"{TABLE}, class_weights: {{}}}}}}", 55, "data.table.class_weights: must not be empty"),
    (
        f"{TABLE}, class_weights: balance}}}}",
        55,
        "data.table.class_weights: must be 'balanced' or a mapping of keys, not the text 'balance'",
    ),
    (f"{TABLE}, missing: {{constant: .nan}}}}}}", 60, "data.table.missing.constant: must be a finite number, not .nan"),
    (
        f"{TABLE}, missing: {{constan: 0}}}}}}",
        50,
        "data.table.missing.constan: the key must be 'constant', not the text 'constan'",
    ),
    (f"{TABLE}, missing: {{}}}}}}", 49, "data.table.missing: must not be empty"),
    (f"{TABLE}, missing: zero}}}}", 49, f"{MISSING}, not the text 'zero'"),
    (f"{TABLE}, missing: 0}}}}", 49, f"{MISSING}, not 0"),
    (f"{TABLE}, missing: [mean]}}}}", 49, f"{MISSING}, not a list"),
    (f"{TABLE}, features: [true]}}}}", 51, "data.table.features.0: must be text, not true; put it in quotes"),
    (f"{TABLE}, features: [a, 1]}}}}", 54, "data.table.features.1: must be text, not 1; put it in quotes"),
    (f"{TABLE}, features: []}}}}", 50, "data.table.features: must not be empty"),
    (
        "data: {table: {file: x.csv, target: 1}}",
        37,
        "data.table.target: must be text or a list, not 1; put it in quotes",
    ),
    (
        "data: {table: {file: x.csv, target: {a: 1}}}",
        37,
        "data.table.target: must be text or a list, not a mapping",
    ),
    (
        "data: {table: {file: x.csv, target: [y, 2]}}",
        41,
        "data.table.target.1: must be text, not 2; put it in quotes",
    ),
    ("data: {table: {file: x.csv, target: [1]}}", 38, "data.table.target.0: must be text, not 1; put it in quotes"),
    ("data: {table: {file: x.csv, target: []}}", 37, "data.table.target: must not be empty"),
]
DATA_SEED = "data_seed: must be a whole number or 'round'"
NAME = "name: must not start with a dot or contain slashes: it becomes part of a folder's name"
# The same for a sixth line, of a key that the base does not have.
MISTAKES_IN_OTHER_KEYS = [
    ("traning: 1", 1, "traning: unknown key; did you mean 'training'?"),
    ("Seed: 1", 1, "Seed: unknown key; did you mean 'seed'?"),
    ("zzz: 1", 1, f"zzz: unknown key; known here: {TOP}"),
    ("7: 1", 1, f"7: unknown key; known here: {TOP}"),
    ("0.5: 1", 1, f"0.5: unknown key; known here: {TOP}"),
    ('"a\\nb": 1', 1, rf"a\nb: unknown key; known here: {TOP}"),
    ("seed: -1", 7, "seed: must be at least 0, not -1"),
    ("seed: 1.5", 7, "seed: must be a whole number, not 1.5"),
    ("seed: '1'", 7, "seed: must be a whole number, not the text '1'"),
    ("seed:", 6, "seed: must be a whole number, not nothing"),
    ("data_seed: rounds", 12, f"{DATA_SEED}, not the text 'rounds'"),
    ("data_seed: -1", 12, "data_seed: must be at least 0 or 'round', not -1"),
    ("data_seed: 1.5", 12, f"{DATA_SEED}, not 1.5"),
    ("data_seed: true", 12, f"{DATA_SEED}, not true"),
    ("data_seed: '3'", 12, f"{DATA_SEED}, not the text '3'"),
    ("data_seed: .nan", 12, f"{DATA_SEED}, not .nan"),
    ("data_seed:", 11, f"{DATA_SEED}, not nothing"),
    ("data_seed: [1]", 12, f"{DATA_SEED}, not a list"),
    ("sweep: 3", 8, "sweep: must be a mapping of keys, not 3; known here: rounds, vary, target"),
    ("sweep:", 7, "sweep: must be a mapping of keys, not nothing; known here: rounds, vary, target"),
    ("sweep: {rounds: 0}", 17, "sweep.rounds: must be greater than 0, not 0"),
    ("sweep: {round: 3}", 9, "sweep.round: unknown key; did you mean 'rounds'?"),
    ("sweep: {target: 5}", 17, "sweep.target: must be a mapping of keys, not 5"),
    ("sweep: {target: {test_mse: x}}", 28, "sweep.target.test_mse: must be a number, not the text 'x'"),
    ("sweep: {target: {5: 1}}", 18, "sweep.target.5: must be text, not 5; put it in quotes"),
    ("init: xavier", 7, "init: no such initializer: 'xavier'; did you mean 'xavier_normal'?"),
    ("init: {normal: -1}", 16, "init.normal.std: must be greater than 0, not -1"),
    ("init:", 6, "init: must be an initializer: a name, or a name and its arguments, not nothing"),
    ("framework: tensorflow", 12, "framework: must be 'minidl' or 'torch', not the text 'tensorflow'"),
    ("name: a/b", 7, NAME),
    ("name: ../a", 7, NAME),
    ("name: /a", 7, NAME),
    ("name: a\\b", 7, NAME),
    ("name: .a", 7, NAME),
    ('name: "a\\nb"', 7, r"name: must have printable characters only, not 'a\nb'"),
    ('name: "\\e[31m"', 7, r"name: must have printable characters only, not '\x1b[31m'"),
    ('name: "\\u202e"', 7, r"name: must have printable characters only, not '\u202e'"),
    (f"name: {'x' * 81}", 7, "name: must have at most 80 characters, not 81"),
    ("name: ''", 7, "name: must not be empty"),
    ("name:", 6, "name: must be text, not nothing"),
    ("name: 3", 7, "name: must be text, not 3; put it in quotes"),
    ("name: 1e3", 7, "name: must be text, not 1000.0; put it in quotes"),
    ("name: true", 7, "name: must be text, not true; put it in quotes"),
    ("name: [a]", 7, "name: must be text, not a list"),
]


def ids(mistakes: list[Any]) -> list[str]:
    return [line for line, *_ in mistakes]


@pytest.mark.parametrize(("line", "column", "problem"), MISTAKES, ids=ids(MISTAKES))
def test_mistake(line: str, column: int, problem: str, base_with: Any, problems: Any):
    key, _, value = line.partition(":")

    assert problems(base_with(**{key: value.removeprefix(" ")})) == [f"c.yaml:5:{column}: {problem}"]


@pytest.mark.parametrize(("line", "column", "problem"), MISTAKES_IN_OTHER_KEYS, ids=ids(MISTAKES_IN_OTHER_KEYS))
def test_mistake_in_another_key(line: str, column: int, problem: str, base_with: Any, problems: Any):
    assert problems(base_with() + line) == [f"c.yaml:6:{column}: {problem}"]


def test_all_mistakes_of_a_file_in_its_order(problems: Any):
    text = """\
# a comment
optimizer:
  sgd:
    lr: "0.1"
    momentun: 0.5
model:
  - linear: 25
  - tahn
  - linear:
      out_features: 0
      init: {normal: -1}
  -
seed: -1
training:
  epoch: 3
data:
  disc:
    train: 2.5
    target_values: [0, 1, 2]
data-seed: round
"""
    assert problems(text) == [
        "c.yaml:2:1: loss: missing",
        "c.yaml:4:9: optimizer.sgd.lr: must be a number, not the text '0.1'",
        "c.yaml:5:5: optimizer.sgd.momentun: unknown key; did you mean 'momentum'?",
        "c.yaml:8:5: model.1: no such layer: 'tahn'; did you mean 'tanh'?",
        "c.yaml:10:21: model.2.linear.out_features: must be greater than 0, not 0",
        "c.yaml:11:22: model.2.linear.init.normal.std: must be greater than 0, not -1",
        "c.yaml:12:4: model.3: must be a layer: a name, or a name and its arguments, not nothing",
        "c.yaml:13:7: seed: must be at least 0, not -1",
        "c.yaml:15:3: training.epochs: missing",
        "c.yaml:15:3: training.batch_size: missing",
        "c.yaml:15:3: training.epoch: unknown key; did you mean 'epochs'?",
        "c.yaml:18:12: data.disc.train: must be a whole number, not 2.5",
        "c.yaml:19:20: data.disc.target_values: must have at most 2 items, not 3",
        "c.yaml:20:1: data-seed: unknown key; did you mean 'data_seed'?",
    ]


def test_lines_are_in_the_order_of_numbers(base_with: Any, problems: Any):
    text = base_with(model="\n" + "".join(f"- x{index}\n" for index in range(12)))

    assert [int(line.split(":")[1]) for line in problems(text)] == list(range(6, 18))


def test_a_name_for_a_missing_part_of_a_file(problems: Any):
    found = problems("name: x")

    assert found == [f"c.yaml:1:1: {key}: missing" for key in ("data", "model", "loss", "optimizer", "training")]


def test_a_mistake_in_an_alias_is_told_where_it_was_written(base_with: Any, problems: Any):
    assert problems(base_with(model="[linear: &n {out_features: 0}, linear: *n]")) == [
        "c.yaml:5:35: model.0.linear.out_features: must be greater than 0, not 0",
        "c.yaml:5:35: model.1.linear.out_features: must be greater than 0, not 0",
    ]


def test_mistakes_of_the_reader_come_alone(base_with: Any, problems: Any):
    assert problems(base_with(loss="bad", name="!x y")) == ["c.yaml:6:7: the tag '!x' is not allowed; remove it"]


def test_a_config_can_name_its_places_later(base_with: Any, load_text: Any):
    config = load_text(base_with(model="[tanh, linear: 3]"), "optimizer.sgd.lr=0.3")

    def line(*path: str | int) -> str:
        return config.error(path, "does not fit").problems[0].rpartition("/")[2]

    assert line("model", 1) == "c.yaml:5:15: model.1: does not fit"
    assert line("training", "drop_last") == "c.yaml:4:11: training.drop_last: does not fit"
    assert line("optimizer", "sgd", "lr") == "-s optimizer.sgd.lr=0.3: optimizer.sgd.lr: does not fit"


# Files


def load_error(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_config(path)
    return caught.value.problems


def test_missing_file():
    assert load_error(Path("none.yaml")) == ["none.yaml: cannot be read: No such file or directory"]


def test_directory(tmp_path: Path):
    assert load_error(tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]


def test_unreadable_file(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)

    assert load_error(Path("c.yaml")) == ["c.yaml: cannot be read: Permission denied"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (".yaml", NAME),
        ("a\nb\x1b.yaml", r"name: must have printable characters only, not 'a\nb\x1b'"),
        ("x" * 81 + ".yaml", "name: must have at most 80 characters, not 81"),
    ],
)
def test_file_whose_name_is_no_name(name: str, problem: str, base_with: Any, tmp_path: Path):
    file = tmp_path / name
    file.write_text(base_with())
    shown = str(file).replace("\n", r"\n").replace("\x1b", r"\x1b")

    assert load_error(file) == [f"{shown}: {problem}"]
    assert load_config(file, ["name=x"]).name == "x"


# Whatever a file holds

LONG = 100_000


@pytest.mark.parametrize(
    "line",
    [
        f"data: {'x' * LONG}",
        f"data: {{? {'x' * LONG} : 1}}",
        f"data: {{disc: 1, ? {'x' * LONG} : 1}}",
        f"data: {{disc: {{? {'x' * LONG} : 1}}}}",
        f"data: {{disc: {'x' * LONG}}}",
        f"data: {{disc: [{'1,' * 5_000}]}}",
        f"data: {{disc: {{target_values: [{'1,' * 5_000}]}}}}",
        f"data: {{{', '.join(f'{index}: 1' for index in range(1_000))}}}",
        f"loss: {{mse: {'x' * LONG}}}",
        f"model: [tanh: {'x' * LONG}]",
        f"model: {'x' * LONG}",
        f"training: {'x' * LONG}",
        f"name: {'x' * LONG}",
        'name: "' + "\\U000e0001" * 80 + '"',
        f"data_seed: {'x' * LONG}",
        f"seed: {'x' * LONG}",
        f"? {'x' * LONG}\n: 1",
        *[
            line.replace("TEXT", r'"\n\e[31m\u202e\r\x85\u2028"')
            for line in (
                "data: TEXT",
                "data: {TEXT: 1}",
                "data: {disc: 1, TEXT: 1}",
                "data: {TEXT: 1, disc: 1}",
                "data: {disc: {TEXT: 1}}",
                "data: {disc: TEXT}",
                "model: [tanh: TEXT]",
                "model: TEXT",
                "training: TEXT",
                "name: TEXT",
                "data_seed: TEXT",
                "TEXT: 1",
            )
        ],
    ],
    ids=range(29),
)
def test_messages_are_short_and_printable(line: str, base_with: Any, problems: Any):
    kept = "".join(f"{other}\n" for other in base_with().splitlines() if not other.startswith(line.split(":")[0] + ":"))

    [problem] = problems(kept + line)

    check_message(problem)


@pytest.mark.parametrize(("length", "shown"), [(60, "x" * 60), (61, "x" * 60 + "…")])
def test_long_text_is_cut(length: int, shown: str, base_with: Any, problems: Any):
    text = "x" * length

    assert problems(base_with(seed=text)) == [f"c.yaml:6:7: seed: must be a whole number, not the text '{shown}'"]
    assert problems(base_with() + f"{text}: 1") == [f"c.yaml:6:1: {shown}: unknown key; known here: {TOP}"]


# What only the validator or a programmer would say.
JARGON = re.compile(
    r"input|should|\bvalid\b|string|integer|float\b|boolean|dict|tuple|instance|literal|annotated|pydantic|"
    r"component\b|constrained|validation error|ctx|__|None|True|False|<class|Linear\b|MSE|SGD|Error",
)


def check_message(problem: str) -> None:
    assert re.match(r"c\.yaml:\d+:\d+: \S", problem)
    assert problem.isprintable()
    assert len(problem.partition("; known here: ")[0]) < 300
    what = re.sub(r"'.*?'", "", problem.removeprefix("c.yaml").partition(": ")[2])
    assert not JARGON.search(what)


plain = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-2, 2)
    | st.sampled_from(["", "x", "a\nb", "\x1b[0m", "tanh", "linear", "disc", "normal", "round", "sum", "0.1", "['"])
)
names = st.sampled_from(
    ["disc", "linear", "tanh", "sgd", "mse", "normal", "out_features", "init", "lr", "epochs", "x", "a\nb", "train"]
)
anything = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)
KEYS = ["name", "seed", "data", "data_seed", "model", "init", "loss", "optimizer", "training", "framework", "sweep"]
KEYS += ["other", "a\x1b\n"]


@given(values=st.dictionaries(st.sampled_from(KEYS), anything, max_size=3))
@example(values={"model": [{"linear": {"out_features": 2, "init": {"normal": [], "x": 1}}}]})
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_values_are_taken_or_told(values: dict[str, Any], base_with: Any, load_text: Any):
    base = [line for line in base_with().splitlines() if line.split(":")[0] not in values]
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in values.items()]
    try:
        load_text("\n".join(base + lines))
        told = []
    except InputError as error:
        told = error.problems
    for problem in told:
        check_message(problem)
    assert len(set(told)) == len(told)


# Components of one's own

SCALE = '''
from typing import Annotated, Literal

from pydantic import Field

from minidl_cli.nn.layer import Initializer, Layer
from minidl_cli.nn.initializers.torch_default import TorchDefault
from minidl_cli.registry import NonNegative, PositiveInt


class Scale(Layer):
    """Scales what comes in.

    Args:
        factor: how much larger
            things get.
        offset: what is added, or `auto`.
        sizes: some sizes.
        init: where it begins.

    Raises:
        ValueError: the factor is 13.
    """

    def __init__(
        self,
        factor: float,
        offset: PositiveInt | Literal["auto"] = "auto",
        sizes: list[PositiveInt] = [],
        limit: NonNegative | None = None,
        label: Annotated[str, Field(pattern="^[a-z]{3}$")] = "abc",
        init: Initializer = TorchDefault(),
    ):
        if factor == 13:
            raise ValueError("13 brings bad luck")
        self.factor = factor

    def forward(self, x):
        return self.factor * x

    def backward(self, grad):
        return self.factor * grad
'''


@pytest.fixture
def scales(registry_with_layer: Any) -> Registry:
    return registry_with_layer("scale", SCALE)


def test_a_new_file_is_a_new_component(scales: Registry, base_with: Any, tmp_path: Path):
    file = tmp_path / "c.yaml"
    file.write_text(base_with(model="[scale: 2, scale: {factor: 3, sizes: [1, 2], limit: 0.5, init: {normal: 2}}]"))

    first, second = load(file, ["model.0.scale.offset=4"], scales).model

    assert first.arguments["factor"] == 2.0
    assert {key: first.arguments[key] for key in ("offset", "sizes", "limit")} == {
        "offset": 4,
        "sizes": [],
        "limit": None,
    }
    assert second.arguments["offset"] == "auto"
    assert second.arguments["sizes"] == [1, 2]
    assert second.spelled_out()["scale"]["init"] == {"normal": {"std": 2.0}}
    assert scales.make("layer", second).factor == 3.0
    assert scales.types["layer"]["scale"].argument_meanings == {
        "factor": "how much larger things get.",
        "offset": "what is added, or `auto`.",
        "sizes": "some sizes.",
        "init": "where it begins.",
    }
    assert scales.types["layer"]["scale"].summary == "Scales what comes in."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("scale: x", ["16: model.0.scale.factor: must be a number, not the text 'x'"]),
        ("scale: 13", ["9: model.0: scale: 13 brings bad luck"]),
        ("scal: 13", ["9: model.0: no such layer: 'scal'; did you mean 'scale'?"]),
        ("linear: 13", ["9: model.0: no such layer: 'linear'; known here: scale"]),
        (
            "scale: {factor: 1, offset: 1.5}",
            ["36: model.0.scale.offset: must be a whole number or 'auto', not 1.5"],
        ),
        ("scale: {factor: 1, sizes: [1, 0]}", ["39: model.0.scale.sizes.1: must be greater than 0, not 0"]),
        ("scale: {factor: 1, limit: x}", ["35: model.0.scale.limit: must be a number, not the text 'x'"]),
        (
            "scale: {factor: 1, label: 'a{}'}",
            ["35: model.0.scale.label: must be text that matches ^[a-z]{3}$, not the text 'a{}'"],
        ),
        (
            "scale: {factr: 1}",
            ["16: model.0.scale.factor: missing", "17: model.0.scale.factr: unknown key; did you mean 'factor'?"],
        ),
    ],
)
def test_mistakes_with_a_new_component(text: str, found: list[str], scales: Registry, base_with: Any, tmp_path: Path):
    file = tmp_path / "c.yaml"
    file.write_text(base_with(model=f"[{text}]"))

    with pytest.raises(InputError) as caught:
        load(file, (), scales)

    assert caught.value.problems == [f"{file}:5:{line}" for line in found]
