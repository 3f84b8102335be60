"""Loaded into a worker by Dask (`--preload`): it dies of the chunks that begin with round 2."""

import os

from minidl_cli.sweeps import chunks
from minidl_cli.sweeps.cluster import legs


def train(trainers, chunk, *others):
    if chunk[0] == 2:
        os._exit(7)
    return chunks.train_chunk(trainers, chunk, *others)


legs.train_chunk = train
