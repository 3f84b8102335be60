"""Report D: initial values, shuffled and not."""

from collections.abc import Mapping
from typing import Any

from minidl_cli.comparison import Comparison, paired
from minidl_cli.sweeps.contrast import Side

from .album import Album
from .markdown import HELD_AGAINST, Check, Goal, Section, equivalence, held_against, listed, stacked, table
from .results import Result, Results, final

MARGIN = 0.01  # of accuracy: less does not matter


def section(results: Results, reported: Mapping[str, Any], goals: Mapping[str, Any], album: Album) -> Section:
    values, said = results["d_initial_values"], reported["test_accuracy"]
    inits = list(dict.fromkeys(side.label.rpartition(", ")[0] for side in values.sides))
    shuffled = {init: values[f"{init}, shuffled"] for init in inits}
    blocks = {
        "d.table": _table(values, said),
        "d.figures": stacked(
            album.add(shuffled[inits[0]].run.path / "data.png", "d_data", "The two sets of a round"),
            album.add(values.path / "predictions.png", "d_predictions", "Right and wrong predictions"),
        ),
        "d.checks": listed(
            _cannot_tell(shuffled, said),
            *(_shuffling(shuffled[init], values[f"{init}, not shuffled"], init) for init in inits),
            _labels(*results["d_labels"].sides),
        ),
    }
    reached = [
        Goal.near(f"D, {init}, test accuracy", asked, final(shuffled[init], "test_accuracy"))
        for init, asked in goals.items()
    ]
    return Section(blocks, reached)


def _table(values: Result, said: float) -> str:
    rows = []
    for side in values.sides:
        success = values.target(side.label)["success"]
        low, high = success["ci95"]
        reached = f"{success['successes']} of {success['n']} (share: {low:.2f} to {high:.2f})"
        rows.append([*held_against(side.label, said, final(side, "test_accuracy")), reached])
    target = values.target(values.sides[0].label)["success"]["target"]
    return table([*HELD_AGAINST, f"rounds that reach {target:.0%}"], rows)


def _cannot_tell(shuffled: Mapping[str, Side], said: float) -> Check:
    fitting = [init for init, side in shuffled.items() if final(side, "test_accuracy").contains(said)]
    return Check(
        f"Which of its initial values gave the {said:.0%} cannot be told, for both do; PyTorch's own do not.",
        fitting == ["Xavier", "N(0, 1)"],
        f"{said:g} lies inside the spread of {' and '.join(fitting) or 'none'}",
    )


def _shuffling(shuffled: Side, as_they_are: Side, init: str) -> Check:
    claim = f"With {init} initial values it does not matter whether batches are shuffled."
    return equivalence(claim, _paired(shuffled, as_they_are).as_dict(), ("shuffled", "not shuffled"))


def _labels(outside: Side, inside: Side) -> Check:
    claim = "Nor does it matter which side of the circle is called 1, of which the report says both."
    return equivalence(claim, _paired(outside, inside).as_dict(), ("1 outside", "1 inside"))


def _paired(a: Side, b: Side) -> Comparison:
    """Compare the rounds of the same seeds, which have the same points and initial values."""
    values = [{row.seed: row.metrics["test_accuracy"] for row in side.finished} for side in (a, b)]
    seeds = [seed for seed in values[0] if seed in values[1]]
    return paired([values[0][seed] for seed in seeds], [values[1][seed] for seed in seeds], MARGIN)
