"""What was seen of a table, and chosen for it, in a few lines."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .text import printable

_WIDTH, _LEFT, _NAMED = 80, 10, 12


def print_draft(found: Mapping[str, Any]) -> None:
    """Print a draft, as `drafting` describes it, to standard output."""
    for heading, text in _lines(found):
        indent = " " * _LEFT
        print(textwrap.fill(printable(text), _WIDTH, initial_indent=heading.ljust(_LEFT), subsequent_indent=indent))


def _lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "data" in found:
        yield from _table_lines(found)
    else:
        yield "data", f"{found['template']}, {found['task']}"
    yield "network", f"{' → '.join(f'{width:,}' for width in found['widths'])}, {found['parameters']:,} parameters"


def _table_lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    dropped = f", {found['dropped_rows']:,} without a target or with gaps left out" if found["dropped_rows"] else ""
    yield "data", f"{found['data']}: {found['rows']:,} rows{dropped}"
    yield "target", f"{_listed(found['targets'])}, {found['task']}"
    if "classes" in found:
        counts = [f"{_label(each['label'])} {each['rows']:,}" for each in found["classes"]]
        yield "classes", f"{len(counts)}: {_listed(counts)}"
    yield "features", f"{len(found['features']):,}: {_listed(found['features'])}"
    for name, why in list(found["left_out"].items())[:_NAMED]:
        yield "left out", f"{name} {why}"
    if len(found["left_out"]) > _NAMED:
        yield "", f"and {len(found['left_out']) - _NAMED:,} more columns; the config names them"
    if found["missing"]:
        yield "missing", _listed([f"{name} {count:,}" for name, count in found["missing"].items()])
    yield "parts", ", ".join(f"{part} {rows:,}" for part, rows in found["sizes"].items())


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _label(label: object) -> str:
    """Return a label as a table and a config have it."""
    return str(label).lower() if isinstance(label, bool) else str(label)
