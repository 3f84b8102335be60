"""Writing a config with comments, for people to read and change."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..display.text import printable
from .dump import inline

# A remark stands beside its line, or above it where the two together are too long.
_WIDTH = 110
# Remarks beside lines that are no longer than this begin in the same column.
_COLUMN = 34


@dataclass(frozen=True)
class Entry:
    """A key or an item of a list, with its value.

    Attributes:
        key: the key; None for an item of a list.
        value: plain data, which is written on the same line; or entries, which are written below.
        remark: what its comment says.
        is_active: whether it counts; if not, it is written as a comment, for people to take the `#` away.
    """

    key: str | None
    value: "Any | Entries"
    remark: str = ""
    is_active: bool = True


class Entries(tuple[Entry, ...]):
    """The entries of a mapping or a list, in their order."""

    __slots__ = ()


def suggested(entry: Entry) -> Entry:
    """Return an entry that is there for people to take up, but does not count yet."""
    return replace(entry, is_active=False)


def write(introduction: Sequence[str], groups: Sequence[Sequence[Entry]]) -> str:
    """Return the YAML text of a config.

    It reads back as exactly the same keys and values. Comments may hold any text, such as names from a stranger's file.

    Args:
        introduction: the lines of the comment at its beginning.
        groups: its keys, in groups with an empty line between them.
    """
    head = [line for text in introduction for line in _comment(text, 0) or ["#"]]
    return "\n\n".join("\n".join(lines) for lines in [head, *(_block(group, 0) for group in groups)]) + "\n"


def _block(entries: Sequence[Entry], level: int) -> list[str]:
    starts = [_start(entry, level) for entry in entries]
    remarks = [_on_one_line(entry.remark) for entry in entries]
    beside = [bool(remark) and _fits(start, remark) for start, remark in zip(starts, remarks, strict=True)]
    aligned = [
        len(start) for start, is_beside in zip(starts, beside, strict=True) if is_beside and len(start) <= _COLUMN
    ]
    column = max(aligned, default=0)
    lines = []
    for entry, start, remark, is_beside in zip(entries, starts, remarks, beside, strict=True):
        lines += [f"{start.ljust(column)}   # {remark}"] if is_beside else [*_comment(entry.remark, level), start]
        if isinstance(entry.value, Entries):
            lines += _block(entry.value, level + 1)
    return lines


def _fits(start: str, remark: str) -> bool:
    return max(len(start), _COLUMN) + len(f"   # {remark}") <= _WIDTH


def _start(entry: Entry, level: int) -> str:
    """Return the line of an entry, without its remark."""
    text = _pair(entry.key, entry.value) if entry.key is not None else f"- {_item(entry.value)}"
    return _indent(level) + ("" if entry.is_active else "# ") + text


def _pair(key: str, value: Any) -> str:
    return f"{inline(key)}:" + ("" if isinstance(value, Entries) else f" {inline(value)}")


def _item(value: Any) -> str:
    """Return an item of a list, with a mapping of one key as components are written: `linear: 16`."""
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        return _pair(key, inner)
    return inline(value)


def _comment(text: str, level: int) -> list[str]:
    """Return the lines of a comment that stands on its own; none for empty text."""
    mark = f"{_indent(level)}# "
    return [mark + line for line in textwrap.wrap(_on_one_line(text), _WIDTH - len(mark), break_long_words=False)]


def _indent(level: int) -> str:
    return "  " * level


def _on_one_line(text: str) -> str:
    return printable(text.replace("\n", "\\n"))
