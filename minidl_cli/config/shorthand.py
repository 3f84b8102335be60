"""Spelling out components: whichever way a file writes one, the validator sees `{name: {argument: value}}`."""

from collections.abc import Sequence
from typing import Any, get_args

from pydantic.fields import FieldInfo

from ..registry import Kind, Registry, StrictModel
from .yaml_tree import Node


def spell_out(node: Node, model: type[StrictModel], registry: Registry) -> None:
    """Write every component below `node` in full, in place.

    Args:
        node: what should become a `model`. Where it cannot, it is left for the validator to complain about.
        model: the model that tells which keys hold components.
        registry: the components that there are.
    """
    if not isinstance(node.value, dict):
        return
    for key, declared in model.model_fields.items():
        if key not in node.value:
            continue
        child = node.value[key]
        if kind := Kind.of(declared):
            _spell_out_component(child, kind, registry)
        elif kind := item_kind(declared):
            for item in child.value if isinstance(child.value, list) else ():
                _spell_out_component(item, kind, registry)
        elif below := model_of(declared):
            spell_out(child, below, registry)


def model_of(declared: FieldInfo) -> type[StrictModel] | None:
    """Return the model of the keys that a field holds, or may hold, if it does."""
    options = [declared.annotation, *get_args(declared.annotation)]
    models = [each for each in options if isinstance(each, type) and issubclass(each, StrictModel)]
    return models[0] if models else None


def item_kind(declared: FieldInfo) -> str | None:
    """Return the kind of component that a field holds a list of, if it does."""
    for item in get_args(declared.annotation):
        for mark in getattr(item, "__metadata__", ()):
            if isinstance(mark, Kind):
                return mark.name
    return None


def _spell_out_component(node: Node, kind: str, registry: Registry) -> None:
    if isinstance(node.value, str):
        node.value = {node.value: Node({}, node.place)}
    if not isinstance(node.value, dict):
        return
    for name, argument in node.value.items():
        if known := registry.types[kind].get(str(name)):
            _spell_out_arguments(argument, list(known.arguments.model_fields))
            spell_out(argument, known.arguments, registry)


def _spell_out_arguments(node: Node, names: Sequence[str]) -> None:
    if node.value is None:
        node.value = {}
    elif names and not _is_arguments(node.value, names):
        node.value = {names[0]: Node(node.value, node.place, node.key_places)}


def _is_arguments(value: Any, names: Sequence[str]) -> bool:
    """A mapping whose keys are numbers is a value of its own, such as the steps of a schedule."""
    return isinstance(value, dict) and (
        all(isinstance(key, str) for key in value) or any(key in names for key in value)
    )
