"""The parts that sections are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .results import Spread


@dataclass(frozen=True)
class Check:
    """A statement that the numbers decide on.

    Attributes:
        claim: the statement, as a sentence.
        holds: whether it is true of our rounds.
        found: the numbers.
    """

    claim: str
    holds: bool
    found: str

    def __str__(self) -> str:
        return f"- {self.claim} **{'Holds' if self.holds else 'Does not hold'}**: {self.found}."


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
        rounds: how many rounds each of them is the mean of is told by the run folders, not here.
    """

    blocks: dict[str, str]
    goals: list[Goal] = field(default_factory=list)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def listed(checks: Sequence[Check]) -> str:
    return "\n".join(map(str, checks))


def agrees(reported: float | None, found: Spread) -> str:
    """Say whether a reported figure lies inside the spread over rounds."""
    if reported is None:
        return ""
    return "yes" if found.contains(reported) else "**no**"


def held_against(name: str, reported: float, found: Spread) -> list[str]:
    """Return a row: the reported figure, ours, and whether they agree."""
    return [name, f"{reported:g}", str(found), agrees(reported, found)]


HELD_AGAINST = ["", "reported", "minidl", "agree"]


def sentence(conclusion: str) -> str:
    """Return a conclusion of minidl's with PyTorch's proper name."""
    return conclusion.replace("torch", "PyTorch")
