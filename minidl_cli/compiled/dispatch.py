"""What contexts share that see every operation of PyTorch within them."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context within which PyTorch shows every operation to `__torch_dispatch__`."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Say that Dynamo need not be told to skip this: PyTorch would import it for that, which takes a second."""
        return False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]


def tensors(values: Any) -> Iterator[Tensor]:
    """Yield all tensors in what an operation was given, or returned."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple | dict):
        for each in values.values() if isinstance(values, dict) else values:
            yield from tensors(each)
