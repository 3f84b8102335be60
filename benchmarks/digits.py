"""The 1,797 images of digits that come with scikit-learn, 8×8 pixels each, read without importing it.

Importing scikit-learn takes as long as PyTorch, which would be counted against every side.
Source: Alpaydin, Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (1998).
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TRAIN, TEST = 1437, 360

Images = tuple[NDArray[np.float32], NDArray[np.int64]]


def read_digits(seed: int) -> tuple[Images, Images]:
    """Return the images to train on and those to test on, split by a seed.

    Each is a pair: images `[samples, 64]` with values from 0 to 1, and labels `[samples]`.
    """
    found = find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("the images come with scikit-learn: pip install '.[bench]'")
    table = np.loadtxt(
        Path(found.submodule_search_locations[0], "datasets/data/digits.csv.gz"), np.float32, delimiter=","
    )
    table = table[np.random.default_rng(seed).permutation(len(table))]
    images, labels = table[:, :-1] / 16, table[:, -1].astype(np.int64)
    return (images[:TRAIN], labels[:TRAIN]), (images[TRAIN:], labels[TRAIN:])
