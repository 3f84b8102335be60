"""From a config to the objects that it describes: the one place that knows both."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from .. import data, optim
from ..config.load import load
from ..config.schema import Config
from ..data.dataset import Dataset, Part, encode
from ..errors import GraphError
from ..nn import initializers, layers, losses
from ..nn.layer import Initializer, Layer
from ..nn.loss import Loss
from ..nn.sequential import Sequential
from ..optim.optimizer import Optimizer
from ..registry import Registry
from .measures import Judge
from .samples import Samples


@cache
def registry() -> Registry:
    """Return all components, found by walking their packages."""
    found = Registry()
    found.add_package("initializer", Initializer, initializers)
    found.add_package("dataset", Dataset, data)
    found.add_package("layer", Layer, layers)
    found.add_package("loss", Loss, losses)
    found.add_package("optimizer", Optimizer, optim)
    return found


def load_config(path: str | Path, settings: Sequence[str] = ()) -> Config:
    """Load and validate a config file.

    Args:
        path: the YAML file.
        settings: overrides, such as `"optimizer.sgd.lr=0.1"`.

    Raises:
        InputError: the file or a setting is wrong; a line for each problem.
    """
    return load(Path(path), settings, registry())


@dataclass(frozen=True)
class Task:
    """The objects that a config describes, not yet of any number of rounds.

    Attributes:
        config: the config.
        dataset: where the samples come from.
        network: the connected layers, without memory for parameters.
        loss: what training minimizes.
        optimizer: the update rule, not yet started.
        dtype: the type of all numbers in the network.
    """

    config: Config
    dataset: Dataset
    network: Sequential
    loss: Loss
    optimizer: Optimizer
    dtype: torch.dtype

    @property
    def judge(self) -> Judge:
        """How outputs are judged."""
        return Judge(self.loss, sum(self.dataset.target_values) / 2)

    def samples(self, seeds: Sequence[int]) -> dict[str, Samples]:
        """Draw the data of the rounds with these seeds, as the network takes them, by the names of the parts."""
        per_round = self.config.data_seed == "round"
        data_seeds = seeds if per_round else [self.config.data_seed]
        drawn = [self.dataset.draw(int(seed)) for seed in data_seeds]
        return {name: self._stack([parts[name] for parts in drawn]) for name in self.dataset.sizes}

    def _stack(self, parts: Sequence[Part]) -> Samples:
        outputs = self.network.widths[-1]
        inputs = [part.inputs.to(self.dtype) for part in parts]
        targets = [encode(part.labels, outputs, self.dataset.target_values, self.dtype) for part in parts]
        return Samples(torch.stack(inputs), torch.stack(targets))


def build(config: Config) -> Task:
    """Construct what a config describes.

    Raises:
        InputError: the layers do not fit each other or the data; the message names the layer and its place.
    """
    make = registry().make
    dataset: Dataset = make("dataset", config.data)
    try:
        network = Sequential([make("layer", layer) for layer in config.model], dataset.features)
    except GraphError as error:
        raise config.error(error.place, str(error)) from error
    _check_outputs(network, dataset, config)
    _check_numbers(config)
    _check_targets(dataset, config)
    _check_batches(dataset, config)
    return Task(
        config=config,
        dataset=dataset,
        network=network,
        loss=make("loss", config.loss),
        optimizer=make("optimizer", config.optimizer),
        dtype=getattr(torch, config.training.dtype),
    )


def _check_outputs(network: Sequential, dataset: Dataset, config: Config) -> None:
    with_parameters = [index for index, layer in enumerate(network.layers) if layer.parameters()]
    if not with_parameters:
        raise config.error(("model",), "has no parameters, so there is nothing to train; add a linear layer")
    outputs, classes = network.widths[-1], dataset.classes
    if outputs != classes and (outputs, classes) != (1, 2):
        place = ("model", with_parameters[-1])
        fitting = f"{classes} (one for each class)" + (" or 1" if classes == 2 else "")
        raise config.error(
            place,
            f"the network puts out {outputs} values after this {config.model[place[1]].name} layer, but "
            f"{config.data.name} has {classes} classes; the outputs must be {fitting}",
        )


def _check_numbers(config: Config) -> None:
    largest = torch.finfo(getattr(torch, config.training.dtype)).max
    for key, component in {"data": config.data, "optimizer": config.optimizer}.items():
        for name, value in component.arguments.items():
            if any(isinstance(each, float) and abs(each) > largest for each in (value, *_items(value))):
                path = (key, component.name, name)
                raise config.error(path, f"is larger than {config.training.dtype} can hold, {largest:.3g}")


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple | list) else ()


def _check_targets(dataset: Dataset, config: Config) -> None:
    absent, present = torch.tensor(dataset.target_values, dtype=getattr(torch, config.training.dtype))
    if absent >= present:
        values = list(dataset.target_values)
        raise config.error(("data",), f"the target values {values} are the same number in {config.training.dtype}")


def _check_batches(dataset: Dataset, config: Config) -> None:
    size = dataset.sizes["train"]
    if not config.training.batches(size):
        problem = f"drop_last leaves no batch of {config.training.batch_size}, as there are {size} samples"
        raise config.error(("training", "batch_size"), problem)
