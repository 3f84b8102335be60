"""Training one chunk of rounds, in whichever process."""

from collections.abc import Iterator

from ..config.schema import Config
from ..reference.torch_trainer import TorchTrainer
from ..training.build import build
from ..training.compiled import make_trainer
from ..training.trainer import EpochRecord, Round
from .plan import Chunk

Event = EpochRecord | Round


def train_chunk(config: Config, chunk: Chunk) -> Iterator[Event]:
    """Train the rounds of a chunk as one stack, and yield their epoch records and, in the end, each round.

    Raises:
        InputError: the config asks for a compiled step, and there is none.
        GraphError: a layer failed.
    """
    trainer = TorchTrainer(build(config), chunk) if config.framework == "torch" else make_trainer(config, chunk)
    yield from trainer.epochs()
    yield from trainer.rounds()
