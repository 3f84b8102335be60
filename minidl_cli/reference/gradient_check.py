"""Derived gradients against central differences and against autograd.

Every derivative is checked where it is used: on samples of the config's data, with its initial parameters and the
gradients that come down from the loss, in double precision. First each layer alone, then the whole network.

The network is checked as it is trained: with the noise of a first epoch's samples, and by the statistics of the batch.
A network in use has no need of derivatives; those are tested with the layers.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config.schema import Config
from ..errors import InputError
from ..nn.layer import Buffer, Layer, Parameter
from ..nn.loss import Loss
from ..nn.sequential import Sequential
from ..randomness import generator
from ..training.build import build
from ..training.memory import check_evaluation

TOLERANCE = 1e-6

# Of a larger tensor, this many derivatives are drawn and checked by differences; autograd checks all.
MOST_DIFFERENCES = 1000
COPIES_AT_ONCE, COPIED_NUMBERS = 100, 10**8

STEP = 1e-5
# Where a function bends this much within one step, relative to its largest slope, there is a kink.
KINK = 1e-4
# What is this small next to the other derivatives of its part is the rounding of zero: that of a bias before a batch
# normalization, which subtracts it again.
NEGLIGIBLE = 1e-5
# About how many roundings, each of the size of its terms, a number has gone through.
ROUNDINGS = 10

# Takes values by name, each `[copies, *shape]`, and returns for each copy the terms of a number, `[copies, terms]`.
Function = Callable[[Mapping[str, Tensor]], Tensor]


@dataclass(frozen=True)
class Comparison:
    """How far one derived gradient is from its yardsticks.

    Attributes:
        part: what was differentiated, such as `0 linear`, `loss mse`, or `network`.
        by: with respect to what, such as `weight` or `input`.
        size: the number of derivatives.
        differences: how many of them were checked by differences: not those beyond `MOST_DIFFERENCES`, nor those
            at a kink, where there is no derivative.
        difference_error: the largest deviation from central differences, relative to the largest derivative, or to
            the smallest that can be told from 0.
        autograd_error: the same, from autograd.
    """

    part: str
    by: str
    size: int
    differences: int
    difference_error: float
    autograd_error: float

    @property
    def passed(self) -> bool:
        """Whether both deviations are within the tolerance. (NaN is not.)"""
        return self.difference_error <= TOLERANCE and self.autograd_error <= TOLERANCE


def check_gradients(config: Config, batch: int = 10) -> list[Comparison]:
    """Check all derived gradients of a config's network and loss.

    Args:
        config: its model, loss and data are used, in float64 whatever `training.dtype` says.
        batch: the number of training samples to use.

    Raises:
        InputError: the layers do not fit each other or the data, or one needs more samples.
    """
    training = config.training.model_copy(update={"dtype": "float64"})
    task = build(config.model_copy(update={"training": training}))
    check_evaluation(task, rounds=1)
    network, loss = task.network, task.loss
    network.allocate(1, task.dtype)
    network.initialize([config.seed])
    network.preprocessing.load(task.fit([config.seed]))
    samples = task.samples([config.seed])["train"]
    x, target = next(samples.in_order(1, batch))
    smallest = max(layer.smallest_batch for layer in network.layers)
    if x.shape[2] < smallest:
        raise InputError(f"the network takes batches of at least {smallest} samples in training, not {x.shape[2]}")
    network.train()
    network.draw_noise(x.shape[2], [generator(config.seed, "noise", epoch=1)])

    target = network.preprocessing.scale_targets(target)
    inputs = [network.preprocessing.scale_inputs(x)]
    for layer in network.layers:
        inputs.append(layer.forward(inputs[-1]))
    grad = loss.backward(inputs[-1], target)
    comparisons = list(
        _compare(f"loss {config.loss.name}", _loss_function(loss, target), {"output": inputs[-1]}, {"output": grad})
    )
    for index in reversed(range(len(network.layers))):
        layer, part = network.layers[index], f"{index} {config.model[index].name}"
        function = _layer_function(layer, grad)
        values = {"input": inputs[index]} | {name: each.value for name, each in layer.parameters().items()}
        grad = layer.backward(grad)
        derived = {"input": grad} | {name: each.grad for name, each in layer.parameters().items()}
        comparisons = [*_compare(part, function, values, derived), *comparisons]
    parameters = dict(network.named_parameters())
    values = {name: parameter.value for name, parameter in parameters.items()}
    derived = {name: parameter.grad for name, parameter in parameters.items()}
    return [*comparisons, *_compare("network", _network_function(network, loss, x, target), values, derived)]


def _loss_function(loss: Loss, target: Tensor) -> Function:
    return lambda values: loss.total(values["output"], target).unsqueeze(1)


def _layer_function(layer: Layer, grad: Tensor) -> Function:
    """The layer's output, weighted with dL/d(output): its derivatives are those of the loss."""

    def function(values: Mapping[str, Tensor]) -> Tensor:
        with _replaced(layer.parameters(), layer.buffers(), values):
            return (layer.forward(values["input"]) * grad).flatten(1)

    return function


def _network_function(network: Sequential, loss: Loss, x: Tensor, target: Tensor) -> Function:
    def function(values: Mapping[str, Tensor]) -> Tensor:
        copies = len(next(iter(values.values())))
        with _replaced(dict(network.named_parameters()), dict(network.named_buffers()), values):
            return loss.total(network.forward(x.expand(copies, -1, -1)), target).unsqueeze(1)

    return function


@contextmanager
def _replaced(
    parameters: Mapping[str, Parameter], buffers: Mapping[str, Buffer], values: Mapping[str, Tensor]
) -> Iterator[None]:
    """Give parameters other values for a while, as many rounds as there are copies; buffers are as before after it."""
    held: list[Parameter | Buffer] = [*parameters.values(), *buffers.values()]
    before = [(each, each.value) for each in held]
    for name, parameter in parameters.items():
        parameter.value = values[name]
    try:
        yield
    finally:
        for each, value in before:
            each.value = value


def _compare(
    part: str, function: Function, values: Mapping[str, Tensor], derived: Mapping[str, Tensor]
) -> Iterator[Comparison]:
    """Compare derivatives of a function with its differences and with autograd.

    Args:
        part: what the function is.
        function: the function.
        values: where it is differentiated, each `[1, *shape]`.
        derived: its derivatives there, each `[1, *shape]`.
    """
    by_autograd = {name: _by_autograd(function, values, name) for name in values}
    sizes = {name: float(expected.abs().max()) for name, expected in by_autograd.items()}
    for name, value in values.items():
        # The sizes of a derivative and of its deviation are told by its largest entries; all zero is exact.
        scale = max(sizes[name], NEGLIGIBLE * max(sizes.values()), torch.finfo(value.dtype).tiny)
        entries, errors = _difference_errors(function, values, name, derived[name], _some(value.numel()), STEP, scale)
        doubtful = errors > TOLERANCE
        if doubtful.any():
            # A kink that the step just reaches bends the slope a little. A wrong derivative stays wrong.
            finer = _difference_errors(function, values, name, derived[name], entries[doubtful], STEP / 100, scale)
            entries = torch.cat([entries[~doubtful], finer[0]])
            errors = torch.cat([errors[~doubtful], finer[1]])
        yield Comparison(
            part=part,
            by=name,
            size=value.numel(),
            differences=len(entries),
            difference_error=float(errors.max()) if len(errors) else 0.0,
            autograd_error=float((derived[name] - by_autograd[name]).abs().max()) / scale,
        )


def _by_autograd(function: Function, values: Mapping[str, Tensor], name: str) -> Tensor:
    """Return all derivatives with respect to one value, `[1, *shape]`."""
    leaf = values[name].detach().clone().requires_grad_()
    (found,) = torch.autograd.grad(function({**values, name: leaf}).sum(), leaf, materialize_grads=True)
    return found


def _some(size: int) -> Tensor:
    """Return the places of the entries to check by differences, out of so many."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(0))[:MOST_DIFFERENCES]


def _difference_errors(
    function: Function,
    values: Mapping[str, Tensor],
    name: str,
    derived: Tensor,
    entries: Tensor,
    step: float,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Compare derivatives with central differences.

    Args:
        function: the function.
        values: where it is differentiated.
        name: the value with respect to which it is.
        derived: the derivatives, `[1, *shape]`.
        entries: the places, in the flattened value, of those to compare.
        step: how far to move, relative to the largest entry if that is above 1.
        scale: the largest derivative.

    Returns:
        The entries, those at kinks left out, and their deviations, relative to the scale or to the smallest
        derivative that differences can tell.
    """
    step *= max(1.0, float(values[name].abs().max()))
    here = function(values)
    # Differences of rounded values cannot tell smaller slopes, as those of saturated units are.
    rounding = ROUNDINGS * torch.finfo(here.dtype).eps * float(here.abs().sum()) / step
    size = max(scale, rounding / TOLERANCE)
    smooth_entries, errors = [], []
    for some in torch.split(entries, max(1, min(COPIES_AT_ONCE, COPIED_NUMBERS // values[name].numel()))):
        above, below = (_moved(function, values, name, some, by) for by in (step, -step))
        smooth = (above - 2 * here.sum() + below).abs() / (2 * step) <= KINK * size
        deviation = (derived.flatten()[some] - (above - below) / (2 * step)).abs()
        smooth_entries.append(some[smooth])
        errors.append(deviation[smooth] / size)
    return torch.cat(smooth_entries), torch.cat(errors)


def _moved(function: Function, values: Mapping[str, Tensor], name: str, entries: Tensor, by: float) -> Tensor:
    """Return the function's values `[entries]` where each entry in turn is moved: one copy for each."""
    copies = {key: value.expand(len(entries), *value.shape[1:]) for key, value in values.items()}
    moved = copies[name].clone()
    moved.view(len(entries), -1)[torch.arange(len(entries)), entries] += by
    return function({**copies, name: moved}).sum(dim=1)
