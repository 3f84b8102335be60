"""The page: the prose of page.md, with what the sections give in the places of its `{{ name }}`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from minidl_cli.display.text import duration
from minidl_cli.training.build import build

from . import report_a, report_b, report_c, report_d, report_e
from .album import Album
from .experiments import EXPERIMENTS
from .markdown import Goal, table
from .results import Results

HERE = Path(__file__).parent
PROSE = HERE / "page.md"
PLACE = re.compile(r"\{\{ ([\w.]+) \}\}")

SECTIONS = {"a": report_a, "b": report_b, "c": report_c, "d": report_d, "e": report_e}


def write_page(page: Path, results: Results, drafts: Path) -> None:
    """Write the page, and its figures beside it.

    Args:
        page: the file to write.
        results: what the experiments gave, all of them.
        drafts: a folder for figures that no run folder has.
    """
    page.parent.mkdir(parents=True, exist_ok=True)
    album = Album(page, drafts)
    reported = yaml.safe_load((HERE / "reported.yaml").read_text(encoding="utf-8"))
    goals = reported["goals"]
    blocks, reached = _task(results), []
    for letter, module in SECTIONS.items():
        section = module.section(results, reported[letter], goals.get(letter, {}), album)
        blocks |= section.blocks
        blocks[f"{letter}.commands"] = _commands(letter.upper())
        reached += section.goals
    reached.append(_budget(results, goals["minutes"]))
    blocks |= {"goals": _goals(reached), "times": _times(results), "machine": _machine(results)}
    page.write_text(fill(PROSE.read_text(encoding="utf-8"), blocks), encoding="utf-8")


def fill(prose: str, blocks: Mapping[str, str]) -> str:
    """Return the prose with every block in its place.

    Raises:
        ValueError: a place has no block, or a block no place.
    """
    places = set(PLACE.findall(prose))
    if places != blocks.keys():
        raise ValueError(f"only in page.md or only in the sections: {sorted(places ^ blocks.keys())}")
    return PLACE.sub(lambda place: blocks[place[1]], prose)


def _commands(report: str) -> str:
    lines = [experiment.command for experiment in EXPERIMENTS if experiment.report == report]
    return "\n".join(["```sh", *lines, "```"])


def _task(results: Results) -> dict[str, str]:
    """Return how large a share of a round's training points is inside the disc, as far as the rounds of A tell."""
    side = results["a_1000_epochs"].only
    samples = build(side.config).samples([row.seed for row in side.rows])["train"]
    shares = samples.targets[:, 1].mean(dim=1)
    return {"share": f"{float(shares.mean()):.3f}", "share.rounds": f"{len(shares)}"}


def _goals(goals: Sequence[Goal]) -> str:
    rows = [[goal.name, goal.asked, goal.found, "yes" if goal.reached else "**no**"] for goal in goals]
    return table(["what", "asked", "found", "reached"], rows)


def _without_torch(results: Results) -> dict[str, float]:
    """Return for each experiment the seconds that it took, but for the training of PyTorch's rounds."""
    return {name: result.wall - result.torch_seconds for name, result in results.items()}


def _budget(results: Results, minutes: float) -> Goal:
    taken = sum(_without_torch(results).values())
    return Goal("everything, PyTorch's rounds aside", f"{minutes:g} min", duration(taken), taken <= 60 * minutes)


def _times(results: Results) -> str:
    ours = _without_torch(results)
    rows = []
    for name, result in results.items():
        rounds = {"minidl": 0, "torch": 0}
        for side in result.sides:
            rounds[side.config.framework] += len(side.rows)
        epochs = f"{result.sides[0].config.training.epochs:,}"
        torch = [str(rounds["torch"]), duration(result.torch_seconds)] if rounds["torch"] else ["", ""]
        rows.append([name, epochs, str(rounds["minidl"] or ""), duration(ours[name]), *torch])
    all_torch = sum(result.torch_seconds for result in results.values())
    rows.append(["all", "", "", duration(sum(ours.values())), "", duration(all_torch)])
    return table(["config", "epochs", "rounds of minidl", "time", "rounds of PyTorch", "their time"], rows)


def _machine(results: Results) -> str:
    """Return what the runs were made on, as their folders have it."""
    found = results["a_1000_epochs"].only.run.environment()
    threads = found["threads_per_worker"]
    return (
        f"{found['cores']} cores ({found['cpu']}), {found['workers']} workers of {threads} "
        f"thread{'s' * (threads > 1)} each, PyTorch {found['packages']['torch']}, Python {found['python']}"
    )
