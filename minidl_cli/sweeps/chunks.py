"""Training one chunk of rounds, in whichever process."""

from collections.abc import Iterator
from time import monotonic

from ..interrupts import GRACE_SECONDS, Interrupted
from ..reference.torch_trainer import TorchTrainer
from ..training.build import build
from ..training.checkpoint import Checkpoint
from ..training.round import Round
from ..training.trainer import EpochRecord, Trainer
from ..training.trainers import Trainers
from .plan import Chunk
from .timetable import Timetable

Event = EpochRecord | Checkpoint | Round


def train_chunk(
    trainers: Trainers, chunk: Chunk, timetable: Timetable, saved: Checkpoint | None = None
) -> Iterator[Event]:
    """Train the rounds of a chunk as one stack, and yield their epoch records, checkpoints and, in the end, each round.

    The last checkpoint comes when all epochs are done; or, after a signal to stop, at the end of the epoch at hand, or
    where that takes over a second, of the one before.

    Args:
        trainers: what makes the trainer of a stack.
        chunk: the seeds.
        timetable: when this process makes checkpoints.
        saved: what to go on from, which fits the config, as `Checkpoint.check` says; None to start.

    Raises:
        InputError: there is no such device; or the config asks for a compiled step, and there is none.
        GraphError: a layer failed.
        Interrupted: a signal came, and the last checkpoint has been yielded.
    """
    with Interrupted.long_work():
        trainer = _trainer(trainers, saved.stack if saved else chunk)
        if saved:
            trainer.restore(saved)
    yield from _train(trainer, timetable, trainers.config.training.checkpoint_every)
    yield from _save(trainer, timetable)
    with Interrupted.long_work():
        rounds = trainer.rounds()
    yield from rounds


def _trainer(trainers: Trainers, stack: Chunk) -> Trainer:
    if trainers.config.framework == "torch":
        return TorchTrainer(build(trainers.config, trainers.dataset), stack)
    return trainers.of(stack)


def _train(trainer: Trainer, timetable: Timetable, every: float) -> Iterator[EpochRecord | Checkpoint]:
    """Yield all epoch records, and a checkpoint where one is due or a signal came."""
    epochs, kept = trainer.epochs(), None
    try:
        while True:
            if Interrupted.came() is not None:
                yield from _save(trainer, timetable)
                kept = None
                Interrupted.check()
            began = monotonic()
            with Interrupted.long_work():
                record = next(epochs, None)
            if record is None:
                return
            took = monotonic() - began
            yield record
            if timetable.is_due(every):
                yield from _save(trainer, timetable)
            # After a signal, so long an epoch may not come to its end: what was before it is needed then.
            kept = trainer.checkpoint() if took > GRACE_SECONDS / 2 else None
    except (Interrupted, KeyboardInterrupt):
        if kept:
            yield kept
        raise


def _save(trainer: Trainer, timetable: Timetable) -> Iterator[Checkpoint]:
    """Yield a checkpoint, and note what it takes until it is dealt with."""
    began = monotonic()
    yield trainer.checkpoint()
    timetable.took(monotonic() - began)
