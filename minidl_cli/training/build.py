"""From a config to the objects that it describes: the one place that knows both."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import data, metrics, optim
from ..config import variants as config_variants
from ..config.load import load
from ..config.schema import Config
from ..config.variants import Variant
from ..data import splits
from ..data.columns import Columns
from ..data.dataset import Dataset, Part, encode
from ..data.split import Split
from ..display.text import readable
from ..errors import GraphError, InputError
from ..nn import initializers, layers, losses
from ..nn.layer import Initializer, Layer
from ..nn.loss import Loss
from ..nn.sequential import Sequential
from ..optim import schedules
from ..optim.optimizer import Optimizer
from ..optim.schedule import Schedule
from ..randomness import generator
from ..registry import Registry
from ..runs.environment import identify, physical_memory
from ..runs.folder import Run
from .exactness import single_thread
from .measures import Judge
from .samples import Samples


@cache
def registry() -> Registry:
    """Return all components, found by walking their packages."""
    found = Registry()
    found.add_package("initializer", Initializer, initializers)
    found.add_package("split", Split, splits)
    found.add_package("dataset", Dataset, data)
    found.add_package("layer", Layer, layers)
    found.add_package("loss", Loss, losses)
    found.add_package("schedule", Schedule, schedules)
    found.add_package("optimizer", Optimizer, optim)
    return found


def load_config(path: str | Path, settings: Sequence[str] = (), vary: Sequence[str] = ()) -> Config:
    """Load and validate a config file.

    Args:
        path: the YAML file.
        settings: overrides, such as `"optimizer.sgd.lr=0.1"`.
        vary: values to try, such as `"optimizer.sgd.lr=0.1,0.2"`.

    Raises:
        InputError: the file or a setting is wrong; a line for each problem.
    """
    return load(Path(path), settings, registry(), vary)


def variants(config: Config) -> list[Variant]:
    """Return the variants of a config, as its `sweep.vary` says.

    Raises:
        InputError: a value or a key is wrong; a line for each problem.
    """
    return config_variants.variants(config, registry())


@dataclass(frozen=True)
class Task:
    """The objects that a config describes, not yet of any number of rounds.

    Attributes:
        config: the config.
        dataset: where the samples come from.
        network: the connected layers, without memory for parameters.
        loss: what training minimizes.
        optimizer: the update rule, not yet started.
        schedule: the learning rate of each epoch.
        dtype: the type of all numbers in the network.
    """

    config: Config
    dataset: Dataset
    network: Sequential
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    dtype: torch.dtype

    @property
    def sizes(self) -> dict[str, int]:
        """The number of samples of each part; those for validation are taken from the training samples."""
        sizes = dict(self.dataset.sizes)
        train = sizes.pop("train")
        held_back = round(train * self.config.training.validation)
        validation = sizes.pop("validation", held_back)
        return {"train": train - held_back} | ({"validation": validation} if validation else {}) | sizes

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics, such as `train_loss`, in the order of their columns."""
        return [f"{part}_{measure}" for part in self.sizes for measure in self.judge.names]

    @property
    def judge(self) -> Judge:
        """How outputs are judged."""
        return judge_of(self.loss, self.network, self.dataset.columns, self.dataset)

    @single_thread()
    def samples(self, seeds: Sequence[int]) -> dict[str, Samples]:
        """Draw the data of the rounds with these seeds, as the network takes them, by the names of the parts."""
        data_seeds = self._data_seeds(seeds)
        if not self.dataset.is_shared:
            drawn = [self._parts(seed) for seed in data_seeds]
            return {name: self._stacked([self._values(parts[name]) for parts in drawn]) for name in self.sizes}
        # One round after the other: row numbers of many rounds take more memory than the samples.
        rows = {name: torch.empty(len(data_seeds), size, dtype=torch.int64) for name, size in self.sizes.items()}
        for place, seed in enumerate(data_seeds):
            parts = self._parts(seed)
            for name, places in rows.items():
                places[place] = parts[name].rows_of_all()
        inputs, targets = (values.unsqueeze(0) for values in self._values(parts["train"]))
        return {name: Samples(inputs, targets, places) for name, places in rows.items()}

    @single_thread()
    def fit(self, seeds: Sequence[int]) -> dict[str, Tensor]:
        """Return what is fitted to the training samples of the rounds with these seeds, `[rounds, length]` each.

        Raises:
            InputError: a round's training samples do not allow it.
        """
        if not self.dataset.fitted:
            return {}
        fitted = [self.dataset.fit(self._parts(seed)["train"]) for seed in self._data_seeds(seeds)]
        return {name: torch.stack([each[name] for each in fitted]).expand(len(seeds), -1) for name in fitted[0]}

    def _data_seeds(self, seeds: Sequence[int]) -> Sequence[int]:
        """Return the seeds that the data of rounds with these seeds are drawn from: one, if all share it."""
        return seeds if self.config.data_seed == "round" else [self.config.data_seed]

    def _parts(self, seed: int) -> dict[str, Part]:
        parts = self.dataset.draw(seed)
        if "validation" not in parts and (validation := self.sizes.get("validation")):
            train = parts["train"]
            order = torch.randperm(len(train), generator=generator(seed, "validation"))
            for name, places in {"validation": order[:validation], "train": order[validation:]}.items():
                parts[name] = train.select(places.sort().values)
        return parts

    @staticmethod
    def _stacked(values: Sequence[tuple[Tensor, Tensor]]) -> Samples:
        return Samples(torch.stack([inputs for inputs, _ in values]), torch.stack([targets for _, targets in values]))

    def _values(self, part: Part) -> tuple[Tensor, Tensor]:
        """Return the inputs `[features, n]` and targets `[outputs, n]` that a part takes its samples from."""
        inputs, targets = part.inputs.to(self.dtype), part.targets
        if self.dataset.columns.classes is None:
            return inputs, targets.to(self.dtype)
        return inputs, encode(targets, self.network.widths[-1], self.dataset.target_values, self.dtype)


def build(config: Config, dataset: Dataset | None = None) -> Task:
    """Construct what a config describes.

    Args:
        config: the config.
        dataset: its dataset, if it is there already, with what was read of files.

    Raises:
        InputError: the layers do not fit each other or the data; the message names the layer and its place.
    """
    _check_numbers(config)
    make, dataset = registry().make, dataset or make_dataset(config)
    network = connect(config, dataset.columns, dataset.fitted)
    task = Task(
        config=config,
        dataset=dataset,
        network=network,
        loss=make_loss(config),
        optimizer=make("optimizer", config.optimizer),
        schedule=make("schedule", config.training.schedule),
        dtype=dataset.dtype,
    )
    check_outputs(config, network, task.loss, dataset.columns)
    _check_samples(task)
    _check_loss(task)
    _check_targets(dataset, config)
    _check_validation(task)
    _check_batches(task)
    _check_targets_reached(task)
    return task


def build_run(run: Run) -> Task:
    """Construct what a run was trained by.

    Raises:
        InputError: the folder is no run, or is damaged; or a data file has changed since.
    """
    config = load_config(run.config_path)
    check_data_files(run, config)
    return build(config)


def check_data_files(run: Run, config: Config) -> None:
    """Make sure that the data files of a run are those that it was trained on.

    Raises:
        InputError: one has changed, or cannot be read.
    """
    known = run.data_files()
    for path, found in identify(make_dataset(config).files()).items():
        if known.get(path, found["sha256"]) != found["sha256"]:
            raise InputError(
                f"{path}: has changed since {run.path} was trained on it, so that its parts are not the same any more; "
                "minidl eval --data measures the network on other files"
            )


def make_dataset(config: Config) -> Dataset:
    """Return the dataset of a config, of which nothing has been drawn or read."""
    dataset: Dataset = registry().make("dataset", config.data)
    dataset.dtype = getattr(torch, config.training.dtype)
    return dataset


def judge_of(loss: Loss, network: Sequential, columns: Columns, dataset: Dataset) -> Judge:
    """Return how the outputs of a network are judged."""
    return Judge(loss, network.preprocessing, None if columns.classes is None else dataset.middle)


def make_loss(config: Config) -> Loss:
    """Return the loss of a config."""
    loss: Loss = registry().make("loss", config.loss)
    return loss


def connect(config: Config, columns: Columns, fitted: Mapping[str, int]) -> Sequential:
    """Return the connected layers of a config, without memory for parameters.

    Args:
        config: the config.
        columns: what the network takes.
        fitted: what is fitted to the data, as `Preprocessing` takes it.

    Raises:
        InputError: the layers do not fit each other; the message names the layer and its place.
    """
    make = registry().make
    try:
        layers = [make("layer", layer) for layer in config.model]
        return Sequential(layers, len(columns.features), make("initializer", config.init), fitted)
    except GraphError as error:
        raise config.error(error.place, str(error)) from error


def check_outputs(config: Config, network: Sequential, loss: Loss, columns: Columns) -> None:
    """Make sure that the outputs of a network and its loss fit what it is to predict.

    Raises:
        InputError: they do not; the message names the layer or the loss and its place.
    """
    with_parameters = [index for index, layer in enumerate(network.layers) if layer.parameters()]
    if not with_parameters:
        raise config.error(("model",), "has no parameters, so there is nothing to train; add a linear layer")
    outputs, place = network.widths[-1], ("model", with_parameters[-1])
    found = f"the network puts out {outputs} values after this {config.model[place[1]].name} layer, but"
    if columns.classes is None:
        if loss.needs_indicators:
            problem = f"{config.loss.name} is for classes, but the target is a number; use mse, l1 or huber"
            raise config.error(("loss",), problem)
        targets = len(columns.targets)
        if outputs != targets:
            named = f"{targets} target columns" if targets > 1 else "1 target column"
            raise config.error(place, f"{found} {config.data.name} has {named}; the outputs must be {targets}")
        return
    classes = len(columns.classes)
    if outputs != classes and (outputs, classes) != (1, 2):
        fitting = f"{classes} (one for each class)" + (" or 1" if classes == 2 else "")
        raise config.error(place, f"{found} {config.data.name} has {classes} classes; the outputs must be {fitting}")


def _check_samples(task: Task) -> None:
    widths, samples = task.network.widths, sum(task.dataset.sizes.values())
    needed = samples * (widths[0] + widths[-1]) * task.dtype.itemsize
    if needed > physical_memory():
        problem = f"{samples:,} samples would take about {readable(needed)} of memory"
        raise task.config.error(("data",), f"{problem}, but this machine has {readable(physical_memory())}")


def _check_loss(task: Task) -> None:
    config, loss, outputs = task.config, task.loss, task.network.widths[-1]
    name, last = config.loss.name, len(config.model) - 1
    if outputs < loss.fewest_outputs:
        problem = f"{name} takes at least {loss.fewest_outputs} outputs, one for each class, but the network has one"
        raise config.error(("loss",), f"{problem}; use bce_with_logits, or a last layer of {loss.fewest_outputs}")
    if loss.takes_probabilities and not task.network.layers[-1].has_probabilities:
        problem = f"{name} takes outputs between 0 and 1, but the last layer is {config.model[last].name}"
        raise config.error(("model", last), f"{problem}; add a sigmoid, or use the loss {name}_with_logits")
    if loss.needs_indicators and task.dataset.target_values != (0.0, 1.0):
        values = list(task.dataset.target_values)
        raise config.error(("data",), f"{name} takes the target values [0, 1], not {values}")


def _check_numbers(config: Config) -> None:
    largest = torch.finfo(getattr(torch, config.training.dtype)).max
    for path, number in _numbers({**config.resolved(), "sweep": None}, ()):
        if abs(number) > largest:
            raise config.error(path, f"is larger than {config.training.dtype} can hold, {largest:.3g}")


def _numbers(value: Any, path: tuple[str | int | float, ...]) -> Iterator[tuple[tuple[str | int | float, ...], float]]:
    """Yield all numbers of plain data that are not whole, and where they stand."""
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict | list | tuple):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _numbers(each, (*path, key))


def _check_targets(dataset: Dataset, config: Config) -> None:
    if dataset.columns.classes is None:
        return
    absent, present = torch.tensor(dataset.target_values, dtype=getattr(torch, config.training.dtype))
    if absent >= present:
        values = list(dataset.target_values)
        raise config.error(("data",), f"the target values {values} are the same number in {config.training.dtype}")


def _check_validation(task: Task) -> None:
    config, sizes = task.config, task.sizes
    options = config.training
    if options.validation and "validation" in task.dataset.sizes:
        problem = f"{config.data.name} has a validation part of its own; leave this out"
        raise config.error(("training", "validation"), problem)
    if options.validation and not (sizes.get("validation") and sizes["train"]):
        problem = f"{options.validation:g} of {task.dataset.sizes['train']} samples leaves a part without samples"
        raise config.error(("training", "validation"), problem)
    if options.early_stopping and "validation" not in sizes:
        problem = "needs samples to watch; set training.validation, for example to 0.2"
        raise config.error(("training", "early_stopping"), problem)
    if options.early_stopping and options.early_stopping.monitor not in task.metrics:
        known = ", ".join(name for name in task.metrics if name.startswith("validation_"))
        problem = f"is not measured here, as the target is {_kind(task)}; known: {known}"
        raise config.error(("training", "early_stopping", "monitor"), problem)


def _kind(task: Task) -> str:
    return "a number" if task.dataset.columns.classes is None else "a class"


def _check_targets_reached(task: Task) -> None:
    for metric in task.config.sweep.target:
        if metric not in task.metrics:
            problem = f"unknown metric; known here: {', '.join(task.metrics)}"
            raise task.config.error(("sweep", "target", metric), problem)
        if metrics.metric(metric).is_share and not 0 <= task.config.sweep.target[metric] <= 1:
            raise task.config.error(("sweep", "target", metric), "must be between 0 and 1, as an accuracy is")


def _check_batches(task: Task) -> None:
    config, size = task.config, task.sizes["train"]
    options, place = config.training, ("training", "batch_size")
    if not options.batches(size):
        problem = f"drop_last leaves no batch of {options.batch_size}, as there are {size} samples"
        raise config.error(place, problem)
    smallest = min(options.smallest_batch(size), size)
    for component, layer in zip(config.model, task.network.layers, strict=True):
        if smallest < layer.smallest_batch:
            problem = f"{component.name} takes batches of at least {layer.smallest_batch} samples in training, but"
            advice = " or set drop_last" if options.batch_size >= layer.smallest_batch else ""
            raise config.error(place, f"{problem} the last one has {smallest}; use another size{advice}")
