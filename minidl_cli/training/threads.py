"""The number of threads that PyTorch uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
