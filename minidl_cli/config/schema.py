"""What a config holds."""

from collections.abc import Sequence
from math import ceil
from os import PathLike
from typing import Annotated, Any, Literal, overload

from pydantic import AfterValidator, Discriminator, Field, PrivateAttr, Tag

from ..errors import InputError
from ..registry import Component, Kind, NonNegative, NonNegativeInt, Positive, PositiveInt, ProperFraction, StrictModel
from .locate import Path, dotted, place_of
from .yaml_tree import Node

Seed = Annotated[int, Field(ge=0, lt=10**18)]
MatmulPrecision = Literal["highest", "high", "medium"]


class EarlyStopping(StrictModel):
    """When a round stops by itself."""

    monitor: Literal["validation_loss", "validation_mse", "validation_mae", "validation_accuracy"] = Field(
        default="validation_loss", description="The metric that says which weights are best."
    )
    patience: PositiveInt = Field(default=10, description="Stop after so many epochs without a better value.")
    min_delta: NonNegative = Field(
        default=0.0, description="By how much a value must be better than the best to count."
    )


class _LoggedEpochs(Sequence[int]):
    """Every so many epochs, and the last. They are not kept one by one, as there may be trillions."""

    def __init__(self, epochs: int, every: int):
        self._epochs, self._every = epochs, every

    def __len__(self) -> int:
        return -(-self._epochs // self._every)  # rounded up, exactly

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> list[int]: ...

    def __getitem__(self, place: int | slice) -> int | list[int]:
        places = range(len(self))[place]
        if isinstance(places, range):
            return [self[each] for each in places]
        return min((places + 1) * self._every, self._epochs)


class TrainingOptions(StrictModel):
    """How the network is trained."""

    epochs: NonNegativeInt = Field(description="How often training goes through all samples.")
    batch_size: PositiveInt = Field(description="How many samples each step of the optimizer sees.")
    shuffle: bool = Field(True, description="Whether each round draws a new order of the samples for each epoch.")
    drop_last: bool = Field(False, description="Whether a last batch that is not full is left out.")
    schedule: Annotated[Component, Kind("schedule")] = Field(
        Component("constant"), description="The learning rate of each epoch."
    )
    accumulate: PositiveInt = Field(
        1, description="How many batches make one step, with the gradient of the loss on all of them joined."
    )
    clip_norm: Positive | None = Field(
        None, description="The largest norm of a round's gradient; a longer one is scaled down to it."
    )
    validation: ProperFraction = Field(
        0.0, description="The share of the training samples that is held back for validation."
    )
    early_stopping: EarlyStopping | None = Field(
        None, description="When a round stops by itself and keeps its best weights; needs a validation part."
    )
    dtype: Literal["float32", "float64"] = Field("float32", description="The type of all numbers in the network.")
    matmul_precision: MatmulPrecision = Field(
        "highest",
        description="How precise products of float32 are on a GPU: `high` and `medium` take TensorFloat-32.",
    )
    compiled: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Whether steps are translated to C, or on a GPU captured in a CUDA graph, which is faster: where "
        "that is possible, always, or never.",
    )
    log_every: PositiveInt = Field(1, description="Test and log only every so many epochs, and the last.")
    checkpoint_every: Positive = Field(
        30.0, description="After how many seconds to save what a training that is stopped can go on from."
    )

    def is_logged(self, epoch: int) -> bool:
        """Tell whether an epoch is one to test and log."""
        return epoch % self.log_every == 0 or epoch == self.epochs

    def logged_epochs(self) -> Sequence[int]:
        """Return the epochs to test and log."""
        return _LoggedEpochs(self.epochs, self.log_every)

    def batches(self, samples: int) -> int:
        """Return the number of batches of an epoch."""
        return samples // self.batch_size if self.drop_last else ceil(samples / self.batch_size)

    def steps(self, samples: int) -> int:
        """Return the number of the optimizer's steps in an epoch."""
        return ceil(self.batches(samples) / self.accumulate)

    def smallest_batch(self, samples: int) -> int:
        """Return the number of samples in an epoch's last batch, which may not be full."""
        return self.batch_size if self.drop_last else samples % self.batch_size or self.batch_size


def _form(choices: Any) -> str | None:
    return "list" if isinstance(choices, list) else "mapping" if isinstance(choices, dict) else None


# Values are checked where they are put to use.
Choices = Annotated[
    Annotated[list[Any], Field(min_length=1), Tag("list")]
    | Annotated[dict[str, Any], Field(min_length=1), Tag("mapping")],
    Discriminator(
        _form,
        custom_error_type="choices",
        custom_error_message="should be a list of values, or a mapping from labels to values",
    ),
]


class SweepOptions(StrictModel):
    """What `minidl sweep` does with the file."""

    rounds: Annotated[int, Field(gt=0, le=1_000_000)] = Field(default=1, description="How many seeds, from `seed` on.")
    vary: dict[str, Choices] = Field(
        default={},
        description="Values to try, by the key that they are of, such as `optimizer.sgd.lr: [0.1, 0.2]`; or by a label "
        "for each. Every combination is a variant, trained with all rounds.",
    )
    target: dict[str, float] = Field(
        default={}, description="What a round has to reach to be a success, such as `test_accuracy: 0.95`."
    )


# A file's name has at most 255 bytes; the time, a few digits and the mark of an unfinished folder take 30 of them.
NAME_LENGTH, NAME_BYTES = 80, 220


def fitting_name(text: str) -> str:
    """Return as much of a text as a config's name may be long."""
    return text[:NAME_LENGTH].encode(errors="replace")[:NAME_BYTES].decode(errors="ignore")


def _folder_name(name: str) -> str:
    if not name.isprintable():
        raise ValueError(f"must have printable characters only, not {name!r}")
    if name.startswith(".") or any(sign in name for sign in "/\\"):
        raise ValueError("must not start with a dot or contain slashes: it becomes part of a folder's name")
    if fitting_name(name) != name:
        raise ValueError(f"must have at most {NAME_BYTES} bytes in UTF-8: it becomes part of a folder's name")
    return name


class Config(StrictModel):
    """A resolved config: everything that decides the result of a training."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH), AfterValidator(_folder_name)] = Field(
        description="The name that run folders start with; by default the config file's own."
    )
    seed: Seed = Field(0, description="The seed of the first round.")
    data: Annotated[Component, Kind("dataset")] = Field(description="The dataset.")
    data_seed: Seed | Literal["round"] = Field(
        0, description="The seed that all rounds draw the data from, or `round`: each draws its own."
    )
    model: Annotated[list[Annotated[Component, Kind("layer")]], Field(min_length=1)] = Field(
        description="The layers, first to last."
    )
    init: Annotated[Component, Kind("initializer")] = Field(
        Component("torch_default"), description="The initial values of weights, for layers that do not say their own."
    )
    loss: Annotated[Component, Kind("loss")] = Field(description="What training minimizes.")
    optimizer: Annotated[Component, Kind("optimizer")] = Field(description="The update rule.")
    training: TrainingOptions = Field(description="How the network is trained.")
    framework: Literal["minidl", "torch"] = Field(
        "minidl", description="What trains: minidl itself, or PyTorch's modules, autograd and optimizers."
    )
    sweep: SweepOptions = Field(SweepOptions(), description="What `minidl sweep` does with the file.")

    _root: Node | None = PrivateAttr(default=None)
    _folder: str | PathLike[str] = PrivateAttr(default="")

    def __eq__(self, other: object) -> bool:
        """Configs are equal if they mean the same, wherever their values stand."""
        return isinstance(other, Config) and self.resolved() == other.resolved()

    @property
    def seeds(self) -> range:
        """The seeds of all rounds."""
        return range(self.seed, self.seed + self.sweep.rounds)

    def error(self, path: Path, problem: str) -> InputError:
        """Return an error that names the place in the config's source, `file:line:column: key: problem`."""
        place = place_of(self._root, path) if self._root else self.name
        return InputError(f"{place}: {dotted(path)}: {problem}")

    def resolved(self) -> dict[str, Any]:
        """Return the config with every component spelled out and every default written."""
        return self.model_dump()
