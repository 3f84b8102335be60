"""Report D: initial values, shuffled and not."""

from collections.abc import Mapping
from typing import Any

from minidl_cli.comparison import conclusion, paired

from .album import Album
from .markdown import HELD_AGAINST, Check, Goal, Section, held_against, listed, table
from .results import Result, Results, final

MARGIN = 0.01  # of accuracy: less does not matter


def section(results: Results, reported: Mapping[str, Any], goals: Mapping[str, Any], album: Album) -> Section:
    values, labels = results["d_initial_values"], results["d_labels"]
    said = reported["test_accuracy"]
    inits = list(dict.fromkeys(side.label.rpartition(", ")[0] for side in values.sides))
    return Section(
        {
            "d.table": _table(values, said),
            "d.figures": "\n\n".join(
                [
                    album.add(values[f"{inits[0]}, shuffled"].run.path / "data.png", "d_data", "The two sets of a round"),
                    album.add(values.path / "predictions.png", "d_predictions", "Right and wrong predictions"),
                ]
            ),
            "d.checks": listed(
                [
                    _cannot_tell(values, said),
                    *(_shuffling(values, init) for init in inits),
                    _labels(labels),
                ]
            ),
        },
        [
            Goal.near(f"D, {init}, test accuracy", asked, final(values[f"{init}, shuffled"], "test_accuracy"))
            for init, asked in goals.items()
        ],
    )


def _table(values: Result, said: float) -> str:
    rows = []
    for side in values.sides:
        success = values.target(side.label)["success"]
        low, high = success["ci95"]
        reached = f"{success['successes']} of {success['n']} (share: {low:.2f} to {high:.2f})"
        rows.append([*held_against(side.label, said, final(side, "test_accuracy")), reached])
    target = values.target(values.sides[0].label)["success"]["target"]
    return table([*HELD_AGAINST, f"rounds that reach {target:.0%}"], rows)


def _cannot_tell(values: Result, said: float) -> Check:
    fitting = [init for init in ("Xavier", "N(0, 1)", "PyTorch's") if _fits(values, init, said)]
    return Check(
        f"Which initial values gave the {said:.0%} cannot be told: both of the report's own do.",
        {"Xavier", "N(0, 1)"} <= set(fitting),
        f"{said:g} lies inside the spread of {' and '.join(fitting) or 'none'}",
    )


def _fits(values: Result, init: str, said: float) -> bool:
    return final(values[f"{init}, shuffled"], "test_accuracy").contains(said)


def _shuffling(values: Result, init: str) -> Check:
    sides = [values[f"{init}, {kind}"] for kind in ("shuffled", "not shuffled")]
    partners = [{row.seed: row.metrics["test_accuracy"] for row in side.finished} for side in sides]
    seeds = [seed for seed in partners[0] if seed in partners[1]]
    found = paired(*([each[seed] for seed in seeds] for each in partners), MARGIN)
    names = ("shuffled", "not shuffled")
    return Check(
        f"With {init} initial values it makes no difference whether batches are shuffled.",
        found.identical or bool(found.equivalence and found.equivalence.equivalent),
        conclusion(found, names, "test_accuracy", higher_is_better=True),
    )


def _labels(labels: Result) -> Check:
    (comparison,) = [each for each in labels.document["comparisons"] if each["metric"] == "test_accuracy"]
    return Check(
        "It does not matter which side of the circle is called 1, of which the report says both.",
        comparison.get("equivalence", {}).get("equivalent", False),
        comparison["conclusion"].replace("inside_label=", "label inside "),
    )
