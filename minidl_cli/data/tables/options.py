"""How a table may be read, as a config says it."""

from typing import Literal

Separator = Literal[",", ";", "\t", "|"]
Decimal = Literal[".", ","]
Task = Literal["classification", "regression"]
# What becomes of a row that lacks a value: it is an error, it is left out, or the gap stays (NaN) to be filled.
Gaps = Literal["error", "drop", "keep"]
