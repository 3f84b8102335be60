"""Random numbers as a pure function of what they are for.

There is no generator state to carry along or to save: whoever needs random numbers asks for the generator of a
seed, a purpose and an epoch, and always gets the same ones. The global generator is never touched.

PyTorch's generator keeps 32 bits of a seed. Among 10,000 rounds, two draw the same initial parameters with a
probability of about 1%; among a million pairs of round and epoch, about 120 pairs shuffle alike.
"""

import hashlib
from typing import Literal

import torch

Purpose = Literal["train data", "test data", "split", "validation", "parameters", "order", "noise", "bootstrap"]


def generator(seed: int, purpose: Purpose, epoch: int = 0, used: torch.Generator | None = None) -> torch.Generator:
    """Return a CPU generator for one purpose, of which nothing has been drawn.

    Args:
        seed: the seed of the round (or of the data).
        purpose: what the numbers are drawn for, so that one use never shifts the numbers of another.
        epoch: the epoch that they are drawn for, from 1; 0 for what is drawn once.
        used: one that is not needed any more and begins anew, which takes less time than to make one.
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}/{epoch}".encode(), digest_size=8).digest()
    return (used or torch.Generator()).manual_seed(int.from_bytes(digest))
