"""Handing a prepared table to another process, which maps the same memory instead of reading the files again."""

import mmap
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing import reduction
from multiprocessing.connection import Connection

import torch
from torch import Tensor

from .preparing import Prepared, Recipe, keep


@dataclass(frozen=True)
class Handover:
    """What a process is sent of a prepared table. Called with the connection there, it has the process know the table.

    Attributes:
        recipe: what the table was made by.
        prepared: the table without its inputs.
        shape: the shape of the inputs, whose memory comes after this.
    """

    recipe: Recipe
    prepared: Prepared
    shape: Sequence[int]

    def __call__(self, connection: Connection) -> None:
        descriptor = reduction.recv_handle(connection)
        try:
            keep(self.recipe, replace(self.prepared, inputs=_mapped(descriptor, self.shape, self.recipe.dtype)))
        finally:
            os.close(descriptor)  # the mapping stays


class Shared:
    """A prepared table in memory that other processes can map.

    The memory belongs to a file without a name, so that it is given back with the last process that maps it, however
    that ends.

    Args:
        prepared: the table.

    Attributes:
        prepared: the table, its inputs in that memory.
    """

    def __init__(self, prepared: Prepared):
        inputs = prepared.inputs
        self._descriptor = _nameless_file()
        os.ftruncate(self._descriptor, inputs.nbytes)
        self.prepared = replace(prepared, inputs=_mapped(self._descriptor, inputs.shape, inputs.dtype).copy_(inputs))

    def hand_over(self, recipe: Recipe, connection: Connection, process: int) -> None:
        """Send the table to another process.

        Args:
            recipe: what it was made by.
            connection: the way to the process, which receives a `Handover` and has to call it.
            process: the process's number.
        """
        inputs = self.prepared.inputs
        connection.send(Handover(recipe, replace(self.prepared, inputs=torch.empty(0)), tuple(inputs.shape)))
        reduction.send_handle(connection, self._descriptor, process)

    def __del__(self) -> None:
        os.close(self._descriptor)


def _nameless_file() -> int:
    """Return the descriptor of an empty file: in memory, or where the system cannot do that, on disk."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("minidl")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _mapped(descriptor: int, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(mmap.mmap(descriptor, 0), dtype=dtype).view(*shape)
