"""What predictions are worth, as tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from ..metrics import METRICS
from .tables import print_table
from .text import number, printable

MOST_ROWS = 100  # of classes
MOST_COLUMNS = 10  # of a confusion matrix in a terminal

_WIDTH, _LABEL, _GAP = 80, 16, 2  # signs: a terminal, the label of a row, and between columns


def print_report(part: str, report: Mapping[str, Any]) -> None:
    """Print a part's report, as `training.report` has it: its metrics, then each class or target, then the confusion.

    Several rounds have a mean and a deviation. Labels are cut to fit into 80 columns, and a confusion matrix that does
    not fit is left out.
    """
    if not report:
        return
    averaged = ", macro" if "classes" in report else ", mean" if "targets" in report else ""
    print()
    _print_metrics(part + averaged, report["metrics"])
    if "classes" in report:
        _print_classes(report["classes"])
    if "targets" in report:
        _print_each("target", report["targets"])
    if "confusion" in report:
        _print_confusion(list(report["classes"]), report["confusion"])


def _print_metrics(heading: str, metrics: Mapping[str, Mapping[str, Any]]) -> None:
    if all(summary["n"] <= 1 for summary in metrics.values()):
        headings = ["", *(METRICS[name].title for name in metrics)]
        print_table(headings, [[heading, *(number(summary.get("mean")) for summary in metrics.values())]])
        return
    rows = []
    for name, summary in metrics.items():
        low, high = summary.get("ci95", (None, None))
        mean, std, *others = (number(summary.get(key)) for key in ("mean", "std", "median", "min", "max"))
        rows.append([METRICS[name].title, mean, std, f"{number(low)}–{number(high)}", *others])
    print_table([heading, "mean", "std", "95% interval", "median", "min", "max"], rows)


def _print_classes(classes: Mapping[str, Mapping[str, Any]]) -> None:
    shown = dict(list(classes.items())[:MOST_ROWS])
    _print_each("class", shown)
    if len(classes) > len(shown):
        print(f"and {len(classes) - len(shown):,} more classes")


def _print_each(kind: str, described: Mapping[str, Mapping[str, Any]]) -> None:
    """Print a row for each class or target, by label."""
    names = list(dict.fromkeys(name for metrics in described.values() for name in metrics))
    headings = [kind, *(METRICS[name].title if name in METRICS else name for name in names)]
    rows = [
        [_cut(label, _LABEL), *(_with_deviation(name, metrics.get(name, {})) for name in names)]
        for label, metrics in described.items()
    ]
    print()
    print_table(headings, rows, gap=_GAP)


def _print_confusion(labels: Sequence[str], confusion: Mapping[str, Sequence[Sequence[float]]]) -> None:
    """Print the mean numbers of samples of each class (rows) that are taken for which (columns)."""
    whole = "std" not in confusion
    rows = [[_count(value, whole=whole) for value in row] for row in confusion["mean"]]
    room = (_WIDTH - _LABEL) // len(labels) - _GAP
    if len(labels) > MOST_COLUMNS or max(len(cell) for row in rows for cell in row) > room:
        return
    print()
    print_table(
        ["true \\ predicted", *(_cut(label, room) for label in labels)],
        [[_cut(label, _LABEL), *row] for label, row in zip(labels, rows, strict=True)],
        gap=_GAP,
    )


def _with_deviation(name: str, summary: int | Mapping[str, Any]) -> str:
    if isinstance(summary, int):
        return str(summary)
    if "mean" not in summary:
        return "-"
    if name == "samples":
        return _count(summary["mean"], whole=False)
    return number(summary["mean"]) + (f" ± {number(summary['std'])}" if "std" in summary else "")


def _count(mean: float, *, whole: bool) -> str:
    """A mean number of samples, with a decimal where it need not be whole, unless that is little of it."""
    return f"{mean:.{0 if whole or mean >= 1000 else 1}f}"


def _cut(label: str, width: int) -> str:
    """A label in one line of at most so many signs, without any that a terminal takes for a command."""
    text = Text(printable(label).replace("\n", "\\n"))
    text.truncate(width, overflow="ellipsis")
    return text.plain
