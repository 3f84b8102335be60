"""Runs side by side, as tables and sentences: for the terminal, and as Markdown."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..metrics import title
from .tables import brief, missing_rounds, print_missing, print_table
from .text import duration, number, printable


@dataclass(frozen=True)
class _Table:
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def print_contrast(document: Mapping[str, Any]) -> None:
    """Print what `sweeps.contrast` found out: tables, then sentences; of three runs and more only on one metric."""
    for table in _tables(document):
        print_table(table.headings, table.rows)
        print()
    for comparison in document["comparisons"]:
        if len(document["variants"]) == 2 or comparison["metric"] == document["headline"]:
            _print_sentence(comparison["conclusion"])
    for pair in document["incomparable"]:
        _print_sentence(pair["conclusion"])
    for each in document["variants"]:
        print_missing(each["rounds"], of=f" of {each['label']}")


def _print_sentence(said: str) -> None:
    print(textwrap.fill(printable(said), 79, initial_indent="- ", subsequent_indent="  "))


def contrast_markdown(document: Mapping[str, Any]) -> str:
    """Return the same as Markdown."""
    tables = [_markdown(table) for table in _tables(document)]
    said = [each["conclusion"] for each in [*document["comparisons"], *document["incomparable"]]]
    said += [line for each in document["variants"] for line in missing_rounds(each["rounds"], f" of {each['label']}")]
    return "\n".join([*tables, *(f"- {_escaped(printable(each))}" for each in said), ""])


def print_differences(document: Mapping[str, Any]) -> None:
    """Print in which keys the configs of the runs differ."""
    rows = [
        [key if number == 0 else "", label, brief(value)]
        for key, values in document["differences"].items()
        for number, (label, value) in enumerate(values.items())
    ]
    if rows:
        print_table(["what differs", "in", "is"], rows, left=3)
        print()
    else:
        print("the configs are the same\n")


def _tables(document: Mapping[str, Any]) -> list[_Table]:
    variants, headline = document["variants"], document["headline"]
    targets = list(dict.fromkeys(metric for each in variants for metric in each.get("targets", {})))
    return [_final(variants, headline), _middle(variants, headline), *(_target(variants, metric) for metric in targets)]


def _final(variants: Sequence[Mapping[str, Any]], headline: str) -> _Table:
    shown = ("train_mse", headline)
    headings = ["", "rounds", *(heading for metric in shown for heading in (title(metric), "CV")), "time"]
    rows = []
    for each in variants:
        counts = each["rounds"]
        cells = [each["label"], f"{counts['finished']}/{counts['planned']}"]
        for metric in shown:
            found = each["final"].get(metric, {})
            cells += [_mean_and_deviation(found), f"{found['cv']:.3f}" if "cv" in found else "-"]
        rows.append([*cells, duration(each["seconds"])])
    return _Table(headings, rows)


def _middle(variants: Sequence[Mapping[str, Any]], headline: str) -> _Table:
    rows = []
    for each in variants:
        found = each["final"].get(headline, {})
        rows.append(
            [each["label"], number(found.get("median")), number(found.get("iqm")), _interval(found, "iqm_ci95")]
        )
    return _Table([title(headline), "median", "middle half's mean", "95% interval"], rows)


def _target(variants: Sequence[Mapping[str, Any]], metric: str) -> _Table:
    rows = []
    for each in variants:
        found = each.get("targets", {}).get(metric)
        if found:
            ends, epochs = found["success"], found["epochs"]
            share = f"{ends['successes']} of {ends['n']}"
            rows.append([each["label"], f"{ends['target']:g}", share, _interval(ends, "ci95"), _epochs(epochs)])
    return _Table(["", title(metric), "end there", "95% interval", "first at epoch (quartiles)"], rows)


def _epochs(found: Mapping[str, Any]) -> str:
    median, low, high = (f"{found[key]:g}" if key in found else "never" for key in ("median", "q1", "q3"))
    return f"{median} ({low}–{high})"


def _mean_and_deviation(found: Mapping[str, Any]) -> str:
    if "mean" not in found:
        return "-"
    return number(found["mean"]) + (f" ± {number(found['std'])}" if "std" in found else "")


def _interval(found: Mapping[str, Any], key: str) -> str:
    return "-" if key not in found else f"{number(found[key][0])}–{number(found[key][1])}"


def _markdown(table: _Table) -> str:
    lines = [table.headings, ["---"] + ["---:"] * (len(table.headings) - 1), *table.rows]
    return "\n".join(f"| {' | '.join(_escaped(printable(cell)) for cell in line)} |" for line in lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
