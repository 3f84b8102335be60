"""Names and values from a file, as messages show them."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from ... import escaping

# The signs of a name that are compared with others, which takes a time that grows with their square.
_MOST_COMPARED = 200


def shown(value: object, most: int = 60) -> str:
    """Return a name or value from a file as a message shows it: in quotes, on one line, escaped, and not too long."""
    return f"'{escaping.shown(str(value), most)}'"


def path_shown(path: Path) -> str:
    """Return the path of a file as a message begins with it: on one line, and escaped."""
    return escaping.shown(str(path), most=1000)


def listed(values: Sequence[object], most: int = 10) -> str:
    """Return names or values as a message lists them, the first ones if they are many."""
    rest = f" and {len(values) - most:,} more" if len(values) > most else ""
    return ", ".join(shown(each) for each in values[:most]) + rest


def suggestion(name: str, known: Sequence[str]) -> str:
    """Return what a message says after a name that is none of those known: the nearest one, or what there is."""
    by_lower_case = {each.lower(): each for each in reversed(known)}
    near = get_close_matches(name.lower()[:_MOST_COMPARED], by_lower_case, n=1)
    return f"did you mean {shown(by_lower_case[near[0]])}?" if near else f"there are {listed(known)}"
