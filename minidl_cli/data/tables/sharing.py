"""Memory that several processes map: a table is read by one of them and handed to the others."""

import mmap
import os
import tempfile
from collections.abc import Sequence
from multiprocessing import reduction
from multiprocessing.connection import Connection

import torch
from torch import Tensor

from ...errors import TrainingError


class SharedMemory:
    """The memory of a tensor, which other processes can map.

    It belongs to a file without a name, and so is given back with the last process that maps it, however that ends.

    Args:
        tensor: whose numbers to copy there.

    Attributes:
        tensor: the same numbers, in that memory.

    Raises:
        TrainingError: there is not enough.
    """

    def __init__(self, tensor: Tensor):
        try:
            self._descriptor = _nameless_file()
            os.ftruncate(self._descriptor, tensor.nbytes)
            self.tensor = _mapped(self._descriptor, tensor.shape, tensor.dtype).copy_(tensor)
        except OSError as error:
            problem = f"the data do not fit into memory that processes share: {error.strerror or error}"
            raise TrainingError(f"{problem}; try --workers 1") from error

    def send(self, connection: Connection, process: int) -> None:
        """Send the way to the memory to another process, which has to call `receive`."""
        reduction.send_handle(connection, self._descriptor, process)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)


def receive(connection: Connection, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return the tensor of this shape and type whose memory another process sends."""
    descriptor = reduction.recv_handle(connection)
    try:
        return _mapped(descriptor, shape, dtype)
    finally:
        os.close(descriptor)  # what is mapped stays


def _nameless_file() -> int:
    """Return the descriptor of an empty file: in memory, or where the system cannot do that, on disk."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("minidl")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _mapped(descriptor: int, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(mmap.mmap(descriptor, 0), dtype=dtype).view(*shape)
