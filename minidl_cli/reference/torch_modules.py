"""The counterparts in PyTorch of the components that a config names.

Names and arguments are PyTorch's own, in snake case, so nearly all of a counterpart is its class. Initial values have
none: modules take the weights that minidl drew.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..config.locate import Path
from ..config.schema import Config
from ..registry import Component

Arguments = Mapping[str, Any]
LossFunction = Callable[..., Tensor]
Counterpart = TypeVar("Counterpart")


def _linear(in_features: int, of: Arguments) -> nn.Module:
    # On the device `meta` nothing is initialized: that would draw from the global generator.
    return nn.Linear(in_features, of["out_features"], bias=of["bias"], device="meta").to_empty(device="cpu")


def _plain(kind: Callable[..., nn.Module]) -> Callable[[int, Arguments], nn.Module]:
    """Return what makes a module that takes the config's arguments as they are."""
    return lambda _, of: kind(**of)


def _of_width(kind: Callable[..., nn.Module]) -> Callable[[int, Arguments], nn.Module]:
    """Return what makes a module that takes the width of its input before them."""
    return lambda width, of: kind(width, **of)


# A module, from the width of its input and the config's arguments.
LAYERS: dict[str, Callable[[int, Arguments], nn.Module]] = {
    "linear": _linear,
    "identity": _plain(nn.Identity),
    "tanh": _plain(nn.Tanh),
    "sigmoid": _plain(nn.Sigmoid),
    "relu": _plain(nn.ReLU),
    "leaky_relu": _plain(nn.LeakyReLU),
    "elu": _plain(nn.ELU),
    "gelu": _plain(nn.GELU),
    "silu": _plain(nn.SiLU),
    "softmax": lambda _, of: nn.Softmax(dim=1),  # over the features, as samples are rows
    "dropout": _plain(nn.Dropout),
    "batch_norm": _of_width(nn.BatchNorm1d),
    "layer_norm": _of_width(nn.LayerNorm),
}


class _BCELoss(nn.BCELoss):
    """The binary cross-entropy, which is NaN where PyTorch's own ends the program: where a round has diverged."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        if output.isnan().any():
            return output if self.reduction == "none" else output.sum()
        return super().forward(output, target)


# Each takes `reduction` among its arguments.
LOSSES: dict[str, Callable[..., Callable[[Tensor, Tensor], Tensor]]] = {
    "mse": nn.MSELoss,
    "l1": nn.L1Loss,
    "huber": nn.HuberLoss,
    "bce": _BCELoss,
    "bce_with_logits": nn.BCEWithLogitsLoss,
    "cross_entropy": nn.CrossEntropyLoss,
}

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def check_counterparts(config: Config) -> None:
    """Look up the counterparts of a config's components.

    Raises:
        InputError: a component has none.
    """
    for index, layer in enumerate(config.model):
        _counterpart(LAYERS, layer, config, ("model", index))
    _counterpart(LOSSES, config.loss, config, ("loss",))
    _counterpart(OPTIMIZERS, config.optimizer, config, ("optimizer",))


def module(config: Config, features: int) -> nn.Sequential:
    """Return the network of a config.

    Its input and output are `[samples, features]`. Its state has minidl's names, such as `0.weight`, besides
    batch_norm's own count of batches. Weights are not initialized: load those of a round.

    Args:
        config: the config.
        features: the width of the input.

    Raises:
        InputError: a layer has no counterpart.
    """
    modules: list[nn.Module] = []
    for index, layer in enumerate(config.model):
        make = _counterpart(LAYERS, layer, config, ("model", index))
        initializers = {"init", "bias_init"}
        modules.append(make(features, {key: of for key, of in layer.arguments.items() if key not in initializers}))
        features = layer.arguments.get("out_features", features)
    return nn.Sequential(*modules).to(getattr(torch, config.training.dtype))


def loss_function(config: Config) -> LossFunction:
    """Return the loss of a batch: a function of outputs, targets, both `[samples, outputs]`, and weights.

    The weights are how much each sample counts, `[samples, 1]`, or None; means are over the samples, however much
    these count.

    Raises:
        InputError: it has no counterpart.
    """
    kind = _counterpart(LOSSES, config.loss, config, ("loss",))
    reduction, whole = config.loss.arguments["reduction"], None
    entries = kind(**{**config.loss.arguments, "reduction": "none"})
    if reduction != "sum_outputs":
        whole = kind(**config.loss.arguments)

    def function(output: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
        if weights is None and whole is not None:
            return whole(output, target)
        found = entries(output, target).view(len(output), -1)
        weighted = found if weights is None else found * weights
        if reduction == "sum_outputs":
            return weighted.sum(dim=1).mean()
        return weighted.mean() if reduction == "mean" else weighted.sum()

    return function


def optimizer(config: Config, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimizer of a config, for these parameters, with PyTorch's defaults for how it is carried out.

    (`foreach` and `fused` are left alone, as most programs do. On a CPU that is a loop over the parameters.)

    Raises:
        InputError: it has no counterpart.
    """
    return _counterpart(OPTIMIZERS, config.optimizer, config, ("optimizer",))(parameters, **config.optimizer.arguments)


def _counterpart(table: Mapping[str, Counterpart], component: Component, config: Config, place: Path) -> Counterpart:
    if component.name not in table:
        problem = f"{component.name} has no counterpart in PyTorch that minidl knows; use framework: minidl"
        raise config.error(place, problem)
    return table[component.name]
