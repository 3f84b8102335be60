"""Text and numbers as a terminal shows them."""

from math import log10

from ..escaping import escaped


def printable(text: str) -> str:
    """Return text with everything but plain characters and line ends escaped: it may come from a stranger."""
    return "\n".join(map(escaped, text.split("\n")))


def number(value: float | None) -> str:
    """Return a number for a table: fixed decimals where they show something, fewer of large ones; else an exponent."""
    if value is None:
        return "-"
    size = abs(value)
    if size == 0 or 1e-3 <= size < 100:
        return f"{value:.4f}"
    if 100 <= size < 1e6:
        return f"{value:,.{max(0, 4 - int(log10(size)))}f}"
    return f"{value:.2e}"


def duration(seconds: float) -> str:
    """Return a time as a person would say it: 0.8 s, 12 s, 3:05 min, 2:10 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"


def readable(size: int) -> str:
    """Return a number of bytes in a unit that suits it, such as `3.4 MB`."""
    value, units = float(size), iter(["B", "kB", "MB", "GB", "TB", "PB"])
    unit = next(units)
    for larger in units:
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
