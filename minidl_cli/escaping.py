"""Text from outside, made harmless: it may come from a stranger, and hold signs that a terminal takes for commands."""


def escaped(text: str) -> str:
    """Return text on one line, with every sign that cannot be printed escaped."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def shown(text: str, most: int = 60) -> str:
    """Return text as a message shows it: on one line, escaped, and not too long."""
    beginning = escaped(text[: most + 1])
    return beginning if len(beginning) <= most else f"{beginning[:most]}…"
