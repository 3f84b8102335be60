"""Tables to draft configs for, and what to do with the drafts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from minidl_cli.config.schema import Config
from minidl_cli.drafting.draft import Draft, write_draft
from minidl_cli.drafting.table_draft import draft_table
from minidl_cli.training.build import build, load_config
from minidl_cli.training.trainer import Trainer

# Enough rows for every rule, and few enough to be fast.
ROWS = 60
NUMBERS = [(7 * row) % 11 + 0.5 * row for row in range(ROWS)]
CLASSES = [("red", "green", "blue")[row % 3] for row in range(ROWS)]
AMOUNTS = [number**2 + row % 5 for row, number in enumerate(NUMBERS)]

Table = Mapping[str, Sequence[Any]]


def write_table(path: Path, columns: Table, **options: Any) -> Path:
    """Writes a CSV file."""
    pl.DataFrame(columns, strict=False).write_csv(path, **options)
    return path


def drafted(data: Path, *targets: str) -> tuple[Draft, Config]:
    """Returns the draft for a file and the config that it is, which is written beside it."""
    path = data.with_suffix(".yaml")
    draft = draft_table(data, targets, path)
    write_draft(draft, path)
    return draft, load_config(path)


def train(path: Path, seeds: Sequence[int] = (0, 1)) -> list[str]:
    """Trains rounds of a config for two epochs, and returns how they ended."""
    config = load_config(path, ["training.epochs=2"])
    trainer = Trainer(build(config), seeds)
    for _ in trainer.epochs():
        pass
    return [ended.status for ended in trainer.rounds()]
