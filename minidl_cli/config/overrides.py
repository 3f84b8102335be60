"""Values that replace those of a file: `-s optimizer.sgd.lr=0.1`, `--vary training.batch_size=10,20`."""

from ..errors import InputError
from ..escaping import shown
from .yaml_tree import MAX_DIGITS, MAX_LEVELS, Key, Node, read_value


def override(root: Node, setting: str) -> None:
    """Set one value of a config, in place. The config's components must be spelled out.

    Args:
        root: the config.
        setting: `key.key.key=VALUE`, where an item of a list is named by its number from 0, and VALUE is YAML.

    Raises:
        InputError: the setting cannot be read, or leads through something that has no keys.
    """
    place = f"-s {shown(setting, most=100)}"
    dotted, equals, text = setting.partition("=")
    if not equals or not all(dotted.split(".")):
        raise InputError(f"{place}: write KEY=VALUE, such as training.epochs=10")
    assign(root, dotted, read_value(text, place), place)


def vary(root: Node, setting: str) -> None:
    """Add the values of one key to a config's `sweep.vary`, in place, or replace those that it has there.

    Args:
        root: the config.
        setting: `key.key.key=VALUE,VALUE`, where each VALUE is YAML.

    Raises:
        InputError: the setting cannot be read, or the config has no place for it.
    """
    place = f"--vary {shown(setting, most=100)}"
    dotted, equals, text = setting.partition("=")
    if not equals or not all(dotted.split(".")) or not text.strip():
        raise InputError(f"{place}: write KEY=A,B, such as training.batch_size=10,20")
    node = _descend(_descend(root, "sweep", place), "vary", place)
    if node.key_places.get(dotted, "").startswith("--vary "):
        raise InputError(f"{place}: {shown(dotted)} is varied twice; give all of its values at once")
    _set(node, dotted, read_value(f"[{text}]", place), place)


def assign(root: Node, dotted: str, value: Node, place: str) -> None:
    """Set one value of a config, in place. The config's components must be spelled out.

    Args:
        root: the config.
        dotted: `key.key.key`, where an item of a list is named by its number from 0.
        value: what to set.
        place: what messages begin with.

    Raises:
        InputError: the key is none, or leads through something that has no keys.
    """
    *way, last = dotted.split(".")
    if not all([*way, last]):
        raise InputError(f"{place}: '{shown(dotted)}' is no key; write one such as training.epochs")
    if len(way) >= MAX_LEVELS:
        raise InputError(f"{place}: more than {MAX_LEVELS} levels of nesting; use fewer")
    node = root
    for step in way:
        node = _descend(node, step, place)
    _set(node, last, value, place)


def _descend(node: Node, step: str, place: str) -> Node:
    if isinstance(node.value, list):
        return node.value[_index(node.value, step, place)]
    if not isinstance(node.value, dict) or _key(node.value, step) not in node.value:
        _set(node, step, Node({}, place), place)
    assert isinstance(node.value, dict)
    return node.value[_key(node.value, step)]


def _set(node: Node, step: str, value: Node, place: str) -> None:
    if node.value is None:
        node.value = {}
    if isinstance(node.value, list):
        node.value[_index(node.value, step, place)] = value
    elif isinstance(node.value, dict):
        key = _key(node.value, step)
        node.value[key] = value
        node.key_places[key] = place
    else:
        raise InputError(f"{place}: there is nothing below a single value, so '{shown(step)}' leads nowhere")


def _key(mapping: dict[Key, Node], step: str) -> Key:
    new = int(step) if _is_number(step) else step
    return next((key for key in mapping if str(key) == step), new)


def _index(items: list[Node], step: str, place: str) -> int:
    if _is_number(step) and int(step) < len(items):
        return int(step)
    there = f"its items are 0 to {len(items) - 1}" if items else "it is empty"
    raise InputError(f"{place}: '{shown(step)}' is no item of this list; {there}")


def _is_number(step: str) -> bool:
    return step.isascii() and step.isdecimal() and len(step) <= MAX_DIGITS
