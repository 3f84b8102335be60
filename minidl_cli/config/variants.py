"""The variants of a config: every combination of the values that `sweep.vary` has."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from ..errors import InputError
from ..escaping import shown
from ..registry import Registry
from .load import validate
from .locate import Path, place_of, place_of_key
from .overrides import assign
from .schema import Config, fitting_name
from .shorthand import spell_out
from .yaml_tree import Node

MOST_VARIANTS, MOST_KEYS = 1000, 100


@dataclass(frozen=True)
class Variant:
    """One combination.

    Attributes:
        label: what tells it from the others, for tables and figures.
        folder: the label as the name of a folder.
        config: the config with these values; it varies nothing.
    """

    label: str
    folder: str
    config: Config


def variants(config: Config, registry: Registry) -> list[Variant]:
    """Return a config's variants, the last key varying fastest.

    Raises:
        InputError: a value is wrong, a key leads nowhere, or there are too many combinations; a line for each problem.
    """
    if len(config.sweep.vary) > MOST_KEYS:
        raise config.error(("sweep", "vary"), f"has more than {MOST_KEYS} keys; vary fewer of them")
    if prod(map(len, config.sweep.vary.values())) > MOST_VARIANTS:
        raise config.error(("sweep", "vary"), f"makes more than {MOST_VARIANTS:,} combinations; vary fewer values")
    varied = [_choices(key, values) for key, values in config.sweep.vary.items()]
    for key, choices in zip(config.sweep.vary, varied, strict=True):
        if key == "name" or key.partition(".")[0] == "sweep":
            raise config.error(("sweep", "vary", key), "cannot be varied, as it does not change the training")
        if any(not choice.label.strip() for choice in choices):
            raise config.error(("sweep", "vary", key), "a label is empty; write what to call the variant")
    found: list[Variant] = []
    problems: list[str] = []
    for combination in product(*varied):
        label = _unused(", ".join(choice.label for choice in combination), "{} ({})", [each.label for each in found])
        folder = _unused(_slug(label), "{}-{}", [each.folder for each in found])
        try:
            found.append(Variant(label, folder, _variant(config, f"{config.name}-{folder}", combination, registry)))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(list(dict.fromkeys(problems)))
    return found


@dataclass(frozen=True)
class _Choice:
    """One value of a key, and where the config has it."""

    key: str
    label: str
    value: Any
    path: Path


def _choices(key: str, values: list[Any] | dict[str, Any]) -> list[_Choice]:
    path = ("sweep", "vary", key)
    found: list[_Choice] = []
    for step, value in values.items() if isinstance(values, dict) else enumerate(values):
        label = step if isinstance(step, str) else _label(key.rpartition(".")[2], value, step + 1)
        unused = _unused(shown(label, most=60), "{} ({})", [each.label for each in found])
        found.append(_Choice(key, unused, value, (*path, step)))
    return found


def _label(key: str, value: Any, number: int) -> str:
    """Return what to call a value: by its name, or a component's name and arguments, or key and value."""
    match value:
        case str():
            return value
        case dict() if len(value) == 1 and not isinstance(next(iter(value.values())), list):
            ((name, arguments),) = value.items()
            if not isinstance(arguments, dict):
                return str(name) if arguments is None else f"{name} {_brief(arguments)}"
            return " ".join([str(name), *(f"{key}={_brief(each)}" for key, each in arguments.items())])
        case list() | dict():
            return f"{key} {number}"
    return f"{key}={_brief(value)}"


def _brief(value: Any) -> str:
    if isinstance(value, dict | list):
        return "..."
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _unused(name: str, numbered: str, used: list[str]) -> str:
    """Return a name, with the first number that makes it another than those used, if it needs one."""
    names = (name if number == 1 else numbered.format(name, number) for number in range(1, len(used) + 2))
    return next(each for each in names if each not in used)


def _slug(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9._=+-]+", "-", shown(label, most=40)).strip("-.") or "variant"


def _variant(config: Config, name: str, choices: Sequence[_Choice], registry: Registry) -> Config:
    source = config._root
    resolved = config.resolved()
    resolved["name"] = fitting_name(name)
    resolved["sweep"]["vary"] = {}
    root = _tree(resolved, (), source)
    spell_out(root, Config, registry)
    for choice in choices:
        place = place_of_key(source, choice.path[:3]) if source else "sweep.vary"
        assign(root, choice.key, _tree(choice.value, choice.path, source), place)
        spell_out(root, Config, registry)
    place = source.place.partition(":")[0] if source else ""
    return validate(root, place, registry, folder=config._folder)


def _tree(value: Any, path: Path, source: Node | None) -> Node:
    """Return plain data as a tree whose places are those of its source, as far as it is there."""
    place = place_of(source, path) if source else "sweep"
    if isinstance(value, dict):
        entries = {key: _tree(each, (*path, key), source) for key, each in value.items()}
        return Node(entries, place, {key: place_of_key(source, (*path, key)) if source else place for key in value})
    if isinstance(value, list | tuple):
        return Node([_tree(each, (*path, index), source) for index, each in enumerate(value)], place)
    return Node(value, place)
