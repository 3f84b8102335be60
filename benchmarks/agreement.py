"""Whether both sides do the same work: `python -m benchmarks.agreement`.

minidl and eager torch.nn train the disc network in double precision, from the same initial weights, on the same
samples in the same order. Their losses and weights have to agree to 1e-9.
"""

import torch

from minidl_cli.training.build import build
from minidl_cli.training.trainer import Trainer

from .disc import disc
from .eager_torch import Part, Training

EPOCHS, TOLERANCE = 2, 1e-9


def largest_difference() -> float:
    """Return by how much any loss, accuracy or final weight differs between the two sides."""
    trainer = Trainer(build(disc("training.dtype=float64", f"training.epochs={EPOCHS}")), [0])
    parts = {name: Part(part.inputs[0].T.clone(), part.targets[0].T.clone()) for name, part in trainer.samples.items()}
    eager = Training(parts["train"], parts["test"], dtype=torch.float64)
    eager.network.load_state_dict({name: value.value[0].clone() for name, value in trainer.network.named_parameters()})
    differences = []
    for record in trainer.epochs():
        train, test = eager.epoch(trainer.order(record.epoch)[0])
        judged = {
            "train_loss": train.loss,
            "train_accuracy": train.accuracy,
            "test_loss": test.loss,
            "test_accuracy": test.accuracy,
        }
        differences += [abs(float(record.metrics[name][0]) - value) for name, value in judged.items()]
    weights = eager.network.state_dict()
    for name, parameter in trainer.network.named_parameters():
        differences.append(float((parameter.value[0] - weights[name]).abs().max()))
    return max(differences)


if __name__ == "__main__":
    found = largest_difference()
    assert found <= TOLERANCE, f"minidl and eager torch.nn differ by {found:.1e}"
    print(f"minidl and eager torch.nn do the same work: {EPOCHS} epochs in float64 differ by at most {found:.1e}")
