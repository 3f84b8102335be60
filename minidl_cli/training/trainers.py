"""Who takes the steps of a training, and the trainers that do."""

from collections.abc import Sequence
from functools import cached_property

from ..config.schema import Config
from ..data.dataset import Dataset
from ..errors import CompilationError, TrainingError
from .build import build, make_dataset
from .compiled import CompiledStep, CompiledTrainer
from .device import find_device
from .graphed import GraphedTrainer, GraphStep
from .trainer import Trainer


class Trainers:
    """Makes the trainers of a config's rounds, by compiled or captured steps if possible and asked for.

    Args:
        config: what is trained.
        dataset: its dataset; made if it is not there already.
        device: the name of the device that it is trained on, as `find_device` takes it.
    """

    def __init__(self, config: Config, dataset: Dataset | None = None, device: str = "cpu"):
        self.config, self.device = config, device
        self.dataset = make_dataset(config) if dataset is None else dataset

    @cached_property
    def step(self) -> CompiledStep | GraphStep | str:
        """The compiled step, on a GPU the one that is to be captured, or who takes the steps instead.

        No GPU is needed for that.

        Raises:
            InputError: the config asks for a compiled step, and there is none; or PyTorch is to train on a GPU.
        """
        if self.config.framework == "torch":
            if self.device != "cpu":
                problem = f"torch trains on the CPU only, not on {self.device}; use minidl"
                raise self.config.error(("framework",), problem)
            return "PyTorch's modules and optimizers"
        if self.config.training.compiled == "never":
            return "PyTorch's operations (as the config says)"
        if self.config.training.epochs == 0:
            return "PyTorch's operations (there is nothing to train)"
        try:
            return (CompiledStep if self.device == "cpu" else GraphStep)(self.config, self.dataset)
        except CompilationError as error:
            return self._without(error)

    def settled(self, lack: str | None = None) -> "Trainers":
        """Return those that take the same steps in every process, compiled by now if they are to be.

        Other processes find the compiled steps in the cache then.

        Args:
            lack: why steps cannot be compiled where they are needed; None if they can.

        Raises:
            InputError: the config asks for a compiled step, and there is none.
        """
        step = self.step
        if isinstance(step, CompiledStep):
            try:
                if lack:
                    raise CompilationError(lack)
                step.library  # noqa: B018
            except CompilationError as error:
                step = self._without(error)
        # No process is to take steps in another way because it lacks something: that would be other numbers.
        options = self.config.training.model_copy(update={"compiled": "never" if isinstance(step, str) else "always"})
        settled = Trainers(self.config.model_copy(update={"training": options}), self.dataset, self.device)
        settled.step = step
        return settled

    def of(self, seeds: Sequence[int]) -> Trainer:
        """Return the trainer of the rounds with these seeds, all different: minidl's, whatever the config's framework.

        Raises:
            InputError: the device is not there; or the config asks for a compiled step, and there is none.
            TrainingError: the compiler fails.
        """
        find_device(self.device)
        task, step = build(self.config, self.dataset), self.step
        if isinstance(step, GraphStep):
            return GraphedTrainer(task, seeds, step, self.device)
        if not isinstance(step, CompiledStep):
            return Trainer(task, seeds, self.device)
        try:
            step.library  # noqa: B018
        except CompilationError as error:
            raise TrainingError(f"the steps cannot be compiled: {error}; set training.compiled to never") from error
        return CompiledTrainer(task, seeds, step)

    def _without(self, error: CompilationError) -> str:
        if self.config.training.compiled == "always":
            problem = f"the steps cannot be compiled: {error}"
            raise self.config.error(("training", "compiled"), problem) from error
        return f"PyTorch's operations ({error})"
