"""Configs and tables that were mutated in every way: they are taken, or refused in lines; nothing else happens."""

import codecs
import math
import os
import re
import resource
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidl_cli.config.dump import to_yaml
from minidl_cli.drafting.table_draft import draft_table
from minidl_cli.errors import CompilationError, InputError, MinidlWarning
from minidl_cli.runs.folder import Run
from minidl_cli.sweeps.outline import outline
from minidl_cli.sweeps.sweep import start
from minidl_cli.training.build import load_config

CONFIGS = Path(__file__).parents[2] / "configs"
TEXTS = [path.read_text() for path in sorted([*CONFIGS.glob("*.yaml"), *CONFIGS.glob("plane/*.yaml")])]
ROWS = ["a;b;when;kind"] + [
    f"{place * 7 % 20 / 4};{'xyz'[place * 5 % 3]};2026-01-{place % 28 + 1:02};{'pqr'[place % 3]}" for place in range(20)
]
OF_TABLE = """\
data: {table: {file: t.csv, target: kind, missing: mean}}
model: [linear: 3, tanh, linear: 3]
loss: mse
optimizer: {sgd: 0.1}
training: {epochs: 2, batch_size: 10}
"""

# No line may hold what a terminal takes for a command, nor the end of a line.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")

MEMORY = 1 << 30

mutations = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


class MadeError(Exception):
    """Everything was checked, and the run folder would be made now."""


@pytest.fixture(autouse=True)
def _not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends where the run folder would be made; on a small machine, so that what is too large is little enough."""

    def made(*_: object) -> None:
        raise MadeError

    def no_compiler() -> None:
        raise CompilationError("which has nothing to say about a config, and takes half of the time")

    monkeypatch.setattr(Run, "create", made)
    monkeypatch.setattr("minidl_cli.training.compiled.find_compiler", no_compiler)
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": MEMORY // 4096}.__getitem__)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the tables that the configs name."""
    (tmp_path / "data").symlink_to(CONFIGS / "data")
    (tmp_path / "t.csv").write_text("\n".join(ROWS))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def taken(folder: Path, take: Callable[[], object]) -> bool:
    """Do something with input that may be wrong. Return whether it was taken; if not, it was refused in lines."""
    before, memory = contents(folder), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            take()
        except InputError as error:
            lines = error.problems
            assert lines
        except MadeError:
            lines = []
        else:
            lines = []
    assert all(issubclass(each.category, MinidlWarning) for each in warned)
    assert not [line for line in [*lines, *(str(each.message) for each in warned)] if UNPRINTABLE.search(line)]
    assert contents(folder) == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < MEMORY >> 10  # which is in kB
    return not lines


def contents(folder: Path) -> dict[Path, tuple[int, int]]:
    """All that is in a folder, as far as a change of it could be seen."""
    return {path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


def trains(folder: Path, config: str | bytes) -> bool:
    """Do with a config what `minidl show` does, and `minidl sweep` before there is a run folder."""
    Path("x.yaml").write_bytes(config.encode(errors="surrogatepass") if isinstance(config, str) else config)
    is_shown = taken(folder, lambda: outline(load_config("x.yaml")))
    return is_shown & taken(folder, lambda: start(load_config("x.yaml")))


# --- Configs ---------------------------------------------------------------------------------------------------------

SIGNS = st.sampled_from(
    [*"{}[]:,&*!|>'\"%@#-?~ \t\n\r\\0", "\x1b", "\x85", "\u2028", "é", "💥", "<<", "- ", ": ", "*a", "&a "]
)


@st.composite
def edited(draw: st.DrawFn, texts: list[str]) -> str:
    """One of the texts, of which lines or characters were deleted, doubled, swapped or put in."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 4))):
        is_line = draw(st.booleans())
        parts = text.splitlines(keepends=True) if is_line else list(text)
        first, second = (draw(st.integers(0, max(0, len(parts) - 1))) for _ in range(2))
        match draw(st.sampled_from(["delete", "double", "swap", "insert", "cut"])):
            case "delete":
                del parts[first : first + 1]
            case "double":
                parts[first:first] = parts[first : first + 1]
            case "swap" if parts:
                parts[first], parts[second] = parts[second], parts[first]
            case "insert":
                parts.insert(first, draw(SIGNS))
            case "cut":
                del parts[min(first, second) : min(first, second) + 20 if is_line else None]
        text = "".join(parts)
    return text


NUMBERS = [None, True, False, -1, 0, 1, 2, 7, 0.5, -0.0, 1e-320, 1e30, 1e308, 10**9, 10**12, 10**17, 10**18]
WORDS = [
    "",
    " ",
    "auto",
    "round",
    "random",
    "x" * 5000,
    "\x1b[31m",
    "[/x]",
    "a\nb",
    "\u202e",
    "../x",
    "/dev/zero",
    "1e3",
]
LISTS = [[], [[]], [[[1]]], [1, 2], [0.0, 1.0], ["a", "a"]]
MAPPINGS = [{}, {"": 1}, {1: 2}, {0: 0.1, 5: 0.2}, {"constant": 0.5}]
COMPONENTS = ["linear", "tanh", {"linear": 10**6}, {"dropout": 1.0}, {"table": {"file": "data", "target": "y"}}]
ODD = st.sampled_from([*NUMBERS, math.nan, math.inf, *WORDS, *LISTS, *MAPPINGS, *COMPONENTS]).map(deepcopy)


@st.composite
def replaced(draw: st.DrawFn, texts: list[str]) -> str:
    """One of the texts, as another tree: values are replaced, keys left out, renamed or moved."""
    tree = yaml.safe_load(draw(st.sampled_from(texts)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(tree))
        holder, key = draw(st.sampled_from(places))
        other, its_key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "replace", "drop", "rename", "copy"])):
            case "replace":
                holder[key] = draw(ODD)
            case "drop":
                del holder[key]
            case "rename" if isinstance(holder, dict):
                new = draw(st.sampled_from([f"{key}s", "x", "lr", 3, "\x1b", "sweep", "training"]))
                holder[new] = holder.pop(key)
            case "copy":
                holder[key] = yaml.safe_load(yaml.safe_dump(other[its_key]))
        if not list(_places(tree)):
            break
    return to_yaml(tree)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "name",
    "seed",
    "data",
    "data_seed",
    "model",
    "init",
    "loss",
    "optimizer",
    "training",
    "framework",
    "sweep",
    "x",
]


@mutations
@given(text=edited([*TEXTS, OF_TABLE]))
def test_configs_with_edited_text(folder: Path, text: str) -> None:
    trains(folder, text)


@mutations
@given(text=replaced([*TEXTS, OF_TABLE]))
def test_configs_with_other_values(folder: Path, text: str) -> None:
    trains(folder, text)


@mutations
@given(tree=st.dictionaries(st.sampled_from(KEYS), plain), is_flow=st.booleans())
def test_configs_of_random_yaml(folder: Path, tree: dict[str, Any], is_flow: bool) -> None:
    text = yaml.dump(tree, default_flow_style=is_flow, allow_unicode=True)
    assert not trains(folder, text)


@mutations
@given(content=st.binary(max_size=60) | st.lists(SIGNS, max_size=30).map("".join))
def test_configs_that_are_noise(folder: Path, content: bytes | str) -> None:
    assert not trains(folder, content)


# --- Tables ----------------------------------------------------------------------------------------------------------

ODD_NUMBERS = ["nan", "inf", "-inf", "1e400", "1e39", "-0", "9" * 400, "007", "1,5", "1.500", "1_000", "true", "0x1"]
ODD_DATES = ["2026-13-45", "0000-01-01", "9999-12-31", "2026-01-31T25:00", "1/2/2026"]
ODD_TEXTS = ["", " ", "NA", "\x1b[31m", "[/x]", "\0", "é", "\u202e", "\ufeff", "x" * 1000, "*", "^a.*$", "=1+1"]
ODD_FIELDS = ['"', '""', '"a;b"', '"a\nb"', "a;b", "p", "train", "a"]
CELLS = st.sampled_from([*ODD_NUMBERS, *ODD_DATES, *ODD_TEXTS, *ODD_FIELDS])


@st.composite
def other_cells(draw: st.DrawFn) -> bytes:
    """The table, of which some cells hold something else, rows and columns are gone, or there twice."""
    cells = [row.split(";") for row in ROWS]
    for _ in range(draw(st.integers(1, 5))):
        row = draw(st.integers(0, len(cells) - 1))
        column = draw(st.integers(0, 3))
        match draw(st.sampled_from(["cell", "cell", "column", "row", "rows", "short", "double"])):
            case "cell":
                cells[row][column : column + 1] = [draw(CELLS)]
            case "column":
                value = draw(CELLS)
                cells[1:] = [[*each[:column], value, *each[column + 1 :]] for each in cells[1:]]
            case "row":
                cells[row] = [draw(CELLS)]
            case "rows":
                del cells[max(1, row) :]
            case "short":
                cells[row] = cells[row][:column]
            case "double":
                cells.insert(row, list(cells[row]))
    return "\n".join(";".join(row) for row in cells).encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))


@st.composite
def other_bytes(draw: st.DrawFn) -> bytes:
    """The table, of which some bytes are gone, are others, or are there twice."""
    content = bytearray("\n".join(ROWS).encode())
    for _ in range(draw(st.integers(1, 6))):
        first, length = draw(st.integers(0, len(content))), draw(st.integers(0, 30))
        piece = draw(
            st.binary(max_size=3) | st.sampled_from([b'"', b"\r", b"\n", b";", b"\0", codecs.BOM_UTF8, b"PAR1"])
        )
        match draw(st.sampled_from(["put", "replace", "double", "cut"])):
            case "put":
                content[first:first] = piece
            case "replace":
                content[first : first + length] = piece
            case "double":
                content[first:first] = content[first : first + length]
            case "cut":
                del content[first + 100 :]
    return bytes(content)


@mutations
@given(content=other_cells() | other_bytes(), target=st.sampled_from(["kind", "a", "b", "when"]))
def test_tables(folder: Path, content: bytes, target: str) -> None:
    """What `init` takes, too, trains with the config that it writes."""
    Path("t.csv").write_bytes(content)
    trains(folder, OF_TABLE.replace("kind", target))
    drafts: list[str] = []
    if taken(folder, lambda: drafts.append(draft_table(Path("t.csv"), [target], Path("x.yaml")).text)):
        assert trains(folder, drafts[0])
