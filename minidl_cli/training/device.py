"""The device that rounds train on: the CPU, or a GPU by CUDA."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..config.schema import MatmulPrecision
from ..errors import InputError

# What PyTorch calls the precisions of float32 products on a GPU. There, high and medium are the same.
_PRODUCTS = {"highest": "ieee", "high": "tf32", "medium": "tf32"}


def has_cuda() -> bool:
    """Tell whether this process can train on a GPU: PyTorch is a CUDA build, and finds a driver and a device."""
    return torch.cuda.is_available()


def find_device(name: str) -> torch.device:
    """Return a device by its name.

    Args:
        name: `cpu`, `cuda` (the current one) or `cuda:1` (that of this number).

    Raises:
        InputError: it is not there: PyTorch has no CUDA, or finds no GPU, or none of this number.
    """
    if name == "cpu":
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or (name != "cuda" and not (number.isascii() and number.isdigit())):
        raise InputError(f"--device {name}: is no device; there are cpu, cuda, and cuda:0 and so on")
    if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        problem = f"this PyTorch, {torch.__version__}, is built without CUDA; install a CUDA build, as the README says"
        raise InputError(f"--device {name}: {problem}, or use --device cpu")
    if not has_cuda():
        problem = "PyTorch finds no GPU, or no driver of one; see whether nvidia-smi does"
        raise InputError(f"--device {name}: {problem}, or use --device cpu")
    try:
        index, count = int(number) if number else torch.cuda.current_device(), torch.cuda.device_count()
    except RuntimeError as error:
        raise _unusable(name, error) from error
    if index >= count:
        there = "there is only cuda:0" if count == 1 else f"there are cuda:0 to cuda:{count - 1}"
        raise InputError(f"--device {name}: there is no such GPU; {there}")
    return torch.device("cuda", index)


def free_memory(name: str) -> int:
    """Return the bytes that are free on a GPU, given its name.

    Raises:
        InputError: it is not there, or cannot be used.
    """
    gpu = find_device(name)
    try:
        free, _ = torch.cuda.mem_get_info(gpu)
    except RuntimeError as error:
        raise _unusable(name, error) from error
    return free


def _unusable(name: str, error: RuntimeError) -> InputError:
    problem = f"the GPU cannot be used: {str(error).splitlines()[0]}"
    return InputError(f"--device {name}: {problem}; see what nvidia-smi says, or use --device cpu")


@contextmanager
def at_work(device: torch.device, precision: MatmulPrecision) -> Iterator[None]:
    """Make a device the current one for a while, and its products of float32 as precise as asked for.

    On the CPU this does nothing. The setting is PyTorch's newer one, of CUDA alone: the older
    `torch.set_float32_matmul_precision` would change products on the CPU, too.
    """
    if device.type != "cuda":
        yield
        return
    with torch.cuda.device(device), matmul_precision(precision):
        yield


@contextmanager
def matmul_precision(precision: MatmulPrecision) -> Iterator[None]:
    """Let products of float32 on GPUs be as precise as asked for; then it is as it was."""
    products = torch.backends.cuda.matmul
    before = products.fp32_precision
    products.fp32_precision = _PRODUCTS[precision]
    try:
        yield
    finally:
        products.fp32_precision = before
