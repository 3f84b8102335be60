"""A worker process, as it sees itself. It starts with what this file imports: nothing that takes long."""

import gc
import os
from multiprocessing.connection import Connection
from traceback import format_exc


def work(connection: Connection) -> None:
    """Be a worker process: train the chunks that come, until the connection ends, and end.

    Args:
        connection: brings configs with chunks, and takes for each its events and then None, or else the exception that
            came. It takes a None at the beginning, too. Before a config may come functions, which are called with the
            connection: they bring data.
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
            if callable(message):
                message(connection)
                continue
            config, chunk = message
            try:
                for event in train_chunk(config, chunk):
                    connection.send(event)
                connection.send(None)
            except Exception as error:
                # The first process raises it again, where what happened here would be lost.
                error.add_note(f"In a worker:\n{format_exc()}")
                connection.send(error)
    except (EOFError, ConnectionError):
        # There is no more work, or the first process is gone. To take down all of PyTorch would take long.
        os._exit(0)
