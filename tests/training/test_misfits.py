"""Parts of a config that are right by themselves and do not fit together: one line, with its place."""

import pytest

from minidl_cli.errors import InputError
from minidl_cli.training.build import build

METRICS = "train_loss, train_mse, train_accuracy, test_loss, test_mse, test_accuracy"
BATCH_NORM = "model=[linear: 7, batch_norm, linear: 2]"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            ["training.early_stopping={patience: 3}"],
            "-s training.early_stopping={patience: 3}: training.early_stopping: needs samples to watch; set "
            "training.validation, for example to 0.2",
        ),
        (
            ["training.validation=0.9999"],
            "-s training.validation=0.9999: training.validation: 0.9999 of 47 samples leaves a part without samples",
        ),
        (
            ["training.validation=0.001"],
            "-s training.validation=0.001: training.validation: 0.001 of 47 samples leaves a part without samples",
        ),
        (
            ["training.validation=0.9", "training.drop_last=true"],
            "small.yaml:8:35: training.batch_size: drop_last leaves no batch of 10, as there are 5 samples",
        ),
        (
            [BATCH_NORM, "data.disc.train=41"],
            "small.yaml:8:35: training.batch_size: batch_norm takes batches of at least 2 samples in training, but the "
            "last one has 1; use another size or set drop_last",
        ),
        (
            [BATCH_NORM, "training.validation=0.12"],
            "small.yaml:8:35: training.batch_size: batch_norm takes batches of at least 2 samples in training, but the "
            "last one has 1; use another size or set drop_last",
        ),
        (
            ["init.constant=1.0e300"],
            "-s init.constant=1.0e300: init.constant.val: is larger than float32 can hold, 3.4e+38",
        ),
        (
            ["training.schedule.piecewise={0: 1.0e300}"],
            "-s training.schedule.piecewise={0: 1.0e300}: training.schedule.piecewise.rates.0: is larger than float32 "
            "can hold, 3.4e+38",
        ),
        (
            ["loss={huber: {delta: 1.0e300}}"],
            "-s loss={huber: {delta: 1.0e300}}: loss.huber.delta: is larger than float32 can hold, 3.4e+38",
        ),
        (
            ["sweep.target.test_accuracy=95"],
            "-s sweep.target.test_accuracy=95: sweep.target.test_accuracy: must be between 0 and 1, as an accuracy is",
        ),
        (
            ["loss=bce"],
            "small.yaml:4:43: model.4: bce takes outputs between 0 and 1, but the last layer is linear; add a sigmoid, "
            "or use the loss bce_with_logits",
        ),
        (
            ["loss=bce", "model=[linear: 2, tanh]"],
            "-s model=[linear: 2, tanh]: model.1: bce takes outputs between 0 and 1, but the last layer is tanh; add a "
            "sigmoid, or use the loss bce_with_logits",
        ),
        (
            ["loss=cross_entropy", "model.4.linear=1"],
            "-s loss=cross_entropy: loss: cross_entropy takes at least 2 outputs, one for each class, but the network "
            "has one; use bce_with_logits, or a last layer of 2",
        ),
        (
            ["loss=cross_entropy", "data.disc.target_values=[-1, 1]"],
            "small.yaml:3:3: data: cross_entropy takes the target values [0, 1], not [-1.0, 1.0]",
        ),
        (
            ["loss=bce_with_logits", "data.disc.target_values=[0, 2]"],
            "small.yaml:3:3: data: bce_with_logits takes the target values [0, 1], not [0.0, 2.0]",
        ),
        (
            ["sweep.target={test_acc: 1}"],
            f"-s sweep.target={{test_acc: 1}}: sweep.target.test_acc: unknown metric; known here: {METRICS}",
        ),
        (
            ["sweep={target: {validation_mse: 1}}"],
            "-s sweep={target: {validation_mse: 1}}: sweep.target.validation_mse: unknown metric; "
            f"known here: {METRICS}",
        ),
        (
            ["sweep.target={test_accuracy: 95}"],
            "-s sweep.target={test_accuracy: 95}: sweep.target.test_accuracy: must be between 0 and 1, as an accuracy "
            "is",
        ),
        (
            ["training.schedule={piecewise: {0: 1.0e+39}}", "optimizer.sgd.lr=1.0e+39"],
            "-s optimizer.sgd.lr=1.0e+39: optimizer.sgd.lr: is larger than float32 can hold, 3.4e+38",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_problem(small_config, settings, problem):
    config = small_config(*settings)
    with pytest.raises(InputError) as caught:
        build(config)
    (line,) = caught.value.problems
    assert line.rpartition("/")[2] == problem or line == problem


@pytest.mark.parametrize(
    "settings",
    [
        [BATCH_NORM, "data.disc.train=41", "training.drop_last=true"],
        [BATCH_NORM, "data.disc.train=42"],
        ["loss=bce", "model=[linear: 2, sigmoid]"],
        ["loss=bce", "model=[linear: 2, softmax]"],
        ["loss=cross_entropy"],
        ["loss=bce_with_logits", "model.4.linear=1"],
        ["sweep.target={validation_mse: 1}", "training.validation=0.2"],
        ["training.validation=0.97", "training.batch_size=1", "training.early_stopping={}"],
    ],
    ids=str,
)
def test_what_fits(small_config, settings):
    assert build(small_config(*settings)).sizes["train"] > 0
