"""The trainer against the same loop in torch.nn, and what its options do."""

import numpy as np
import pytest
import torch
from torch import nn

from minidl_cli.errors import InputError
from minidl_cli.reference.torch_modules import loss_function, module, optimizer
from minidl_cli.training.build import build
from minidl_cli.training.trainer import Trainer


def torch_twin(trainer: Trainer, config, index: int) -> nn.Sequential:
    """Returns the same network as a torch.nn module, with the parameters of one round of the stack."""
    twin = module(config, trainer.network.widths[0])
    twin.load_state_dict({name: each.value[index].clone() for name, each in trainer.network.named_state()})
    return twin


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["model.4.linear=1", "data.disc.target_values=[-1, 1]"],
        ["loss.mse=sum_outputs", "optimizer.sgd={lr: 0.05, momentum: 0.9, nesterov: true, weight_decay: 0.01}"],
        ["loss.mse=sum", "optimizer.sgd={lr: 0.005}", "training.drop_last=true"],
        ["model=[linear: 4, linear: {out_features: 9, bias: false}, sigmoid, identity, linear: 2, tanh]"],
        ["training.shuffle=false", "data_seed=round", "training.batch_size=50"],
    ],
    ids=["small", "one output", "nesterov", "sum, drop last", "other layers", "one batch in order"],
)
def test_agrees_with_torch(small_config, settings):
    config = small_config("training.dtype=float64", "training.epochs=10", *settings)
    trainer = Trainer(build(config), [3, 4])
    twins = [torch_twin(trainer, config, index) for index in range(2)]
    optimizers = [optimizer(config, twin.parameters()) for twin in twins]
    loss = loss_function(config)
    train, test = trainer.samples["train"], trainer.samples["test"]
    for record in trainer.epochs():
        order = trainer.order(record.epoch)
        for index, (twin, steps) in enumerate(zip(twins, optimizers, strict=True)):
            errors = []
            own = index if len(train.inputs) > 1 else 0
            for batch in order[index].split(config.training.batch_size):
                output = twin(train.inputs[own][:, batch].T)
                target = train.targets[own][:, batch].T
                errors.append((output - target).detach() ** 2)
                steps.zero_grad()
                loss(output, target).backward()
                steps.step()
            train_mse = torch.cat(errors).mean()
            with torch.no_grad():
                test_mse = nn.functional.mse_loss(twin(test.inputs[own].T), test.targets[own].T)
            assert record.metrics["train_mse"][index] == pytest.approx(float(train_mse), rel=1e-9)
            assert record.metrics["test_mse"][index] == pytest.approx(float(test_mse), rel=1e-9)
    for index, each in enumerate(trainer.rounds()):
        for name, values in twins[index].state_dict().items():
            np.testing.assert_allclose(each.weights[name], values, rtol=1e-9, atol=1e-12)


def test_logged_measures_fit_each_other(small_config):
    trainer = Trainer(build(small_config("loss.mse=sum_outputs", "optimizer.sgd.lr=1.0e-9")), [0])
    (record, *_) = trainer.epochs()
    metrics = {name: float(values[0]) for name, values in record.metrics.items()}
    # With two outputs the sum over them is twice the mean; and with so small a learning rate nothing changes.
    assert metrics["train_loss"] == pytest.approx(2 * metrics["train_mse"], rel=1e-6)
    final = trainer.rounds()[0].metrics
    assert {name: pytest.approx(value, rel=1e-4) for name, value in metrics.items()} == final
    hits = metrics["train_accuracy"] * 47
    assert hits == pytest.approx(round(hits))


def test_zero_epochs_leave_the_initial_parameters(small_config):
    task = build(small_config("training.epochs=0"))
    trainer = Trainer(task, [5])
    initial = {name: each.value[0].numpy().copy() for name, each in task.network.named_parameters()}
    assert list(trainer.epochs()) == []
    (trained,) = trainer.rounds()
    assert trained.epochs == 0
    assert trained.status == "finished"
    assert all(np.array_equal(trained.weights[name], values) for name, values in initial.items())
    assert 0 <= trained.metrics["test_accuracy"] <= 1


def test_order_is_a_permutation_of_its_own_for_each_round_and_epoch(small_config):
    trainer = Trainer(build(small_config()), [0, 1])
    first, second = trainer.order(1), trainer.order(2)
    assert first.sort(dim=1).values.equal(torch.arange(47).expand(2, 47))
    assert not first[0].equal(first[1])
    assert not first[0].equal(second[0])
    assert first.equal(trainer.order(1))


def test_order_without_shuffling(small_config):
    trainer = Trainer(build(small_config("training.shuffle=false", "training.drop_last=true")), [0, 1])
    assert trainer.order(1).equal(torch.arange(40).expand(2, 40))


def test_test_metrics_are_logged_every_so_many_epochs_and_at_the_end(small_config):
    trainer = Trainer(build(small_config("training.epochs=8", "training.log_every=3")), [0])
    assert [record.epoch for record in trainer.epochs() if "test_loss" in record.metrics] == [3, 6, 8]


def test_data_are_shared_unless_each_round_draws_its_own(small_config):
    shared = Trainer(build(small_config()), [0, 1]).samples["train"]
    own = Trainer(build(small_config("data_seed=round")), [0, 1]).samples["train"]
    assert shared.inputs.shape == (1, 2, 47)
    assert own.inputs.shape == (2, 2, 47)
    assert own.inputs[0].equal(shared.inputs[0])  # data_seed is 0 by default
    assert not own.inputs[1].equal(own.inputs[0])


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            ["model.4.linear=3"],
            "small.yaml:4:43: model.4: the network puts out 3 values after this linear layer, but disc has 2 classes; "
            "the outputs must be 2 (one for each class) or 1",
        ),
        (
            ["model=[tanh]"],
            "-s model=[tanh]: model: has no parameters, so there is nothing to train; add a linear layer",
        ),
        (
            ["training.batch_size=48", "training.drop_last=true"],
            "-s training.batch_size=48: training.batch_size: drop_last leaves no batch of 48, as there are 47 samples",
        ),
    ],
)
def test_parts_that_do_not_fit(small_config, settings, problem):
    with pytest.raises(InputError) as caught:
        build(small_config(*settings))
    assert str(caught.value).endswith(problem)


def test_rounds_can_be_taken_after_any_epoch(small_config):
    trainer = Trainer(build(small_config("training.epochs=5")), [0, 1])
    epochs = trainer.epochs()
    next(epochs)
    assert {each.epochs for each in trainer.rounds()} == {1}
    next(epochs)
    assert {each.epochs for each in trainer.rounds()} == {2}


def test_what_is_logged_does_not_change_which_rounds_diverge(small_config):
    settings = ["model=[linear: 7, linear: 5, linear: 2]", "optimizer.sgd.lr=0.84", "training.epochs=8"]
    every, last = (
        Trainer(build(small_config(*settings, f"training.log_every={number}")), range(11)) for number in (1, 8)
    )
    assert len(list(every.epochs())) == len(list(last.epochs()))
    for one, other in zip(every.rounds(), last.rounds(), strict=True):
        assert (one.status, one.epochs, one.metrics) == (other.status, other.epochs, other.metrics)
        assert all(np.array_equal(one.weights[name], other.weights[name], equal_nan=True) for name in one.weights)
