"""The peer on a GPU: JAX, with vmap over all rounds, and scan over batches and epochs, all of it in jit.

python -m benchmarks.peers.jax_device WORK --rounds N --epochs N --log-every N [--device cpu]

Products are in full single precision, as minidl's are. Orders are drawn on the device, and the whole training is one
call: nothing comes back but the metrics of the epochs that are logged, after which alone the test samples are judged.
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

        def log_one(state, key, log_every):
            state, trained = jax.lax.scan(one_epoch, state, jax.random.split(key, log_every))
            return state, ([each[-1] for each in trained], jax.vmap(test_one)(state.parameters))

        def train_and_log(state, key, epochs, log_every):
            return jax.lax.scan(
                partial(log_one, log_every=log_every), state, jax.random.split(key, epochs // log_every)
            )

        self._train = jax.jit(train_and_log, static_argnums=(2, 3), donate_argnums=0)

    def train(self, epochs: int, log_every: int):
        """Train, and return loss and accuracy of the training samples, and those of the test samples, of logged epochs.

        Each is `[epochs, rounds]`.
        """
        self.state, logged = self._train(self.state, self._jax.random.key(0), epochs, log_every)
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
    trained, tested = JaxDevice(WORKS[given.work], given.rounds).train(given.epochs, given.log_every)
    print({"train_accuracy": trained[1][-1].mean().item(), "test_accuracy": tested[1][-1].mean().item()})


if __name__ == "__main__":
    main()
