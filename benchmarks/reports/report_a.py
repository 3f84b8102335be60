"""Report A: a hundred rounds here and in PyTorch."""

from collections.abc import Mapping
from typing import Any

from scipy.special import fdtri

from minidl_cli.display.text import duration
from minidl_cli.sweeps.contrast import Side, contrast

from .album import Album
from .markdown import Check, Goal, Section, agrees, equivalence, listed, stacked, table
from .results import Results, Spread, final, over_epochs

NAMES = {"train_mse": "train MSE", "test_accuracy": "test accuracy"}


def section(results: Results, reported: Mapping[str, Any], goals: Mapping[str, Any], album: Album) -> Section:
    both, long, long_torch = (results[name] for name in ("a_100_epochs", "a_1000_epochs", "a_1000_epochs_torch"))
    short_sides, long_sides = (both["minidl"], both["torch"]), (long.only, long_torch.only)
    blocks = {
        "a.table": stacked(_table(short_sides, reported), _table(long_sides, reported)),
        "a.figures": stacked(
            album.add(both.path / "all_rounds.png", "a_all_rounds", "Loss and accuracy of all rounds of both"),
            album.add(both.path / "clusters.png", "a_clusters", "Final loss against accuracy, both frameworks"),
        ),
        "a.checks": listed(
            _which_table(reported["own"]["train_mse"]["mean"], both["minidl"], long.only),
            *(_equivalent(short_sides, metric) for metric in NAMES),
            *(_equivalent(long_sides, metric) for metric in NAMES),
            _spreads(reported, *short_sides),
        ),
    }
    ours = {"100 epochs": both["minidl"], "1,000 epochs": long.only}
    reached = [
        Goal.near(f"A, {epochs}, {NAMES[metric]}", asked, final(ours[epochs], metric))
        for epochs, metrics in goals.items()
        for metric, asked in metrics.items()
    ]
    return Section(blocks, reached)


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
        pairs = list(zip(said, spreads, strict=True))
        rows.append([name, *(cell for each, spread in pairs for cell in _cells(each, spread))])
        rows.append(["its CV", *(cell for each, spread in pairs for cell in _variation(each, spread))])
    rows.append(["time, all rounds", "", duration(minidl.seconds), "", "", duration(torch.seconds), ""])
    headings = [f"{_epochs(minidl)} epochs", "report: own"]
    headings += [f"minidl, {len(minidl.finished)} rounds", "agree", "report: PyTorch"]
    return table([*headings, f"PyTorch, {len(torch.finished)} rounds", "agree"], rows)


def _cells(said: Mapping[str, float] | None, found: Spread) -> list[str]:
    if said is None:
        return ["", str(found), ""]
    return [f"{said['mean']:g} ± {said['std']:g}", str(found), agrees(said["mean"], found)]


def _variation(said: Mapping[str, float] | None, found: Spread) -> list[str]:
    return [f"{said['cv']:g}" if said else "", f"{found.std / found.mean:.3g}", ""]


def _last_epoch(side: Side) -> Spread:
    return Spread(over_epochs(side, "train_mse")[:, -1])


def _which_table(reported: float, short: Side, long: Side) -> Check:
    after_short, after_long = _last_epoch(short), _last_epoch(long)
    return Check(
        f"The report's table is that of {_epochs(short)} epochs, not of the {_epochs(long)} in its text: its train MSE "
        f"of {reported:g} lies inside the spread after {_epochs(short)}, and outside of it after {_epochs(long)}.",
        after_short.contains(reported) and not after_long.contains(reported),
        f"{after_short} and {after_long}",
    )


def _equivalent(sides: tuple[Side, Side], metric: str) -> Check:
    (found,) = [each for each in contrast(sides)["comparisons"] if each["metric"] == metric]
    claim = f"After {_epochs(sides[0])} epochs minidl and PyTorch are equivalent in {NAMES[metric]}."
    return equivalence(claim, found, ("minidl", "PyTorch"))


def _epochs(side: Side) -> str:
    return f"{side.config.training.epochs:,}"


def _spreads(reported: Mapping[str, Any], minidl: Side, torch: Side) -> Check:
    """Hold the ratio of the reported deviations against what two samples of one distribution give (F test)."""
    own, other = (reported[framework]["test_accuracy"]["std"] for framework in ("own", "torch"))
    rounds = reported["rounds"]
    chance = float(fdtri(rounds - 1, rounds - 1, 0.975)) ** 0.5
    here = final(torch, "test_accuracy").std / final(minidl, "test_accuracy").std
    return Check(
        f"That its own rounds spread a little less than PyTorch's ({own:g} against {other:g} in test accuracy) is, as "
        "it suspects itself, insignificant.",
        1 / chance < other / own < chance,
        f"the ratio is {other / own:.2f}, and {here:.2f} in ours; two samples of {rounds} rounds have a ratio "
        f"between {1 / chance:.2f} and {chance:.2f} in 95% of cases even if nothing differs",
    )
