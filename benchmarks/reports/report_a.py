"""Report A: a hundred rounds here and in PyTorch."""

from collections.abc import Mapping
from typing import Any

from scipy.special import fdtri

from minidl_cli.display.text import duration
from minidl_cli.sweeps.contrast import Side, contrast

from .album import Album
from .markdown import Check, Goal, Section, agrees, listed, sentence, table
from .results import Results, Spread, final, over_epochs

NAMES = {"train_mse": "train MSE", "test_accuracy": "test accuracy"}


def section(results: Results, reported: Mapping[str, Any], goals: Mapping[str, Any], album: Album) -> Section:
    both, long, long_torch = (results[name] for name in ("a_100_epochs", "a_1000_epochs", "a_1000_epochs_torch"))
    short_sides, long_sides = (both["minidl"], both["torch"]), (long.only, long_torch.only)
    compared = contrast(long_sides)["comparisons"]
    return Section(
        {
            "a.table": "\n\n".join(_table(sides, reported) for sides in (short_sides, long_sides)),
            "a.figures": "\n\n".join(
                [
                    album.add(both.path / "all_rounds.png", "a_all_rounds", "Loss and accuracy of all rounds of both"),
                    album.add(both.path / "clusters.png", "a_clusters", "Final loss against accuracy, both frameworks"),
                ]
            ),
            "a.checks": listed(
                [
                    _which_table(reported["own"]["train_mse"]["mean"], both["minidl"], long.only),
                    *(_equivalent(both.comparison("torch", metric), epochs=100) for metric in NAMES),
                    _equivalent(next(each for each in compared if each["metric"] == "test_accuracy"), epochs=1000),
                    _spreads(reported, *short_sides),
                ]
            ),
        },
        [
            *(
                Goal.near(f"A, 100 epochs, {name}", goals["100 epochs"][metric], final(both["minidl"], metric))
                for metric, name in NAMES.items()
            ),
            Goal.near(
                "A, 1,000 epochs, test accuracy", goals["1000 epochs"]["test_accuracy"], final(long.only, "test_accuracy")
            ),
        ],
    )


def _table(sides: tuple[Side, Side], reported: Mapping[str, Any]) -> str:
    minidl, torch = sides
    found = {
        "train MSE, over the last epoch's batches": ("train_mse", [_last_epoch(side) for side in sides]),
        "train MSE, on the whole set": (None, [final(side, "train_mse") for side in sides]),
        "test accuracy": ("test_accuracy", [final(side, "test_accuracy") for side in sides]),
    }
    rows = []
    for name, (metric, spreads) in found.items():
        said = [reported[framework].get(metric) for framework in ("own", "torch")]
        cells = [_cells(each, spread) for each, spread in zip(said, spreads, strict=True)]
        rows.append([name, *cells[0], *cells[1]])
        variations = [(f"{each['cv']:g}" if each else "", f"{spread.std / spread.mean:.3f}", "") for each, spread in
                      zip(said, spreads, strict=True)]
        rows.append(["its CV", *variations[0], *variations[1]])
    rows.append(["time, all rounds", "", duration(minidl.seconds), "", "", duration(torch.seconds), ""])
    headings = [f"{minidl.config.training.epochs:,} epochs", "report: own"]
    headings += [f"minidl, {len(minidl.finished)} rounds", "agree", "report: PyTorch"]
    return table([*headings, f"PyTorch, {len(torch.finished)} rounds", "agree"], rows)


def _cells(said: Mapping[str, float] | None, found: Spread) -> list[str]:
    if said is None:
        return ["", str(found), ""]
    return [f"{said['mean']:g} ± {said['std']:g}", str(found), agrees(said["mean"], found)]


def _last_epoch(side: Side) -> Spread:
    return Spread(over_epochs(side, "train_mse")[:, -1])


def _which_table(reported: float, short: Side, long: Side) -> Check:
    after_short, after_long = _last_epoch(short), _last_epoch(long)
    return Check(
        f"The report's table is that of 100 epochs, not of the 1,000 in its text: its train MSE of {reported:g} lies "
        "inside the spread after 100, and outside of it after 1,000.",
        after_short.contains(reported) and not after_long.contains(reported),
        f"{after_short} and {after_long}",
    )


def _equivalent(comparison: Mapping[str, Any], epochs: int) -> Check:
    equivalence = comparison.get("equivalence", {})
    return Check(
        f"minidl and PyTorch train the same network: after {epochs:,} epochs their {NAMES[comparison['metric']]} is "
        "equivalent.",
        comparison["identical"] or equivalence.get("equivalent", False),
        sentence(comparison["conclusion"]),
    )


def _spreads(reported: Mapping[str, Any], minidl: Side, torch: Side) -> Check:
    """Hold the ratio of the reported deviations against what two samples of one distribution give (F test)."""
    own, other = (reported[framework]["test_accuracy"]["std"] for framework in ("own", "torch"))
    degrees = len(minidl.finished) - 1
    chance = float(fdtri(degrees, degrees, 0.975)) ** 0.5
    here = final(torch, "test_accuracy").std / final(minidl, "test_accuracy").std
    return Check(
        f"That its own rounds spread a little less than PyTorch's ({own:g} against {other:g} in test accuracy) is, as "
        "it suspects itself, insignificant.",
        1 / chance < other / own < chance,
        f"the ratio is {other / own:.2f}, and {here:.2f} in ours; two samples of {degrees + 1} rounds have a ratio "
        f"between {1 / chance:.2f} and {chance:.2f} in 95% of cases even if nothing differs",
    )
