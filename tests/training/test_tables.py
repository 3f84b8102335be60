"""Training on tables: samples that all rounds share, and what is fitted to each round's own training rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.metrics import mean_absolute_error, mean_squared_error
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from minidl_cli import load_config
from minidl_cli.config.schema import Config
from minidl_cli.reference.gradient_check import check_gradients
from minidl_cli.reference.torch_trainer import TorchTrainer
from minidl_cli.training.build import build
from minidl_cli.training.compiled import CompiledStep, CompiledTrainer
from minidl_cli.training.evaluation import predict, restore
from minidl_cli.training.trainer import Round, Trainer

ROWS, SEEDS = 61, [3, 4, 9]

# What is predicted, how many outputs that takes, the loss, and what else the table is asked for.
CASES = {
    "classes": ("kind", 3, "cross_entropy", "class_weights: balanced"),
    "classes by squares": ("kind", 3, "mse", "class_weights: {p: 3}, target_values: [-1, 1]"),
    "two classes, one output": ("side", 1, "bce_with_logits", "class_weights: {p: 3}"),
    "a number": ("u", 1, "mse", "scale_target: true"),
    "a number, otherwise": ("u", 1, "huber", "scale_target: true, numeric: min_max"),
    "two numbers": ("[u, v]", 2, "{mse: sum_outputs}", "scale_target: true"),
    "nothing fitted": ("v", 1, "mse", "numeric: none, features: [b]"),
}


@pytest.fixture(scope="module")
def values() -> dict[str, NDArray[np.generic]]:
    """Returns the columns of the table. Two values are missing, and one category is rare."""
    numbers = np.random.default_rng(0)
    a, b = numbers.normal(5, 3, ROWS), numbers.normal(-100, 20, ROWS)
    a[5] = b[7] = np.nan
    return {
        "a": a,
        "b": b,
        "c": np.array(["rare", *numbers.choice(["x", "y", "z"], ROWS - 1)]),
        "kind": numbers.choice(["p", "q", "r"], ROWS),
        "side": numbers.choice(["p", "q"], ROWS),
        "u": numbers.normal(1000, 50, ROWS),
        "v": numbers.normal(0, 1, ROWS),
    }


@pytest.fixture
def table(tmp_path: Path, values: dict[str, NDArray[np.generic]]) -> Path:
    path = tmp_path / "table.csv"
    rows = zip(*(["" if value != value else str(value) for value in column] for column in values.values()), strict=True)
    path.write_text("\n".join([",".join(values), *map(",".join, rows)]) + "\n")
    return path


def config(table: Path, case: str, *settings: str, data_seed: str = "round") -> Config:
    target, outputs, loss, more = CASES[case]
    features = "" if "features" in more else "features: [a, b, c],"
    path = table.with_suffix(".yaml")
    path.write_text(f"""
data: {{table: {{file: table.csv, target: {target}, {features} missing: median, {more}}}}}
data_seed: {data_seed}
model: [linear: 5, tanh, linear: {outputs}]
loss: {loss}
optimizer: {{sgd: {{lr: 0.05, momentum: 0.5}}}}
training: {{epochs: 4, batch_size: 10, dtype: float64}}
""")
    return load_config(path, settings)


def trained(trainer: Trainer) -> tuple[list[Round], list[dict[str, NDArray[np.float64]]]]:
    metrics = [record.metrics for record in trainer.epochs()]
    return trainer.rounds(), metrics


def assert_close(
    ones: Sequence[dict[str, NDArray[np.float64]]], others: Sequence[dict[str, NDArray[np.float64]]], tolerance: float
) -> None:
    for one, other in zip(ones, others, strict=True):
        for name, numbers in one.items():
            np.testing.assert_allclose(numbers, other[name], tolerance, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_all_ways_to_train_agree(table, case):
    """PyTorch's operations, compiled steps, and torch.nn."""
    made = config(table, case)
    _, ours = trained(Trainer(build(made), SEEDS))
    _, compiled = trained(CompiledTrainer(build(made), SEEDS, CompiledStep(made)))
    _, theirs = trained(TorchTrainer(build(made), SEEDS))
    assert_close(ours, compiled, 1e-11)
    assert_close(ours, theirs, 1e-9)


@pytest.mark.parametrize("data_seed", ["round", "0"])
@pytest.mark.parametrize("case", ["classes", "two numbers"])
def test_a_round_is_the_same_alone(table, case, data_seed):
    made = config(table, case, "training.dtype=float32", data_seed=data_seed)
    step = CompiledStep(made)
    for make in (lambda seeds: Trainer(build(made), seeds), lambda seeds: CompiledTrainer(build(made), seeds, step)):
        together, _ = trained(make(SEEDS))
        for seed, expected in zip(SEEDS, together, strict=True):
            (alone,), _ = trained(make([seed]))
            assert alone.metrics == expected.metrics
            assert alone.weights.keys() == expected.weights.keys()
            assert all(np.array_equal(values, expected.weights[name]) for name, values in alone.weights.items())


def test_the_network_sees_what_scikit_learn_would_make_of_the_training_rows(table, values):
    """Fitted to the training rows of each round alone, and kept with its weights."""
    task = build(config(table, "classes"))
    rounds, _ = trained(Trainer(task, SEEDS))
    numbers = np.stack([values["a"], values["b"]], axis=1)
    for each in rounds:
        train = task.dataset.draw(each.seed)["train"].rows_of_all().numpy()
        imputer = SimpleImputer(strategy="median").fit(numbers[train])
        scaler = StandardScaler().fit(imputer.transform(numbers[train]))
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False, categories=[["rare", "x", "y", "z"]])
        one_hot = encoder.fit(values["c"][train, None]).transform(values["c"][:, None])
        seen = np.isin(["rare", "x", "y", "z"], values["c"][train])
        expected = np.hstack([scaler.transform(imputer.transform(numbers)), one_hot * seen])
        network = restore(task.network, {name: torch.from_numpy(held)[None] for name, held in each.weights.items()})
        part = task.dataset.draw(each.seed)["train"]
        found = network.preprocessing.scale_inputs(part.inputs.unsqueeze(0))[0].T.numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    scales = {tuple(each.weights["inputs.scale"][:2]) for each in rounds}
    assert len(scales) == len(SEEDS)  # each round has its own


@pytest.mark.parametrize("case", ["a number", "two numbers"])
def test_errors_and_predictions_are_in_the_targets_own_units(table, values, case):
    task = build(config(table, case))
    rounds, _ = trained(Trainer(task, SEEDS))
    targets = np.stack([values[name] for name in task.dataset.columns.targets], axis=1)
    for each in rounds:
        part = task.dataset.draw(each.seed)["test"]
        rows = part.rows_of_all()
        network = restore(task.network, {name: torch.from_numpy(held)[None] for name, held in each.weights.items()})
        predicted = predict(network, task.judge, part.inputs[:, rows].T)[0].numpy()
        assert each.metrics["test_mse"] == pytest.approx(mean_squared_error(targets[rows], predicted), rel=1e-9)
        assert each.metrics["test_mae"] == pytest.approx(mean_absolute_error(targets[rows], predicted), rel=1e-9)
        assert 500 < predicted[:, 0].mean() < 1500
        # The loss is on the scale that the network learns on.
        assert each.metrics["test_loss"] < 50 < each.metrics["test_mse"]


@pytest.mark.parametrize("case", ["classes", "a number", "two classes, one output"])
def test_gradients_are_right(table, case):
    assert all(comparison.passed for comparison in check_gradients(config(table, case)))


def test_validation_rows_are_training_rows_held_back(table):
    """Nothing is fitted to them either."""
    task = build(config(table, "classes", "training.validation=0.25"))
    parts = {name: set(part.rows[0].tolist()) for name, part in task.samples([3]).items()}
    assert set.union(*parts.values()) == set(range(ROWS))
    assert sum(map(len, parts.values())) == ROWS
    assert {name: len(rows) for name, rows in parts.items()} == task.sizes
    whole = build(config(table, "classes"))
    assert parts["test"] == set(whole.samples([3])["test"].rows[0].tolist())
    assert not torch.equal(task.fit([3])["inputs.center"], whole.fit([3])["inputs.center"])


def test_all_rounds_share_one_matrix(table):
    samples = build(config(table, "classes")).samples(SEEDS)
    assert len({part.inputs.data_ptr() for part in samples.values()}) == 1
    assert all(len(part.inputs) == 1 and len(part.rows) == len(SEEDS) for part in samples.values())
