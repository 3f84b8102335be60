"""minidl's command line with the dataset of the benchmarks: `python -m benchmarks.minidl train CONFIG`.

Worker processes import the main module anew, and with it this one, so that they know the dataset, too.
"""

import torch

from minidl_cli.cli import main
from minidl_cli.data.columns import Column, Columns
from minidl_cli.data.dataset import Dataset, Part
from minidl_cli.registry import ComponentType
from minidl_cli.training.build import registry

from .digits import TEST, TRAIN, read_digits


class Digits(Dataset):
    """The 8×8 images of digits that come with scikit-learn, split by the seed."""

    columns = Columns(tuple(Column(f"pixel_{place}") for place in range(64)), ("digit",), tuple(range(10)))
    sizes = {"train": TRAIN, "test": TEST}  # noqa: RUF012

    def draw(self, seed: int) -> dict[str, Part]:
        parts = zip(self.sizes, read_digits(seed), strict=True)
        return {
            name: Part(torch.from_numpy(images).T.double(), torch.from_numpy(labels))
            for name, (images, labels) in parts
        }


registry().types["dataset"].setdefault("digits", ComponentType("digits", Digits, {}))

if __name__ == "__main__":
    main()
