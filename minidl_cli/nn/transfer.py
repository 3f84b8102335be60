"""The way of numbers from the CPU to another device."""

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return values of the CPU on a device; those that are to stay as they are.

    A GPU is not waited for: it copies the values when it has done what it was given before, from memory that is pinned,
    which PyTorch does not use for anything else until then.
    """
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
