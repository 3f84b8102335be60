"""Errors that are told apart by what they say."""

import pytest
import torch

from minidl_cli.errors import is_lack_of_memory

# What Python, PyTorch and CUDA's libraries say, as PyTorch passes it on.
LACKS = [
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 139 GiB"),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.mark.parametrize("error", LACKS, ids=repr)
def test_a_lack_of_memory(error: Exception) -> None:
    assert is_lack_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: an illegal memory access was encountered"), ValueError()])
def test_other_errors(error: Exception) -> None:
    assert not is_lack_of_memory(error)
