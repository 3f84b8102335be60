"""Where a value of a config stands in its source."""

from .yaml_tree import Node

Path = tuple[str | int | float, ...]


def place_of(root: Node, path: Path) -> str:
    """Return the place of the value at `path`, or of the nearest thing above it that is there."""
    return _descend(root, path).place


def place_of_key(root: Node, path: Path) -> str:
    """Return the place of the key that ends `path`, or of the nearest thing above it that is there."""
    above = _descend(root, path[:-1])
    return above.key_places.get(path[-1], above.place)


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
