"""Early stopping and best weights, against a plain reading of the validation curve."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from minidl_cli.config.schema import EarlyStopping
from minidl_cli.metrics import metric
from minidl_cli.training.best import BestWeights
from minidl_cli.training.build import build
from minidl_cli.training.trainer import Trainer


def best_and_last(curve: dict[int, float], rule: EarlyStopping, epochs: int) -> tuple[int, int]:
    """Returns the epoch of the best value, and the one after which training stops, as one reads them off a curve."""
    sign = 1 if metric(rule.monitor).higher_is_better else -1
    best, best_epoch = -math.inf, 0
    to_beat, since = -math.inf, 0
    for epoch, value in curve.items():
        if sign * value > best:
            best, best_epoch = sign * value, epoch
        if sign * value > to_beat + rule.min_delta:
            to_beat, since = sign * value, epoch
        if epoch - since >= rule.patience:
            return best_epoch, epoch
    return best_epoch, epochs


rules = st.builds(
    EarlyStopping,
    monitor=st.sampled_from(["validation_loss", "validation_mse", "validation_accuracy"]),
    patience=st.integers(1, 6),
    min_delta=st.sampled_from([0.0, 0.1, 0.25]),
)
# Few different values, so that there are ties, and differences of just min_delta.
values = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, math.nan]) | st.floats(0, 1)


@given(rule=rules, curves=st.lists(st.lists(values, min_size=12, max_size=12), min_size=1, max_size=4))
@example(rule=EarlyStopping(patience=2), curves=[[math.nan] * 12])
@example(rule=EarlyStopping(patience=3, min_delta=0.25), curves=[[1.0, 0.75, 0.5, 0.25, 0.0, *[0.0] * 7]])
def test_any_curves(rule, curves):
    curves = np.array(curves)
    weights = {"w": torch.zeros(len(curves), 1)}
    best = BestWeights(rule, weights)
    stops = np.zeros(len(curves), dtype=int)
    kept = np.zeros(len(curves))
    for epoch in range(1, 13):
        weights["w"][:] = epoch
        best.update({rule.monitor: curves[:, epoch - 1]}, epoch, weights)
        new = best.out_of_patience(epoch) & (stops == 0)
        stops[new], kept[new] = epoch, best.state["w"][new, 0]
    kept[stops == 0] = best.state["w"][stops == 0, 0]
    for index, curve in enumerate(curves):
        best_epoch, last = best_and_last(dict(enumerate(curve, start=1)), rule, 12)
        assert (kept[index], stops[index] or 12) == (best_epoch, last)


def test_rounds_that_are_kept_go_on_as_before():
    curves = np.random.default_rng(0).random((6, 10))
    rule, state = EarlyStopping(patience=3), {"w": torch.zeros(6, 1)}
    whole, part = BestWeights(rule, state), BestWeights(rule, state)
    for epoch in range(1, 11):
        if epoch == 5:
            part.keep([4, 1])
        kept = [4, 1] if epoch >= 5 else range(6)
        state = {"w": torch.full((6, 1), float(epoch))}
        whole.update({rule.monitor: curves[:, epoch - 1]}, epoch, state)
        part.update({rule.monitor: curves[kept, epoch - 1]}, epoch, {"w": state["w"][kept]})
        assert part.epochs.tolist() == whole.epochs[kept].tolist()
        assert part.state["w"].equal(whole.state["w"][kept])
        assert part.out_of_patience(epoch).tolist() == whole.out_of_patience(epoch)[kept].tolist()


SETTINGS = {
    "loss": ["{patience: 3}"],
    "accuracy": ["{monitor: validation_accuracy, patience: 4}"],
    "MSE of logits": ["{monitor: validation_mse, patience: 3}", "loss=bce_with_logits", "model.4.linear=1"],
    "by more than a little": ["{patience: 2, min_delta: 0.005}"],
    "every third epoch": ["{patience: 4}", "training.log_every=3"],
    "never": ["{patience: 100}"],
    "own data": ["{patience: 2}", "data_seed=round"],
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_rounds_stop_where_the_whole_curve_says(small_config, settings):
    """The curve is that of the same training without early stopping."""
    stopping, *others = settings
    others += ["training.validation=0.3", "training.epochs=20", "optimizer={adam: 0.05}"]
    whole = Trainer(build(small_config(*others)), range(8))
    config = small_config(*others, f"training.early_stopping={stopping}")
    rule = config.training.early_stopping
    logged = [record for record in whole.epochs() if "test_loss" in record.metrics]
    stopped = Trainer(build(config), range(8))
    assert list(stopped.epochs())
    for index, each in enumerate(stopped.rounds()):
        curve = {record.epoch: record.metrics[rule.monitor][index] for record in logged}
        assert (each.best_epoch, each.epochs) == best_and_last(curve, rule, 20)
        assert each.status == "finished"
    assert (len({each.epochs for each in stopped.rounds()}) > 1) == (settings != SETTINGS["never"])


@pytest.mark.parametrize("stopping", [[], ["training.early_stopping={patience: 3}"]], ids=["no stop", "early stop"])
def test_best_weights_are_those_of_the_best_epoch(small_config, stopping):
    settings = ["training.validation=0.3", "optimizer.sgd.lr=0.3", "model.1=batch_norm", *stopping]
    trainer = Trainer(build(small_config("training.epochs=20", *settings)), range(4))
    logged = {
        record.epoch: dict(zip(record.seeds, record.metrics["test_mse"], strict=True)) for record in trainer.epochs()
    }
    assert any(0 < each.best_epoch < each.epochs for each in trainer.rounds())
    for each in trainer.rounds():
        again = Trainer(build(small_config(f"training.epochs={each.best_epoch}", *settings)), [each.seed])
        assert len(list(again.epochs())) == each.best_epoch
        (until_then,) = again.rounds()
        assert each.best.keys() == until_then.weights.keys()
        assert all(each.best[name].tobytes() == values.tobytes() for name, values in until_then.weights.items())
        # The final metrics are those of the weights that training ends with.
        final_epoch = each.best_epoch if stopping else each.epochs
        assert each.metrics["test_mse"] == logged[final_epoch][each.seed]


def test_before_the_first_epoch_the_best_weights_are_the_initial_ones(small_config):
    trainer = Trainer(build(small_config("training.validation=0.3", "training.epochs=0")), [0, 1])
    assert not list(trainer.epochs())
    for each in trainer.rounds():
        assert each.best_epoch == 0
        assert all(np.array_equal(each.best[name], values) for name, values in each.weights.items())


def test_without_a_validation_part_there_are_no_best_weights(small_config):
    trainer = Trainer(build(small_config()), [0])
    assert list(trainer.epochs())
    (trained,) = trainer.rounds()
    assert (trained.best, trained.best_epoch) == (None, None)


def test_best_weights_are_not_those_that_training_goes_on_with(small_config):
    """What is kept must not change when the network does."""
    trainer = Trainer(build(small_config("training.validation=0.3", "training.epochs=9", "optimizer.sgd.lr=0.3")), [0])
    states = []
    for _ in trainer.epochs():
        states.append((trainer.best.epochs[0], trainer.best.state["0.weight"].clone()))
    for (epoch, weight), (later, later_weight) in pairwise(states):
        assert (epoch == later) == weight.equal(later_weight)
