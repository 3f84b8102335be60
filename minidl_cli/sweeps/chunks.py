"""Training one chunk of rounds, in whichever process."""

from collections.abc import Iterator

from ..config.schema import Config
from ..data.dataset import Dataset
from ..reference.torch_trainer import TorchTrainer
from ..training.build import build
from ..training.compiled import make_trainer
from ..training.trainer import EpochRecord, Round, Trainer
from .plan import Chunk

Event = EpochRecord | Round


def train_chunk(config: Config, chunk: Chunk, dataset: Dataset) -> Iterator[Event]:
    """Train the rounds of a chunk as one stack, and yield their epoch records and, in the end, each round.

    Args:
        config: what to train.
        chunk: the seeds.
        dataset: the config's.

    Raises:
        InputError: the config asks for a compiled step, and there is none.
        GraphError: a layer failed.
    """
    if config.framework == "torch":
        trainer: Trainer = TorchTrainer(build(config, dataset), chunk)
    else:
        trainer = make_trainer(config, chunk, dataset)
    yield from trainer.epochs()
    yield from trainer.rounds()
