"""Tables that one process hands to others."""

import os
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
import torch

from minidl_cli.data.dataset import Dataset
from minidl_cli.data.table import Table
from minidl_cli.data.xor import Xor


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("a,b,part,kind\n" + "1,2,train,p\n3,4,test,q\n5,6,train,q\n")
    return path


def handed_over(dataset: Dataset) -> Any:
    """Returns the dataset as another process would have it."""
    ours, theirs = Pipe()
    dataset.hand_over(ours, os.getpid())
    message = theirs.recv()
    return message(theirs)


def test_the_table_arrives_as_it_was(file: Path) -> None:
    table = Table(str(file), "kind", split=None, features=("a", "b"))
    table.dtype = torch.float32
    expected = table.draw(3)
    file.unlink()
    found = handed_over(table)
    assert found.columns == table.columns
    assert found.sizes == table.sizes
    for name, part in found.draw(3).items():
        assert torch.equal(part.inputs, expected[name].inputs)
        assert torch.equal(part.targets, expected[name].targets)
        assert torch.equal(part.rows, expected[name].rows)
    assert found.fit(found.draw(3)["train"]).keys() == table.fitted.keys()


def test_both_have_the_same_memory(file: Path) -> None:
    table = Table(str(file), "kind", features=("a", "b"))
    there = handed_over(table)
    table.draw(0)["train"].inputs[0, 0] = 77.0
    assert there.draw(0)["train"].inputs[0, 0] == 77.0


def test_all_that_read_the_same_file_share_it(file: Path) -> None:
    """As the variants of a sweep do; and nobody keeps what was there before it was shared."""
    first, second = (Table(str(file), "kind", features=("a", "b"), numeric=each) for each in ("none", "min_max"))
    before = second.draw(0)["train"].inputs.data_ptr()
    handed_over(first)
    handed_over(second)
    places = {table.draw(0)["train"].inputs.data_ptr() for table in (first, second)}
    assert len(places) == 1
    assert places != {before}


def test_small_arrays_take_no_shared_memory(file: Path) -> None:
    """PyTorch would hand them over by open files, of which there can be too many."""
    found = handed_over(Table(str(file), "kind", features=("a", "b")))
    assert not any(part.targets.is_shared() for part in found.draw(0).values())


def test_drawn_data_are_handed_over_too() -> None:
    dataset = Xor(train=8, test=4)
    found = handed_over(dataset)
    assert torch.equal(found.draw(1)["train"].inputs, dataset.draw(1)["train"].inputs)
