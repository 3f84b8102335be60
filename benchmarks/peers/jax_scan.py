"""The peer: JAX, with vmap over the rounds, scan over the batches of an epoch, all of it in jit.

`peer.py` says how to run it. Its fastest setting, chosen by measurement (see LOG.md): samples as columns, as in minidl;
the CPU told to be two devices, each with half of the rounds; stacks no larger than the caches hold; donated buffers;
orders drawn by numpy, as sorting random keys, which jax.random.permutation does, takes longer; no unrolling. There is
no persistent cache of compiled programs.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

DEVICES = 2
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES}"

import jax  # noqa: E402 (reads the variable)
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import Array  # noqa: E402
from jax.sharding import Mesh, NamedSharding, PartitionSpec  # noqa: E402

from ..works import SGD, Adam, Data, Weights, Work  # noqa: E402
from .peer import Metrics, main  # noqa: E402

# The rounds of a stack.
STACKS = {"disc": 100, "digits": 20, "wide": 2}

# Divided among the devices along the first dimension, or the same on all of them.
ALONG, WHOLE = PartitionSpec("rounds"), PartitionSpec()

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"tanh": jnp.tanh, "relu": jax.nn.relu}
tree_map = jax.tree.map


class Columns(NamedTuple):
    """Inputs `[features, samples]` and one-hot targets `[classes, samples]`."""

    inputs: Array
    targets: Array


class State(NamedTuple):
    """What a step changes: the parameters, the optimizer's averages of the same structure, the number of steps."""

    parameters: Any
    averages: Any
    steps: Array


def forward(work: Work, parameters: Any, x: Array) -> Array:
    """Return the outputs `[classes, samples]` of one round for the inputs `[features, samples]`."""
    for place, (weight, bias) in enumerate(parameters):
        x = weight @ x + bias[:, None]
        if place < len(work.activations):
            x = ACTIVATIONS[work.activations[place]](x)
    return x


def loss(work: Work, output: Array, target: Array) -> Array:
    if work.loss == "mse":
        return jnp.square(output - target).mean()
    return -(jax.nn.log_softmax(output, axis=0) * target).sum(axis=0).mean()


def judge(work: Work, output: Array, target: Array) -> tuple[Array, Array]:
    return loss(work, output, target), (output.argmax(axis=0) == target.argmax(axis=0)).mean(dtype=output.dtype)


def step(work: Work, state: State, batch: Columns) -> tuple[State, Array]:
    """Return the state after a batch, and what the network put out for it."""

    def loss_and_output(parameters: Any) -> tuple[Array, Array]:
        output = forward(work, parameters, batch.inputs)
        return loss(work, output, batch.targets), output

    gradients, output = jax.grad(loss_and_output, has_aux=True)(state.parameters)
    update = update_sgd if isinstance(work.optimizer, SGD) else update_adam
    return update(work.optimizer, state, gradients), output


def update_sgd(rule: SGD, state: State, gradients: Any) -> State:
    velocities = tree_map(lambda velocity, grad: rule.momentum * velocity + grad, state.averages, gradients)
    parameters = tree_map(lambda value, velocity: value - rule.lr * velocity, state.parameters, velocities)
    return State(parameters, velocities, state.steps)


def update_adam(rule: Adam, state: State, gradients: Any) -> State:
    beta1, beta2 = rule.betas
    steps = state.steps + 1
    correction = jnp.sqrt(1 - beta2**steps)
    means = tree_map(lambda mean, grad: beta1 * mean + (1 - beta1) * grad, state.averages[0], gradients)
    squares = tree_map(lambda square, grad: beta2 * square + (1 - beta2) * grad**2, state.averages[1], gradients)

    def moved(value: Array, mean: Array, square: Array) -> Array:
        return value - rule.lr / (1 - beta1**steps) * mean / (jnp.sqrt(square) / correction + rule.eps)

    return State(tree_map(moved, state.parameters, means, squares), (means, squares), steps)


def epoch(work: Work, state: State, order: Array, train: Columns, test: Columns) -> tuple[State, Metrics]:
    """Train one round on all samples in the order given, and test it."""
    state, trained = train_epoch(work, state, order, train)
    return state, Metrics(*trained, *judge(work, forward(work, state.parameters, test.inputs), test.targets))


def train_epoch(work: Work, state: State, order: Array, train: Columns) -> tuple[State, tuple[Array, Array]]:
    """Train one round on all samples in the order given, and judge what it put out on the way."""
    size = work.batch_size
    whole = len(order) // size * size
    shuffled = Columns(train.inputs[:, order], train.targets[:, order])
    batches = tree_map(lambda rows: jnp.moveaxis(rows[:, :whole].reshape(len(rows), -1, size), 1, 0), shuffled)
    state, outputs = jax.lax.scan(partial(step, work), state, batches)
    output = jnp.moveaxis(outputs, 0, 1).reshape(-1, whole)
    if whole < len(order):
        state, last = step(work, state, tree_map(lambda rows: rows[:, whole:], shuffled))
        output = jnp.concatenate([output, last], axis=1)
    return state, judge(work, output, shuffled.targets)


class Joined:
    """What the stacks gave, each `[rounds]`, joined when asked for: until then JAX computes on by itself."""

    def __init__(self, parts: Sequence[Array]):
        self.parts = parts

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.concatenate(self.parts, dtype=dtype)


class JaxScan:
    """All rounds of a work, in stacks."""

    def __init__(self, work: Work, data: Data, weights: Weights):
        jax.config.update("jax_enable_x64", weights[0][0].dtype == np.float64)
        self.data = [Columns(*(jnp.asarray(each.T) for each in part)) for part in data]
        self.rounds, self.samples = len(weights[0][0]), len(data.train.inputs)
        # One device where the rounds cannot be halved.
        self.mesh = Mesh(jax.devices()[: 1 if self.rounds % DEVICES else DEVICES], "rounds")
        size = STACKS[work.name]
        self.stacks = [slice(start, start + size) for start in range(0, self.rounds, size)]
        self.states = [self._start(work, [(w[stack], b[stack]) for w, b in weights]) for stack in self.stacks]
        self.random = np.random.default_rng(0)
        self.train_epoch = jax.jit(self._stacked(work), donate_argnums=0)

    def _start(self, work: Work, weights: Weights) -> State:
        """Return the state of a stack before training, each part where it will stay: it is compiled for that only."""

        def zeros() -> Any:
            return [tuple(map(np.zeros_like, layer)) for layer in weights]

        averages = zeros() if isinstance(work.optimizer, SGD) else (zeros(), zeros())
        placed = partial(jax.device_put, device=NamedSharding(self.mesh, ALONG))
        steps = jax.device_put(np.zeros((), weights[0][0].dtype), NamedSharding(self.mesh, WHOLE))
        return State(tree_map(placed, list(weights)), tree_map(placed, averages), steps)

    def _stacked(self, work: Work) -> Callable[..., tuple[State, Metrics]]:
        """Return `epoch` for a stack, divided among the devices."""
        axes, state = State(0, 0, None), State(ALONG, ALONG, WHOLE)
        stacked = jax.vmap(partial(epoch, work), in_axes=(axes, 0, None, None), out_axes=(axes, 0))
        specs = {"in_specs": (state, ALONG, WHOLE, WHOLE), "out_specs": (state, ALONG)}
        return jax.shard_map(stacked, mesh=self.mesh, **specs)

    def shuffled(self) -> np.ndarray:
        orders = np.broadcast_to(np.arange(self.samples, dtype=np.int32), (self.rounds, self.samples))
        return self.random.permuted(orders, axis=1)

    def epoch(self, orders: np.ndarray) -> Metrics:
        metrics = []
        for place, stack in enumerate(self.stacks):
            self.states[place], measured = self.train_epoch(self.states[place], orders[stack], *self.data)
            metrics.append(measured)
        return Metrics(*map(Joined, zip(*metrics, strict=True)))

    def weights(self) -> Weights:
        layers = zip(*(state.parameters for state in self.states), strict=True)
        return [tuple(np.concatenate(each) for each in zip(*layer, strict=True)) for layer in layers]


if __name__ == "__main__":
    main(JaxScan)
