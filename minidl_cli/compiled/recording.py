"""Recording what a function does to memory: the operations, and where the numbers lie that they read and write.

A recording is the same for every round, so that a loop over rounds can repeat it, in another language if need be.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .dispatch import DispatchMode


@dataclass(frozen=True)
class View:
    """Where the numbers of a tensor lie.

    Attributes:
        block: the number of the block of memory.
        offset: the place of the first number in it, counted in numbers.
        shape: the tensor's shape.
        strides: how many numbers lie from one to the next along each dimension.
        dtype: the type of the numbers.
        is_whole: whether these are all the numbers of the block.
    """

    block: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype
    is_whole: bool = False


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        name: PyTorch's name, the same for all its forms: `add` for `torch.add`, `Tensor.add_` and `out=`.
        arguments: what it was given, by PyTorch's names, defaults included: views, numbers and others.
        results: where it wrote.
    """

    name: str
    arguments: Mapping[str, Any]
    results: Sequence[View]

    def views(self) -> Iterator[View]:
        """Yield all views, those that it was given and those where it wrote."""
        yield from self.results
        for value in self.arguments.values():
            if isinstance(value, View):
                yield value
            elif isinstance(value, list | tuple):
                yield from (each for each in value if isinstance(each, View))


# They look at a tensor for its shape alone.
LIKE = ("zeros_like", "ones_like", "empty_like", "new_empty", "new_zeros")


class Recording(DispatchMode):  # type: ignore[no-untyped-call]
    """A context that records the operations within it.

    Attributes:
        operations: what was done, in this order; those that only look at a tensor in another way are left out.
        sizes: the bytes of each block of memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.sizes: list[int] = []
        self._blocks: dict[int, int] = {}
        # While a tensor is kept, no other can take its place in memory, which is what a block is told by.
        self._kept: list[Tensor] = []

    def view(self, tensor: Tensor) -> View:
        """Return where a tensor's numbers lie."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._blocks:
            self._blocks[storage.data_ptr()] = len(self.sizes)
            self.sizes.append(storage.nbytes())
            self._kept.append(tensor)
        block = self._blocks[storage.data_ptr()]
        is_whole = tensor.numel() * tensor.itemsize == storage.nbytes()
        return View(block, int(tensor.storage_offset()), tuple(tensor.shape), tensor.stride(), tensor.dtype, is_whole)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        results = [
            each for each in (result if isinstance(result, tuple | list) else [result]) if isinstance(each, Tensor)
        ]
        self._kept += results
        # Some of what PyTorch calls views copy if they have to.
        if not (func.is_view and all(_share_memory(args[0], each) for each in results)):
            name = func.overloadpacket.__name__.removesuffix("_")
            schema = func._schema.arguments
            given = dict(zip((argument.name for argument in schema), args, strict=False)) | (kwargs or {})
            arguments = {argument.name: argument.default_value for argument in schema} | given
            if name in LIKE:
                del arguments["self"]
            views = {name: self._described(value) for name, value in arguments.items()}
            self.operations.append(Operation(name, views, [self.view(tensor) for tensor in results]))
        return result

    def _described(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            self._kept.append(value)
            return self.view(value)
        if isinstance(value, list | tuple):
            return [self._described(each) for each in value]
        return value


def _share_memory(one: Tensor, other: Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
