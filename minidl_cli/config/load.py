"""Loading a config: read, spell out, override, validate."""

import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from ..errors import InputError
from ..escaping import shown
from ..registry import Registry
from .overrides import override, vary
from .problems import lines
from .schema import Config
from .shorthand import spell_out
from .yaml_tree import MAX_BYTES, Node, read_tree


def load(path: Path, settings: Sequence[str], registry: Registry, varied: Sequence[str] = ()) -> Config:
    """Load and validate a config file.

    Args:
        path: the file.
        settings: overrides, each `key.key=VALUE`.
        registry: the components that the config may name.
        varied: what to add to `sweep.vary`, each `key.key=VALUE,VALUE`.

    Raises:
        InputError: the file or a setting is wrong; a line for each problem, in the order of the file.
    """
    source = shown(str(path), most=1000)
    try:
        with open_without_waiting(path) as file:
            content = file.read(MAX_BYTES + 1)  # one more than the reader takes
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror or error}") from error
    root = read_tree(content, source)
    assert isinstance(root.value, dict)
    root.value.setdefault("name", Node(path.stem, source))
    spell_out(root, Config, registry)
    problems: list[str] = []
    for change, given in [(override, settings), (vary, varied)]:
        for setting in given:
            try:
                change(root, setting)
            except InputError as error:
                problems += error.problems
            spell_out(root, Config, registry)
    return validate(root, source, registry, problems, path.parent)


def open_without_waiting(path: Path) -> BinaryIO:
    """Open a file, or a pipe. A named one into which nobody writes, so that one would wait forever, is empty.

    Raises:
        OSError: it cannot be opened.
    """

    def opener(name: str, flags: int) -> int:
        descriptor = os.open(name, flags | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
        return descriptor

    return open(path, "rb", opener=opener)


def validate(
    root: Node, source: str, registry: Registry, problems: Sequence[str] = (), folder: str | PathLike[str] = ""
) -> Config:
    """Return the config that a tree describes.

    Args:
        root: the tree, its components spelled out.
        source: the file's name, as places begin with it.
        registry: the components that the config may name.
        problems: what is wrong with it already.
        folder: what the paths of data files are relative to; by default the current folder.

    Raises:
        InputError: there are problems; a line for each, in the order of the file.
    """
    found = list(problems)
    try:
        config = Config.model_validate(root.plain(), context={"registry": registry, "folder": folder})
    except ValidationError as error:
        found += lines(error, root, source, registry)
    if found:
        raise InputError(list(dict.fromkeys(found)))
    config._root, config._folder = root, folder
    return config
