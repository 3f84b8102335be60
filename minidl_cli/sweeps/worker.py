"""A worker process, as it sees itself. It starts with what this file imports: nothing that takes long."""

import gc
import os
import signal
from errno import ENOMEM
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from threading import Thread
from time import monotonic
from traceback import format_exc
from typing import TYPE_CHECKING, Self

from ..errors import TrainingError, is_lack_of_memory
from ..interrupts import Interrupted

if TYPE_CHECKING:
    from .chunks import Event

# How seldom events that are not urgent are sent.
SEND_SECONDS = 0.1


def work(connection: Connection) -> None:
    """Be a worker process: train the chunks that come, until the connection ends or a signal comes, and end.

    A process without memory ends, too, with the exit code ENOMEM: what it still holds is best given back like that.

    Args:
        connection: brings what is to be trained: first a dataset, by a function that returns it when it is called with
            the connection; then the config and the device; then chunks, and what is saved of each. It takes the
            events of a chunk, in lists, and then None, or else the exception that came; and a None at the beginning.
    """
    Thread(target=_end_with_first_process, daemon=True).start()
    # What is imported is no garbage: to search it again and again takes a third as long as the imports.
    gc.disable()
    from ..config.schema import Config
    from ..training.trainer import EpochRecord
    from ..training.trainers import Trainers
    from .chunks import train_chunk
    from .timetable import Timetable

    gc.freeze()
    gc.enable()
    Interrupted.begin()
    signal.signal(signal.SIGTERM, Interrupted.handle)
    timetable = Timetable()
    try:
        connection.send(None)
        while True:
            try:
                match connection.recv():
                    case bring if callable(bring):
                        dataset = bring(connection)
                    case Config() as config, device:
                        trainers = Trainers(config, dataset, device)
                    case chunk, saved:
                        with Interrupted.deferred(), _Outbox(connection) as outbox:
                            for event in train_chunk(trainers, chunk, timetable, saved):
                                outbox.put(event, is_urgent=not isinstance(event, EpochRecord))
                        connection.send(None)
            except (EOFError, ConnectionError):
                raise
            except Exception as error:
                if is_lack_of_memory(error):
                    os._exit(ENOMEM)
                # The first process raises it again, where what happened here would be lost.
                error.add_note(f"In a worker:\n{format_exc()}")
                _send_error(connection, error)
    except (EOFError, ConnectionError, Interrupted):
        # There is no more work, or the first process is gone. To take down all of PyTorch would take long.
        os._exit(0)


class _Outbox:
    """Sends events some at a time: epochs are short, and to pass on each by itself takes a tenth of the time."""

    def __init__(self, connection: Connection):
        self._connection, self._sent = connection, monotonic()
        self._waiting = list["Event"]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._send()

    def put(self, event: "Event", *, is_urgent: bool) -> None:
        """Send an event with those that wait: at once if it is urgent, or if nothing was sent for `SEND_SECONDS`."""
        self._waiting.append(event)
        if is_urgent or monotonic() > self._sent + SEND_SECONDS:
            self._send()

    def _send(self) -> None:
        if self._waiting:
            self._connection.send(self._waiting)
        self._waiting, self._sent = [], monotonic()


def _end_with_first_process() -> None:
    """End this process as soon as the first one is gone: an epoch can take long, and nobody waits for it any more."""
    first = parent_process()
    assert first is not None
    wait([first.sentinel])
    os._exit(0)


def _send_error(connection: Connection, error: Exception) -> None:
    try:
        connection.send(error)
    except ConnectionError:
        raise
    except Exception:
        # Not everything that an exception may hold can be sent.
        connection.send(TrainingError(f"{type(error).__name__}: {error}"))
