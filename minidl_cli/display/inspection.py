"""What is seen inside a network, for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from .tables import print_table
from .text import number, printable

# Values are printed in lines of so many signs, after a label, in columns at least so wide.
WIDTH, LABEL, NARROWEST = 80, 13, 7
# As many wrong samples are named.
MOST_NAMED = 3
# What is said of a round that did not finish.
ENDED = {"diverged": " (diverged)", "failed": " (failed: all its weights are NaN)"}

SATURATED = "saturated: slope below 1% of the steepest (relu: 0)"
DEAD = "; dead: in all samples"
OTHERS = "ratio: of the norms. As in use: no dropout, batch_norm's running statistics"


def print_inspection(inspection: Mapping[str, Any], exact: bool) -> None:
    """Print an inspection, as `training.inspection` describes it in plain data.

    Args:
        inspection: the description.
        exact: whether to print every output, and not their statistics.
    """
    ended = ENDED.get(inspection["status"], "")
    print(printable(f"seed {inspection['seed']}{ended} of {inspection['run']}, {inspection['weights']} weights"))
    print(printable(_judged(inspection)))
    (_print_values if exact else _print_statistics)(inspection)
    _print_gradients(inspection["parameters"])
    print(f"\n{SATURATED}{'' if exact else DEAD}\n{OTHERS}")


def _judged(inspection: Mapping[str, Any]) -> str:
    """Return which samples there are, and which of them are right."""
    samples, part, loss = inspection["samples"], inspection["split"], number(inspection["loss"])
    which = f"samples 0 to {samples[-1]} of {part}" if len(samples) > 1 else f"sample {samples[0]} of {part}"
    if inspection["right"] is None:
        return f"{which}: loss {loss}"
    wrong = [sample for sample, right in zip(samples, inspection["right"], strict=True) if not right]
    if len(samples) == 1:
        return f"{which}: loss {loss}, {'wrong' if wrong else 'right'}"
    more = f" and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
    named = f", wrong: {', '.join(map(str, wrong[:MOST_NAMED]))}{more}" if wrong else ""
    return f"{which}: loss {loss}, {len(samples) - len(wrong)} right{named}"


def _print_statistics(inspection: Mapping[str, Any]) -> None:
    rows = []
    for place, layer in enumerate(inspection["layers"]):
        values = [_cell(layer, name) for name in ("mean", "std", "min", "max")]
        shares = [_cell(layer, name, "{:.0%}") for name in ("saturated", "dead")]
        rows.append([f"{place} {layer['layer']}", str(layer["outputs"]), *values, *shares])
    _print_fitting(["layer", "outputs", "mean", "std", "min", "max", "saturated", "dead"], rows)


def _print_values(inspection: Mapping[str, Any]) -> None:
    print()
    for name in ("inputs", "targets", "prediction"):
        _print_folded(name, inspection[name][0])
    for place, layer in enumerate(inspection["layers"]):
        share = layer.get("saturated")
        saturated = "" if share is None else f", {share:.0%} saturated"
        print(f"\n{place} {layer['layer']}, {layer['outputs']} output{'s' * (layer['outputs'] > 1)}{saturated}")
        _print_folded("y", inspection["outputs"][str(place)][0])
        _print_folded("dL/dy", inspection["output_gradients"][str(place)][0])


def _print_folded(label: str, values: Sequence[float]) -> None:
    """Print numbers in lines that fit a terminal, each after the place of its first where there are several."""
    cells = [number(value + 0.0) for value in values]  # -0 + 0 is 0
    width, places = max(NARROWEST, *map(len, cells)), len(str(len(cells)))
    size = (WIDTH - LABEL - places) // (width + 1)
    for first in range(0, len(cells), size):
        place = first if len(cells) > size else ""
        line = "".join(f" {cell:>{width}}" for cell in cells[first : first + size])
        print(f"  {'' if first else label:<{LABEL - 2}}{place:>{places}}{line}")


def _print_gradients(parameters: Mapping[str, Mapping[str, Any]]) -> None:
    print()
    rows = []
    for name, sizes in parameters.items():
        values = ("gradient_norm", "gradient_mean", "gradient_max", "norm", "ratio")
        rows.append([name, " x ".join(map(str, sizes["shape"])), *(_cell(sizes, value) for value in values)])
    _print_fitting(["gradient of", "shape", "norm", "mean |g|", "max |g|", "parameter's norm", "ratio"], rows)


def _print_fitting(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with columns two spaces apart, or one where that is too wide for a terminal."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    print_table(headings, rows, gap=2 if sum(widths) + 2 * (len(widths) - 1) <= WIDTH else 1)


def _cell(values: Mapping[str, Any], name: str, form: str = "") -> str:
    """Return a number for a table: empty where there is none."""
    if name not in values:
        return ""
    return form.format(values[name]) if form else number(values[name])
