"""Workers that die. They import nothing that takes long: the processes are soon there."""

import os
import signal
from multiprocessing.connection import Connection


def at_the_start(connection: Connection) -> None:
    """Die before being ready."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_work(connection: Connection) -> None:
    """Die of any chunk."""
    connection.send(None)
    connection.recv_bytes()
    os.kill(os.getpid(), signal.SIGKILL)


def of_the_last_round(connection: Connection) -> None:
    """Die of the chunk that begins with round 2."""
    from minidl_cli.sweeps import chunks, worker

    train_chunk = chunks.train_chunk

    def train(trainers, chunk, *others):
        if chunk[0] == 2:
            os._exit(7)
        return train_chunk(trainers, chunk, *others)

    chunks.train_chunk = train
    worker.work(connection)
