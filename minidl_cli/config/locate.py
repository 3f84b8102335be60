"""Where a value of a config stands in its source."""

from ..escaping import shown
from .yaml_tree import Node

Path = tuple[str | int | float, ...]


def dotted(path: Path) -> str:
    """Return a path as messages and overrides write it, such as `model.0.linear`."""
    return ".".join(shown(str(step)) for step in path)


def place_of(root: Node, path: Path) -> str:
    """Return the place of the value at `path`, or of the nearest thing above it that is there."""
    return _descend(root, path).place


def place_of_key(root: Node, path: Path) -> str:
    """Return the place of the key that ends `path`, or of the nearest thing above it that is there."""
    above = _descend(root, path[:-1])
    return above.key_places.get(path[-1], above.place)


def existing(root: Node, path: Path) -> Path:
    """Return `path` without the steps that lead nowhere, and with its keys as the config has them."""
    node, steps = root, []
    for step in path:
        key = _own_key(node, step)
        if key is not None:
            node = _descend(node, (key,))
            steps.append(key)
    return tuple(steps)


def _own_key(node: Node, step: str | float) -> str | float | None:
    if isinstance(node.value, list):
        return step if isinstance(step, int) and step < len(node.value) else None
    keys = node.value if isinstance(node.value, dict) else {}
    return step if step in keys else next((key for key in keys if str(key) == step), None)


def _descend(node: Node, path: Path) -> Node:
    for step in path:
        below = node.value
        if isinstance(below, dict) and step in below:
            node = below[step]
        elif isinstance(below, list) and isinstance(step, int) and step < len(below):
            node = below[step]
        else:
            break
    return node
