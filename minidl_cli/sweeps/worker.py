"""A worker process, as it sees itself. It starts with what this file imports: nothing that takes long."""

import gc
import os
from multiprocessing.connection import Connection
from traceback import format_exc


def work(connection: Connection) -> None:
    """Be a worker process: train the chunks that come, until the connection ends, and end.

    Args:
        connection: brings datasets, each by a function that returns it when it is called with the connection, and
            configs with chunks to train on the last one. It takes the events of a chunk and then None, or else the
            exception that came; and a None at the beginning.
    """
    # What is imported is no garbage: to search it again and again takes a third as long as the imports.
    gc.disable()
    from .chunks import train_chunk

    gc.freeze()
    gc.enable()
    try:
        connection.send(None)
        while True:
            message = connection.recv()
            try:
                if callable(message):
                    dataset = message(connection)
                    continue
                config, chunk = message
                for event in train_chunk(config, chunk, dataset):
                    connection.send(event)
                connection.send(None)
            except Exception as error:
                # The first process raises it again, where what happened here would be lost.
                error.add_note(f"In a worker:\n{format_exc()}")
                connection.send(error)
    except (EOFError, ConnectionError):
        # There is no more work, or the first process is gone. To take down all of PyTorch would take long.
        os._exit(0)
