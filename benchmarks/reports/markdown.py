"""The parts that sections are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minidl_cli.comparison import SIGNIFICANCE

from .results import Spread


@dataclass(frozen=True)
class Check:
    """A statement that the numbers decide on.

    Attributes:
        claim: the statement, as a sentence.
        holds: whether it is true of our rounds.
        found: the numbers.
        otherwise: what to say where it is not true.
    """

    claim: str
    holds: bool
    found: str
    otherwise: str = "Does not hold"

    def __str__(self) -> str:
        return f"- **{'Holds' if self.holds else self.otherwise}.** {self.claim} *{_capital(self.found)}.*"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class Goal:
    """What was to be reached."""

    name: str
    asked: str
    found: str
    reached: bool

    @classmethod
    def near(cls, name: str, asked: dict[str, float], found: Spread) -> "Goal":
        """A mean over rounds that should be `asked["mean"]`, give or take `asked["within"]`."""
        reached = abs(found.mean - asked["mean"]) <= asked["within"]
        return cls(name, f"{asked['mean']:g} ± {asked['within']:g}", f"{found.mean:.4f}", reached)


@dataclass(frozen=True)
class Section:
    """What is said about one report.

    Attributes:
        blocks: the Markdown that takes the places of the page's `{{ name }}`, by name.
        goals: what was to be reached.
    """

    blocks: dict[str, str]
    goals: list[Goal]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def listed(*checks: Check) -> str:
    return "\n".join(map(str, checks))


def stacked(*parts: str) -> str:
    """Return tables or figures one below the other."""
    return "\n\n".join(parts)


def agrees(reported: float | None, found: Spread) -> str:
    """Say whether a reported figure lies inside the spread over rounds."""
    if reported is None:
        return ""
    return "yes" if found.contains(reported) else "**no**"


def held_against(name: str, reported: float, found: Spread) -> list[str]:
    """Return a row: the reported figure, ours, and whether they agree."""
    return [name, f"{reported:g}", str(found), agrees(reported, found)]


HELD_AGAINST = ["", "reported", "minidl", "agree"]


def equivalence(claim: str, comparison: Mapping[str, Any], names: tuple[str, str]) -> Check:
    """Return the check that A and B are equivalent.

    Args:
        claim: that, as a sentence.
        comparison: how they compare, with a margin.
        names: what A and B are called.
    """
    test = comparison.get("equivalence", {})
    shown = comparison["identical"] or test.get("equivalent", False)
    otherwise = "Does not hold" if comparison.get("p", 1.0) < SIGNIFICANCE else "Not shown"
    return Check(claim, shown, _difference(comparison, names), otherwise)


def _difference(comparison: Mapping[str, Any], names: tuple[str, str]) -> str:
    pairs = f"{comparison['n_a']} pairs"
    if comparison["identical"]:
        return f"all {pairs} are identical"
    test = comparison.get("equivalence", {})
    said = f"{names[1]} minus {names[0]} is {comparison['difference']:.2g} on average"
    interval = f", 90% interval {test['ci90'][0]:.2g} to {test['ci90'][1]:.2g}" if "ci90" in test else ""
    inside = "inside" if test.get("equivalent") else "not inside"
    margin = f", {inside} the margin of ±{test['margin']:.2g}" if test else ""
    return f"{said} ({pairs}{interval}){margin}"
