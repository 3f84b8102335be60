"""Loading a config: read, spell out, override, validate, and say where each error stands."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..errors import InputError
from ..registry import Kind, Registry, StrictModel
from .locate import Path, place_of, place_of_key
from .overrides import override
from .schema import Config
from .shorthand import item_kind, spell_out
from .yaml_tree import Node, read_tree


def load(path: FilePath, settings: Sequence[str], registry: Registry) -> Config:
    """Load and validate a config file.

    Args:
        path: the file.
        settings: overrides, each `key.key=VALUE`.
        registry: the components that the config may name.

    Raises:
        InputError: the file or a setting is wrong; a line for each problem, in the order of the file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    root = read_tree(content, str(path))
    assert isinstance(root.value, dict)
    root.value.setdefault("name", Node(path.stem, str(path)))
    spell_out(root, Config, registry)
    problems = []
    for setting in settings:
        try:
            override(root, setting)
        except InputError as error:
            problems += error.problems
        spell_out(root, Config, registry)
    try:
        config = Config.model_validate(root.plain(), context={"registry": registry})
    except ValidationError as error:
        problems += _lines(error, root, registry)
    if problems:
        raise InputError(problems)
    config._root = root
    return config


def _lines(error: ValidationError, root: Node, registry: Registry) -> list[str]:
    """One line for each error, in the order of the file."""
    lines = []
    for details in error.errors():
        path: Path = details["loc"]
        key = ".".join(map(str, path))
        unknown = details["type"] == "extra_forbidden"
        place = place_of_key(root, path) if unknown else place_of(root, path)
        lines.append(f"{place}: {key}: {_describe(details, registry)}")
    return sorted(lines, key=_position)


def _position(line: str) -> list[int]:
    numbers = re.match(r".*?:(\d+):(\d+): ", line)
    return [int(number) for number in numbers.groups()] if numbers else []


def _describe(details: ErrorDetails, registry: Registry) -> str:
    """Say what is wrong and what to do, in the words of a config's author."""
    given, context = details["input"], details.get("ctx", {})
    match details["type"]:
        case "missing":
            return "missing"
        case "extra_forbidden":
            return f"unknown key; {_suggest(details['loc'][-1], _known_keys(details['loc'][:-1], registry))}"
        case "unknown_component":
            return (
                f"{details['msg']}: {context['name']!r}; {_suggest(context['name'], registry.types[context['kind']])}"
            )
        case "int_type" | "int_from_float" | "int_parsing":
            return f"must be a whole number, not {_show(given)}"
        case "float_type" | "float_parsing":
            return f"must be a number, not {_show(given)}"
        case "finite_number":
            return f"must be a finite number, not {given}"
        case "bool_type" | "bool_parsing":
            return f"must be true or false, not {_show(given)}"
        case "string_type":
            return f"must be text, not {_show(given)}; put it in quotes"
        case "list_type":
            return f"must be a list, not {_show(given)}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"must be a mapping of keys, not {_show(given)}"
        case "literal_error":
            return f"must be {context['expected']}, not {_show(given)}"
        case "value_error":
            return str(context["error"])
        case "too_short" if context["actual_length"] == 0:
            return "must not be empty"
    message = details["msg"].removeprefix("Input ").replace("should", "must", 1)
    return f"{message}, not {_show(given)}" if message.startswith("must") else message


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else "a list"
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return f"the text {shown}" if isinstance(value, str) else shown


def _suggest(name: Any, known: Any) -> str:
    near = get_close_matches(str(name), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known) or 'none'}"


def _known_keys(path: Path, registry: Registry) -> list[str]:
    """Return the keys that a config may have at `path`, which leads through mappings, lists and components."""
    model: type[StrictModel] = Config
    kind: str | None = None
    for step in path:
        if kind and not isinstance(step, int):
            model, kind = registry.types[kind][str(step)].arguments, None
        elif step in model.model_fields:
            declared = model.model_fields[str(step)]
            kind = Kind.of(declared) or item_kind(declared)
            if not kind:
                assert isinstance(declared.annotation, type)
                model = declared.annotation
    return list(model.model_fields)
