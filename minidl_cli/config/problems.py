"""What is wrong with a config, in the words of its author: where, what, and what to write instead."""

import math
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..escaping import shown
from ..registry import Kind, Registry, StrictModel
from .locate import Path, dotted, existing, place_of, place_of_key
from .schema import Config
from .shorthand import item_kind, model_of
from .yaml_tree import Node

# As many problems as are told one by one: whoever has more has given another file.
MOST_LINES = 100

# How the validator's path ends where a key is wrong and not its value.
_KEY = "[key]"

# What must stand where the validator finds an error of this type.
_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_pattern_mismatch": "text that matches {pattern}",
    "list_type": "a list",
    "tuple_type": "a list",
    "literal_error": "{expected}",
    "greater_than": "greater than {gt:.15g}",
    "greater_than_equal": "at least {ge:.15g}",
    "less_than": "less than {lt:.15g}",
    "less_than_equal": "at most {le:.15g}",
}


def lines(error: ValidationError, root: Node, source: str, registry: Registry) -> list[str]:
    """Return a line for each wrong value: first those that overrides set, then the others in the file's order.

    Of very many, the last line says only how many more there are.

    Args:
        error: what the validator found.
        root: the config that it validated.
        source: the file's name, as places begin with it.
        registry: the components that the config may name.
    """
    found: dict[tuple[str, str], list[tuple[ErrorDetails, Path]]] = {}
    for details, path in _deepest([(details, _path(details, root)) for details in error.errors()]):
        found.setdefault((_place(details, path, root), dotted(path)), []).append((details, path))
    ordered = sorted(found.items(), key=lambda each: _position(each[0][0], source))
    lines = [
        f"{place}: {key}: {_join([_describe(details, path, place, registry) for details, path in wrong])}"
        for (place, key), wrong in ordered[:MOST_LINES]
    ]
    return lines + ([f"{source}: {len(ordered) - MOST_LINES:,} more problems"] if len(ordered) > MOST_LINES else [])


def _deepest(errors: list[tuple[ErrorDetails, Path]]) -> list[tuple[ErrorDetails, Path]]:
    """Return the errors of values in which nothing else is wrong.

    Where something in a value is wrong, the value has the form of a branch of its union, and the other branches have
    nothing to say; nor does its list, which counts only the items that are right.
    """
    holders = {path[:length] for _, path in errors for length in range(len(path))}
    return [(details, path) for details, path in errors if path not in holders]


def _path(details: ErrorDetails, root: Node) -> Path:
    """Return the path in the config: the validator's own has steps for a union's branches as well."""
    path: Path = details["loc"]
    if details["type"] == "missing":
        return (*existing(root, path[:-1]), path[-1])
    return existing(root, path)


def _place(details: ErrorDetails, path: Path, root: Node) -> str:
    given = details["input"]
    if details["type"] in ("extra_forbidden", "invalid_key") or details["loc"][-1] == _KEY:
        return place_of_key(root, path)
    if details["type"] == "component_form" and isinstance(given, dict) and given:
        return place_of_key(root, (*path, list(given)[1]))
    return place_of(root, path)


def _position(place: str, source: str) -> list[int]:
    numbers = re.fullmatch(r":(\d+):(\d+)", place.removeprefix(source))
    return [int(number) for number in numbers.groups()] if numbers else []


def _join(problems: list[str]) -> str:
    """Return what the branches of a union say of one value as one: `must be a whole number or 'auto', not 1.5`."""
    of_right_form = [problem for problem in problems if not problem.startswith("must be ")]
    if of_right_form or len(set(problems)) == 1:
        return (of_right_form or problems)[0]
    split = [problem.removeprefix("must be ").partition(", not ") for problem in dict.fromkeys(problems)]
    *choices, last = [choice for expected, _, _ in split for choice in re.split("(?<=') or (?=')", expected)]
    given = max((given for _, _, given in split), key=len)  # the longest also has advice
    return f"must be {', '.join(choices)} or {last}, not {given}"


def _describe(details: ErrorDetails, path: Path, place: str, registry: Registry) -> str:
    """Say what is wrong and what to do, in the words of a config's author."""
    given, context = details["input"], details.get("ctx", {})
    match details["type"]:
        case "missing":
            return "missing" if isinstance(path[-1], str) else "missing: the list is too short"
        case "extra_forbidden" | "invalid_key":
            known = _known_keys(path[:-1], registry)
            return f"unknown key; {_suggest(path[-1], known) if known else f'{path[-2]} takes no arguments'}"
        case "unknown_component":
            name, kind = context["name"], context["kind"]
            return f"no such {kind}: '{shown(name)}'; {_suggest(name, registry.types[kind])}"
        case "component_form":
            return _describe_form(given, path, place, registry)
        case "model_type" if not _known_keys(path, registry):
            return f"takes no arguments; write only '{path[-1]}', without {_show(given)}"
        case "value_error" | "contradiction":
            problem = shown(str(context.get("error", details["msg"])), most=200)
            return f"{problem}, not {_show(given)}" if problem.startswith("must be ") else problem
        case "too_short" | "string_too_short" if not given:
            return "must not be empty"
        case "too_short" | "too_long":
            most = details["type"] == "too_long"
            number = context["max_length" if most else "min_length"]
            return f"must have at {'most' if most else 'least'} {number} items, not {len(given)}"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters, not {len(given):,}"
        case "string_type" if isinstance(given, int | float):
            return f"must be text, not {_show(given)}; put it in quotes"
        case "dict_type":
            return f"must be {_mapping(path, registry)}, not {_show(given)}"
        case "model_type" | "model_attributes_type":
            return (
                f"must be a mapping of keys, not {_show(given)}; known here: {', '.join(_known_keys(path, registry))}"
            )
    _, _, other = details["msg"].rpartition("should be ")
    expected = _EXPECTED.get(details["type"], "{other}").format(**context, other=other)
    key = "the key " if details["loc"][-1] == _KEY else ""
    return f"{key}must be {expected}, not {_show(given)}"


def _describe_form(given: Any, path: Path, place: str, registry: Registry) -> str:
    _, kind = _declared(path, registry)
    if not isinstance(given, dict) or not given:
        article = "an" if str(kind)[0] in "aeiou" else "a"
        return f"must be {article} {kind}: a name, or a name and its arguments, not {_show(given)}"
    known = registry.types[str(kind)]
    for name in given:
        if name not in known and get_close_matches(str(name).lower(), known, n=1):
            return f"no such {kind}: '{shown(str(name))}'; {_suggest(name, known)}"
    first, second = (shown(str(name)) for name in list(given)[:2])
    if place.startswith(("-s ", "--vary ")) and second in known:
        advice = f"to replace it, write {dotted(path)}={{{second}: ...}}"
    elif isinstance(path[-1], int):
        advice = "begin each with '- '"
    else:
        advice = "keep one, with its arguments below it"
    return f"one {kind} only, but '{second}' stands beside '{first}'; {advice}"


def _mapping(path: Path, registry: Registry) -> str:
    """Describe the mapping that a config may have at `path`."""
    model, _ = _declared(path[:-1], registry)
    declared = model.model_fields.get(str(path[-1]))
    keys = _literal_keys(declared.annotation) if declared else []
    return f"a mapping such as {{{keys[0]}: ...}}" if keys else "a mapping of keys"


def _literal_keys(hint: Any) -> list[Any]:
    """Return the keys of the mapping that a type is, or has as a branch, if it takes only certain ones."""
    options = get_args(hint)
    if get_origin(hint) is dict:
        return list(get_args(options[0])) if get_origin(options[0]) is Literal else []
    return [key for option in options for key in _literal_keys(option)]


def _show(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping" if value else "an empty mapping"
        case list() | tuple():
            return "a list"
        case float() if not math.isfinite(value):
            return repr(value).replace("nan", ".nan").replace("inf", ".inf")
        case str():
            return f"the text '{shown(value)}'"
    return str(value)


def _suggest(name: Any, known: Iterable[str]) -> str:
    near = get_close_matches(str(name).lower(), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"


def _known_keys(path: Path, registry: Registry) -> list[str]:
    """Return the keys that a config may have at `path`, which leads through mappings, lists and components."""
    model, kind = _declared(path, registry)
    return list(registry.types[kind] if kind else model.model_fields)


def _declared(path: Path, registry: Registry) -> tuple[type[StrictModel], str | None]:
    """Return what a config may have at `path`: a model of keys, or a kind of component."""
    model: type[StrictModel] = Config
    kind: str | None = None
    for step in path:
        if kind and not isinstance(step, int):
            model, kind = registry.types[kind][str(step)].arguments, None
        elif step in model.model_fields:
            declared = model.model_fields[str(step)]
            kind, model = Kind.of(declared) or item_kind(declared), model_of(declared) or StrictModel
    return model, kind
