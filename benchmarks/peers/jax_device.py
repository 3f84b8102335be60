"""The peer on a GPU: JAX, with vmap over all rounds, and scan over batches and epochs, all of it in jit.

python -m benchmarks.peers.jax_device WORK --rounds N --epochs N --log-every N [--device cpu]

Products are in full single precision, as minidl's are. Orders are drawn on the device, so that nothing comes back to the
CPU but the metrics of the epochs that are logged; the test samples are judged after those only.
"""

import argparse
import os
from functools import partial

from ..works import SGD, WORKS, Work


class JaxDevice:
    """All rounds of a work, in one stack on one device."""

    def __init__(self, work: Work, rounds: int):
        import jax
        import jax.numpy as jnp

        from .jax_scan import Columns, State, forward, judge, train_epoch

        jax.config.update("jax_default_matmul_precision", "highest")
        self._jax = jax
        train, test = (Columns(*(jnp.asarray(each.T) for each in part)) for part in work.draw())
        samples = train.inputs.shape[1]
        layers = [tuple(map(jnp.asarray, layer)) for layer in work.initial(rounds)]
        zeros = partial(jax.tree.map, jnp.zeros_like)
        averages = zeros(layers) if isinstance(work.optimizer, SGD) else (zeros(layers), zeros(layers))
        self.state = State(layers, averages, jnp.zeros(()))
        axes = State(0, 0, None)
        train_all = jax.vmap(partial(train_epoch, work), in_axes=(axes, 0, None), out_axes=(axes, 0))

        def one_epoch(state, key):
            order = jax.vmap(partial(jax.random.permutation, x=samples))(jax.random.split(key, rounds))
            return train_all(state, order, train)

        def test_one(parameters):
            return judge(work, forward(work, parameters, test.inputs), test.targets)

        def advance(state, key, epochs):
            state, trained = jax.lax.scan(one_epoch, state, jax.random.split(key, epochs))
            return state, ([each[-1] for each in trained], jax.vmap(test_one)(state.parameters))

        self._advance = jax.jit(advance, static_argnums=2, donate_argnums=0)

    def train(self, epochs: int, log_every: int) -> list:
        """Train, and return the metrics of every `log_every`th epoch: of the training samples, and of the test samples."""
        key, logged = self._jax.random.key(0), []
        for _ in range(epochs // log_every):
            key, now = self._jax.random.split(key)
            self.state, metrics = self._advance(self.state, now, log_every)
            logged.append(metrics)
        return self._jax.device_get(logged)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=WORKS)
    for name in ("--rounds", "--epochs", "--log-every"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    given = parser.parse_args()
    if given.epochs % given.log_every:
        parser.error("--epochs must be a multiple of --log-every")
    os.environ["JAX_PLATFORMS"] = given.device
    logged = JaxDevice(WORKS[given.work], given.rounds).train(given.epochs, given.log_every)
    (_, train_accuracy), (_, test_accuracy) = logged[-1]
    print(f"train_accuracy {train_accuracy.mean():.4f}, test_accuracy {test_accuracy.mean():.4f}")


if __name__ == "__main__":
    main()
