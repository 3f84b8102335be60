"""What it takes that a round has the same bits alone and in company, besides how the graph is written."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..errors import MinidlWarning
from ..nn.product import stacking_is_exact


@contextmanager
def single_thread() -> Iterator[None]:
    """Let PyTorch use one thread for a while.

    For networks this small, handing work to a second thread takes longer than doing it; and products of larger
    ones, divided among threads, may give a round other bits in a stack than alone.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def warn_of_inexact_products(dtype: torch.dtype) -> None:
    """Warn if matrix products on this machine, in this process, depend on a round's place in the stack."""
    with single_thread():
        exact = stacking_is_exact(dtype)
    if not exact:
        warnings.warn(
            "matrix products give a round other last digits at other places in a stack here; "
            "where torch is used before minidl_cli is imported, import minidl_cli first",
            MinidlWarning,
            stacklevel=3,
        )
