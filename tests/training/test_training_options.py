"""Accumulated batches, clipped gradients, the validation part, schedules: what the options of a training promise."""

import math

import numpy as np
import pytest
import torch

from minidl_cli.training.build import build
from minidl_cli.training.trainer import Trainer


def trained(config, seeds):
    trainer = Trainer(build(config), seeds)
    return list(trainer.epochs()), trainer.rounds()


ACCUMULATED = {
    "mean": [],
    "sum": ["loss.mse=sum", "optimizer.sgd.lr=0.005"],
    "sum over outputs": ["loss.mse=sum_outputs"],
    "dropout": ["model=[linear: 7, tanh, dropout: 0.4, linear: 2]"],
    "own data": ["data_seed=round"],
    "cross entropy": ["loss={cross_entropy: {label_smoothing: 0.1}}"],
    "sum of an entropy": ["loss={bce_with_logits: sum}", "optimizer.sgd.lr=0.01"],
    "huber, adam": ["loss=huber", "optimizer={adam: 0.01}"],
    "clipped": ["training.clip_norm=0.05"],
    "no ragged end": ["data.disc.train=40"],
    "an end of one": ["data.disc.train=41"],
}


class TestAccumulate:
    @pytest.mark.parametrize("settings", ACCUMULATED.values(), ids=ACCUMULATED.keys())
    def test_four_batches_of_five_equal_one_of_twenty(self, small_config, settings):
        settings = [*settings, "training.dtype=float64", "training.epochs=2"]
        joined, joined_rounds = trained(small_config(*settings, "training.batch_size=20"), range(3))
        four = small_config(*settings, "training.batch_size=5", "training.accumulate=4")
        records, rounds = trained(four, range(3))
        for one, other in zip(rounds, joined_rounds, strict=True):
            for name, values in one.weights.items():
                np.testing.assert_allclose(values, other.weights[name], rtol=0, atol=1e-12)
        for record, same in zip(records, joined, strict=True):
            np.testing.assert_allclose(record.metrics["train_loss"], same.metrics["train_loss"], rtol=1e-12)

    def test_it_is_no_training_by_single_batches(self, small_config):
        (one, *_), (other, *_) = (
            trained(small_config("training.batch_size=5", f"training.accumulate={number}"), [0])[1] for number in (1, 4)
        )
        assert not np.allclose(one.weights["0.weight"], other.weights["0.weight"], atol=1e-3)

    def test_batch_norm_sees_each_batch_by_itself(self, small_config):
        """Its running statistics are updated once for each batch, as in PyTorch."""
        settings = ["model=[batch_norm, linear: 2]", "training.epochs=1", "training.shuffle=false"]
        config = small_config(*settings, "training.batch_size=10", "training.accumulate=5")
        twin = torch.nn.BatchNorm1d(2)
        for batch in build(config).samples([0])["train"].inputs[0].T.split(10):
            twin(batch)
        ((end,),) = (trained(config, [0])[1],)
        np.testing.assert_allclose(end.weights["0.running_mean"], twin.running_mean, rtol=1e-5)
        np.testing.assert_allclose(end.weights["0.running_var"], twin.running_var, rtol=1e-5)


class TestClipNorm:
    @staticmethod
    def first_gradients(config, seeds):
        """Returns the gradients of the first step as the optimizer gets them: for each round, each parameter's."""
        trainer = Trainer(build(config), seeds)
        found = []

        def step(values, gradients, lr):
            if not found:
                found.append([[each.grad[index].clone() for _, each in named()] for index in range(len(seeds))])

        named = trainer.network.named_parameters
        trainer.optimizer.step = step
        next(trainer.epochs())
        return found[0]

    def test_agrees_with_torch_round_by_round(self, small_config):
        config = ["training.dtype=float64"]
        whole = self.first_gradients(small_config(*config), range(6))
        norms = [float(torch.cat([each.flatten() for each in of_round]).norm()) for of_round in whole]
        largest = sorted(norms)[2]
        clipped = self.first_gradients(small_config(*config, f"training.clip_norm={largest}"), range(6))
        for of_round, found in zip(whole, clipped, strict=True):
            parameters = [torch.nn.Parameter(torch.zeros_like(each)) for each in of_round]
            for parameter, gradient in zip(parameters, of_round, strict=True):
                parameter.grad = gradient.clone()
            torch.nn.utils.clip_grad_norm_(parameters, largest)
            for parameter, gradient in zip(parameters, found, strict=True):
                torch.testing.assert_close(gradient, parameter.grad, rtol=1e-14, atol=0)
        unchanged = [all(map(torch.equal, *pair)) for pair in zip(whole, clipped, strict=True)]
        assert sum(unchanged) in (2, 3)  # that of the largest norm itself is scaled by 1 - 1e-6 / norm

    def test_accumulated_gradients_are_clipped_once(self, small_config):
        settings = ["training.dtype=float64", "training.batch_size=5", "training.accumulate=4"]
        clipped = self.first_gradients(small_config(*settings, "training.clip_norm=0.001"), range(3))
        for of_round in clipped:
            assert float(torch.cat([each.flatten() for each in of_round]).norm()) == pytest.approx(0.001, rel=0.02)


class TestValidation:
    @staticmethod
    def parts(config, seeds=(0,)):
        """Returns the samples of each part as sets of points, for each round that has samples of its own."""
        return [
            {name: {tuple(point) for point in part.inputs[index].T.tolist()} for name, part in samples.items()}
            for samples in [build(config).samples(seeds)]
            for index in range(len(samples["train"].inputs))
        ]

    @pytest.mark.parametrize(("share", "size"), [(0.2, 9), (0.5, 24), (0.02, 1), (0.97, 46)])
    def test_training_set_is_divided(self, small_config, share, size):
        (whole,) = self.parts(small_config())
        config = small_config(f"training.validation={share}", "training.batch_size=1")
        (parts,) = self.parts(config)
        assert list(parts) == list(build(config).sizes) == ["train", "validation", "test"]
        assert {name: len(points) for name, points in parts.items()} == build(config).sizes
        assert len(parts["validation"]) == size
        assert not parts["train"] & parts["validation"]
        assert parts["train"] | parts["validation"] == whole["train"]
        assert parts["test"] == whole["test"]

    def test_samples_keep_their_classes(self, small_config):
        labels = {}
        for settings in ([], ["training.validation=0.3"]):
            for name, part in build(small_config(*settings)).samples([0]).items():
                points = part.inputs[0].T.tolist()
                for point, target in zip(points, part.targets[0].T.tolist(), strict=True):
                    assert labels.setdefault((name == "test", *point), target) == target

    def test_all_rounds_share_it(self, small_config):
        settings = ["training.validation=0.3"]
        samples = build(small_config(*settings)).samples([4, 5])
        assert {name: len(part.inputs) for name, part in samples.items()} == dict.fromkeys(samples, 1)
        assert self.parts(small_config(*settings), [4]) == self.parts(small_config(*settings), [5])
        assert self.parts(small_config(*settings)) != self.parts(small_config(*settings, "data_seed=1"))

    def test_each_round_has_its_own_where_it_has_its_own_data(self, small_config):
        config = small_config("training.validation=0.3", "data_seed=round")
        four, five = self.parts(config, [4, 5])
        assert not four["validation"] & five["validation"]
        for seed, parts in [(4, four), (5, five)]:
            assert [parts] == self.parts(small_config("training.validation=0.3", f"data_seed={seed}"))

    def test_its_places_are_drawn_from_the_data_seed(self, small_config):
        def places(*settings):
            train = build(small_config(*settings)).samples([0])["train"].inputs[0].T.tolist()
            samples = build(small_config("training.validation=0.3", *settings)).samples([0])
            return [train.index(point) for point in samples["validation"].inputs[0].T.tolist()]

        drawn = places()
        assert drawn not in (list(range(14)), list(range(33, 47)))
        assert places("data.disc.inside_label=0", "seed=5") == drawn
        assert places("data_seed=1") != drawn

    def test_nothing_is_trained_on_it(self, small_config):
        config = small_config("training.validation=0.3", "training.shuffle=false")
        _, (expected,) = trained(config, [0])
        trainer = Trainer(build(config), [0])
        validation = trainer.samples["validation"]
        validation.inputs = torch.full_like(validation.inputs, 7.0)
        assert list(trainer.epochs())
        found = trainer.rounds()[0].weights
        assert all(np.array_equal(found[name], values) for name, values in expected.weights.items())


SCHEDULES = {
    "constant": [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
    "{piecewise: {0: 0.1, 2: 0.03, 5: 0.01}}": [0.1, 0.1, 0.03, 0.03, 0.03, 0.01],
    "{piecewise: {3: 0.25}}": [0.5, 0.5, 0.5, 0.25, 0.25, 0.25],
    "{step: {step_size: 2, gamma: 0.5}}": [0.5, 0.5, 0.25, 0.25, 0.125, 0.125],
    "{exponential: 0.5}": [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625],
    "{cosine: 2}": [0.5 / 3, 1 / 3, *(0.25 * (1 + math.cos(math.pi * k / 4)) for k in range(4))],
}


@pytest.mark.parametrize(("schedule", "rates"), SCHEDULES.items(), ids=SCHEDULES.keys())
def test_each_epoch_is_trained_at_the_rate_that_is_logged(small_config, schedule, rates):
    config = small_config("optimizer.sgd={lr: 0.5}", "training.epochs=6", f"training.schedule={schedule}")
    records, rounds = trained(config, range(2))
    assert [record.lr for record in records] == pytest.approx(rates, rel=1e-15)
    # Epoch by epoch, the weights are those of a constant rate.
    trainer = Trainer(build(small_config("optimizer.sgd={lr: 0.5}", "training.epochs=6")), range(2))
    epochs = trainer.epochs()
    for record in records:
        trainer.optimizer.lr = record.lr
        next(epochs)
    for one, other in zip(trainer.rounds(), rounds, strict=True):
        assert all(np.array_equal(one.weights[name], values) for name, values in other.weights.items())
