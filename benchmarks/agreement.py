"""Whether all sides do the same work: `python -m benchmarks.agreement`.

minidl trains in double precision, with the steps that are timed. Then the same is trained by its PyTorch operations,
and by every peer whose weights and orders can be set: from the same initial weights, on the same samples in the same
order. Losses, accuracies and weights have to agree to 1e-9. (peers/scikit_learn.py says what is different there.)
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from minidl_cli.training.trainer import Trainer
from minidl_cli.training.trainers import Trainers

from .minidl_steps import config
from .recorded import Recorded
from .works import WORKS, Data, Part, Weights, Work

PEERS = ("eager_torch", "torch_func", "jax_scan")
METRICS = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
ROUNDS, EPOCHS, TOLERANCE = 4, 2, 1e-9


def record(work: Work, *settings: str) -> Recorded:
    """Train with minidl."""
    trained = config(work, "training.dtype=float64", f"training.epochs={EPOCHS}", *settings)
    trainer = Trainers(trained).of(range(ROUNDS))
    data = Data(_part(trainer, "train"), _part(trainer, "test"))
    initial = _weights(trainer)
    orders = np.stack([trainer.order(epoch).numpy() for epoch in range(1, EPOCHS + 1)])
    metrics = np.array([[record.metrics[name] for name in METRICS] for record in trainer.epochs()])
    return Recorded(work, data, initial, orders, metrics, _weights(trainer))


def _part(trainer: Trainer, name: str) -> Part:
    samples = trainer.samples[name]
    return Part(samples.inputs[0].T.numpy(), samples.targets[0].T.numpy())


def _weights(trainer: Trainer) -> Weights:
    values = [value.numpy().copy() for value in trainer.network.state().values()]
    return list(zip(values[::2], values[1::2], strict=True))


def check(work: Work, name: str, difference: float) -> None:
    assert difference <= TOLERANCE, f"{work.name}: minidl and {name} differ by {difference:.1e}"
    print(f"{work.name}: minidl and {name} differ by at most {difference:.1e}", flush=True)


def main() -> None:
    print(f"{EPOCHS} epochs of {ROUNDS} rounds in float64:")
    with TemporaryDirectory() as folder:
        for work in WORKS.values():
            recorded, path = record(work), Path(folder, f"{work.name}.npz")
            check(work, "its PyTorch operations", recorded.difference(record(work, "training.compiled=never")))
            recorded.save(path)
            for peer in PEERS:
                command = [sys.executable, "-m", f"benchmarks.peers.{peer}", "agree", str(path)]
                check(work, peer, float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


if __name__ == "__main__":
    main()
