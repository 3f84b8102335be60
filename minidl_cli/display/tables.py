"""Tables for the terminal."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..escaping import escaped
from ..metrics import METRICS, title
from .text import number, printable, readable

# Of longer lists only the first are named.
MOST_NAMED = 10


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, gap: int = 2) -> None:
    """Print a table to standard output.

    Args:
        headings: the columns' names.
        rows: the cells.
        left: how many columns, from the first on, are text and stand to the left; the others stand to the right.
        gap: the spaces between columns.
    """
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for index, heading in enumerate(headings):
        justify = "left" if index < left else "right"
        table.add_column(Text(heading), justify=justify, overflow="fold", no_wrap=index == 0, header_style="bold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    _console().print(table)


def _console() -> Console:
    """Standard output: a terminal's width is kept to; a file or a pipe has none."""
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=1000)


def print_final(final: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the statistics of all metrics: the values where there is one round, their spread where there are more."""
    losses = [name for name in final if name.endswith("_loss")]
    if all(final[name] == final.get(name.replace("_loss", "_mse")) for name in losses):
        # The loss is the mean squared error, which has rows of its own.
        final = {name: summary for name, summary in final.items() if name not in losses}
    if not final:
        return
    single = all(summary["n"] == 1 for summary in final.values())
    (_print_values if single else _print_spread)(final)


def _print_values(final: Mapping[str, Mapping[str, Any]]) -> None:
    parts = list(dict.fromkeys(name.partition("_")[0] for name in final))
    metrics = list(dict.fromkeys(name.partition("_")[2] for name in final))
    rows = [[part, *(number(final[f"{part}_{metric}"]["mean"]) for metric in metrics)] for part in parts]
    print_table(["", *(METRICS[metric].title for metric in metrics)], rows)


def _print_spread(final: Mapping[str, Mapping[str, Any]]) -> None:
    headings = ["", "mean", "std", "CV", "95% interval", "median", "min", "max"]
    rows = []
    for name, summary in final.items():
        low, high = summary.get("ci95", (None, None))
        values = [number(summary.get(key)) for key in ("mean", "std")]
        cells = [number(summary.get("cv")), f"{number(low)}–{number(high)}"]
        cells += [number(summary.get(key)) for key in ("median", "min", "max")]
        rows.append([title(name), *values, *cells])
    for column in ("CV", "median"):
        if _width([headings, *rows]) > _console().width:
            # Large numbers take more room than a terminal has: these tell least.
            place = headings.index(column)
            headings, *rows = ([*row[:place], *row[place + 1 :]] for row in [headings, *rows])
    print_table(headings, rows)


def _width(rows: Sequence[Sequence[str]], gap: int = 2) -> int:
    """Return how wide a table is."""
    return sum(max(map(len, column)) + gap for column in zip(*rows, strict=True)) - gap


def print_targets(targets: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Print how many rounds reached which target, and how soon, as `sweeps.targets` describes it."""
    for metric, found in targets.items():
        reached, epochs = found["success"], found["epochs"]
        low, high = reached["ci95"]
        soon = f"; half of all got there by epoch {epochs['median']:g}" if "median" in epochs else ""
        print(
            f"\n{title(metric)} {reached['target']:g}: {reached['successes']} of {reached['n']} rounds end there "
            f"(95% interval {low:.2f}–{high:.2f}), {epochs['reached']} got there once{soon}"
        )


def print_rounds(rounds: Mapping[str, Any]) -> None:
    """Print how many rounds finished, and which did not."""
    planned = rounds["planned"]
    print(f"\n{rounds['finished']} of {planned} round{'s' * (planned != 1)} finished")
    print_missing(rounds)


def print_missing(rounds: Mapping[str, Any], of: str = "") -> None:
    """Print what `missing_rounds` says, in lines that fit a terminal."""
    for said in missing_rounds(rounds, of):
        print(textwrap.fill(printable(said), 79, subsequent_indent="  "))


def missing_rounds(rounds: Mapping[str, Any], of: str = "") -> list[str]:
    """Say which rounds have no result: of those that diverged, and of those that failed for one reason, one line each.

    Args:
        rounds: what `summary.json` has under this name: `diverged_seeds`, `failed_seeds`, and where it is known why
            those failed, `failures`. Each may be left out.
        of: what is said after the seeds, such as ` of relu`.
    """
    said = []
    if diverged := rounds.get("diverged_seeds"):
        said.append(_ended("diverged", diverged, of))
    reasons = {seed: each["reason"] for each in rounds.get("failures", []) for seed in each["seeds"]}
    failed: dict[str, list[int]] = {}
    for seed in rounds.get("failed_seeds", []):
        failed.setdefault(reasons.get(seed, ""), []).append(seed)
    said += [_ended("failed", seeds, of, reason) for reason, seeds in failed.items()]
    return said


def _ended(how: str, seeds: Sequence[int], of: str, reason: str = "") -> str:
    """Say which rounds ended in this way, at most `MOST_NAMED` by name."""
    more = f" and {len(seeds) - MOST_NAMED} more" if len(seeds) > MOST_NAMED else ""
    s, named = "s" * (len(seeds) > 1), ", ".join(map(str, seeds[:MOST_NAMED]))
    return f"{len(seeds)} round{s} {how}: seed{s} {named}{more}{of}" + (f": {reason}" if reason else "")


def print_runs(runs: Sequence[Mapping[str, Any]]) -> None:
    """Print a list of runs, as `runs.listing` describes them."""
    rows = []
    for run in runs:
        rounds, final = run["rounds"] or {}, run["final"]
        counted = f"{rounds['finished']}/{rounds['planned']}" if rounds else run["status"]
        failed = f", {rounds['failed']} failed" if rounds.get("failed") else ""
        values = [_mean_and_deviation(final.get(name, {})) for name in ("test_accuracy", "test_mse")]
        made = run["made"].replace("T", " ")[5:16]
        variants = f" ({run['variants']} variants)" if run["variants"] else ""
        rows.append([escaped(run["id"]), escaped(run["config"]) + variants, counted + failed, *values, made])
    print_table(["run", "config", "rounds", "accuracy", "MSE", "made"], rows, left=2, gap=1)
    for run in runs:
        if run["problem"]:
            print(escaped(f"broken: {run['problem']}"))


def print_components(kinds: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Print all components by kind, as `Registry.describe` gives them."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for kind, components in kinds.items():
        console.print(Text(f"{kind}", style="bold"))
        for name, component in components.items():
            arguments = [_argument(key, about) for key, about in component["arguments"].items()]
            written = f"{name}: {{{', '.join(arguments)}}}" if arguments else name
            console.print(f"  {written}\n      {component['summary']}")


def _argument(name: str, about: Mapping[str, Any]) -> str:
    return name if "default" not in about else f"{name}: {brief(about['default'])}"


def print_outline(outline: Mapping[str, Any]) -> None:
    """Print the layers of a config and the memory that its rounds take, as `sweeps.outline` describes them."""
    _console().print(printable(f"data: {brief(_said(outline['data']))}"))
    _console().print(f"parts: {', '.join(f'{name} {size:,}' for name, size in outline['parts'].items())}")
    _console().print(printable(f"predicts: {_predicted(**outline['predicts'])}\n"))
    rows = [["", "inputs", str(outline["inputs"]), ""]]
    for index, layer in enumerate(outline["layers"]):
        shapes = " + ".join(" x ".join(map(str, shape)) for shape in layer["parameters"].values())
        count = f"{layer['count']:,} ({shapes})" if shapes else ""
        rows.append([str(index), layer["layer"], str(layer["outputs"]), count])
    print_table(["", "layer", "outputs", "parameters"], rows, left=2)
    memory, rounds = outline["memory"], outline["rounds"]
    _console().print(printable(f"\nloss: {brief(outline['loss'])}"))
    _console().print(printable(f"optimizer: {brief(outline['optimizer'])}"))
    _console().print(printable(f"schedule: {brief(outline['schedule'])}"))
    _console().print(f"parameters: {outline['parameters']:,} in each round")
    _console().print(printable(f"steps: {outline['steps']}"))
    _console().print(
        f"memory: about {readable(memory['total'])} for {rounds} round{'s' * (rounds > 1)}, in {memory['workers']} "
        f"process{'es' * (memory['workers'] > 1)} with stacks of {memory['rounds_per_stack']}"
    )
    parts = [f"{name} {readable(memory[name])}" for name in ("vectors", "activations", "samples", "checkpoint")]
    _console().print(f"        ({', '.join(parts)},")
    _console().print(
        f"        drawing and judging samples {readable(memory['ends'])}; PyTorch itself takes about 0.3 GB"
    )
    _console().print("        for each process)")
    if labels := outline["variants"]:
        _console().print(printable(f"variants: {len(labels)}, each with all rounds: {'; '.join(labels)}"))


def _said(component: Any) -> Any:
    """Return a component without the arguments that are null, or empty: they say nothing."""
    if not isinstance(component, Mapping):
        return component
    ((name, arguments),) = component.items()
    return {name: {key: value for key, value in arguments.items() if value not in (None, [], ())}}


def _predicted(targets: Sequence[str], classes: Sequence[Any] = ()) -> str:
    if not classes:
        return f"{', '.join(targets)} (numbers)" if len(targets) > 1 else f"{targets[0]} (a number)"
    named = ", ".join(map(str, classes[:MOST_NAMED])) + (", …" if len(classes) > MOST_NAMED else "")
    return f"{targets[0]} ({len(classes)} classes: {named})"


def brief(value: Any) -> str:
    """Return plain data as YAML in flow style would show it."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {brief(each)}" for key, each in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(brief, value))}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def print_gradient_check(comparisons: Sequence[Mapping[str, Any]]) -> None:
    """Print the deviations of derived gradients from their yardsticks, as `reference.gradient_check` finds them."""
    rows = [
        [
            each["part"],
            each["by"],
            f"{each['differences']} of {each['size']}",
            f"{each['difference_error']:.1e}",
            f"{each['autograd_error']:.1e}",
            "" if each["passed"] else "wrong",
        ]
        for each in comparisons
    ]
    print_table(["derivative of", "by", "checked", "differences", "autograd", ""], rows, left=2)


def _mean_and_deviation(summary: Mapping[str, Any]) -> str:
    if "mean" not in summary:
        return ""
    size = abs(summary["mean"])
    form = ".3f" if size == 0 or 1e-3 <= size < 100 else ".1f" if 100 <= size < 1e5 else ".1e"
    return "±".join(format(summary[key], form) for key in ("mean", "std") if key in summary)
