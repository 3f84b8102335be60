"""A trained round in plain PyTorch: its weights, and a program that uses them."""

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from ..data.columns import Column
from ..reference.torch_modules import LAYERS, module
from .trained import TrainedRound

PROGRAM_FILE = "network.py"
# The files that it loads; they lie beside it.
WEIGHTS_FILE, SCALING_FILE = "network.safetensors", "scaling.safetensors"

LONGEST_LINE = 100

# How a program names PyTorch's function of each link; that of `identity` is left out.
LINK_CALLS = {"identity": "", "sigmoid": ".sigmoid()", "softmax": ".softmax(dim=1)"}

# What a program needs where a table has categories.
ENCODE = '''

def encode(rows: list[dict]) -> Tensor:
    """Return the features `[samples, features]` of rows of a table; None stands for a missing value."""

    def feature(cell, category):
        if cell is None:
            return float("nan")
        return cell if category is None else cell == category

    cells = [[feature(row[column], category) for column, category in FEATURES] for row in rows]
    return torch.tensor(cells, dtype=torch.float64)
'''


def state_dict(trained: TrainedRound) -> dict[str, Tensor]:
    """Return parameters and buffers as the program's `nn.Sequential` loads them, strictly.

    They have minidl's names, such as `0.weight`. What only PyTorch has, batch_norm's count of batches, is 0: it plays
    no part in predictions.

    Raises:
        InputError: a layer has no counterpart in PyTorch.
    """
    _check_layers(trained)
    counterparts = module(trained.config, trained.widths[0]).state_dict()
    return {name: trained.state.get(name, torch.zeros_like(each)) for name, each in counterparts.items()}


def program(trained: TrainedRound) -> str:
    """Return a Python program that builds the network, loads its weights, and predicts.

    Raises:
        InputError: a layer has no counterpart in PyTorch, or the loss cannot be exported.
    """
    _check_layers(trained)
    parts = [_head(trained), _network(trained), _predict(trained)]
    parts += [ENCODE] if _has_categories(trained) else []
    parts += [_labels(trained)] if trained.columns.classes is not None else []
    parts += [_main(trained)]
    return "".join(parts)


def _check_layers(trained: TrainedRound) -> None:
    for place, layer in enumerate(trained.config.model):
        if layer.name not in LAYERS:
            problem = f"{layer.name} cannot be exported: minidl knows no counterpart of it in PyTorch"
            raise trained.config.error(("model", place), problem)


def _has_categories(trained: TrainedRound) -> bool:
    return any(column.kind == "category" for column in trained.columns.inputs)


def _head(trained: TrainedRound) -> str:
    columns = trained.columns
    facts = [_features(columns.inputs), _list("TARGETS", columns.targets)]
    facts += [] if columns.classes is None else [_list("CLASSES", columns.classes)]
    return f'''\
"""A trained network in plain PyTorch: `python {PROGRAM_FILE}` shows it, and what it predicts for an example."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

FOLDER = Path(__file__).parent

{"".join(facts)}'''


def _features(columns: Sequence[Column]) -> str:
    """Return the lines that say what the network takes."""
    kinds = {column.kind for column in columns}
    note = "# What the network takes."
    note += " A date is the days since 1970-01-01." if "date" in kinds else ""
    note += " A boolean is 0 or 1." if "boolean" in kinds else ""
    if "category" not in kinds:
        return f"{note}\n" + _list("FEATURES", [column.name for column in columns])
    note += "\n# A category has a feature for each of its values: 1 where the column has it, 0 elsewhere."
    return f"{note}\n" + _list("FEATURES", [(column.name, each) for column in columns for each in _values(column)])


def _values(column: Column) -> Sequence[str | None]:
    return column.categories if column.kind == "category" else [None]


def _list(name: str, values: Iterable[Any]) -> str:
    """Return an assignment of a list: a line, or if that is too long, one for each value."""
    line = f"{name} = {list(values)!r}\n"
    if len(line) <= LONGEST_LINE:
        return line
    return f"{name} = [\n" + "".join(f"    {each!r},\n" for each in values) + "]\n"


def _network(trained: TrainedRound) -> str:
    layers = "".join(f"    nn.{_call(each)},\n" for each in module(trained.config, trained.widths[0]))
    double = ".double()" if trained.dtype == torch.float64 else ""
    scaling = f'scaling = load_file(FOLDER / "{SCALING_FILE}")\n' if trained.scaling else ""
    return f"""
network = nn.Sequential(
{layers}){double}
network.load_state_dict(load_file(FOLDER / "{WEIGHTS_FILE}"), strict=True)
network.eval()
{scaling}"""


def _call(counterpart: object) -> str:
    """Return the call that makes a module of PyTorch: its repr."""
    call = repr(counterpart)
    # Versions before 2.13 know no `bias` of a normalization; weight and bias come with `affine`.
    return call if call.startswith("Linear(") else re.sub(r", bias=(True|False)", "", call)


def _predict(trained: TrainedRound) -> str:
    steps = [f"x = x.to({trained.dtype})"]
    if "inputs.fill" in trained.scaling:
        steps.append('x = torch.where(x.isnan(), scaling["inputs.fill"], x)')
    if "inputs.scale" in trained.scaling:
        steps.append('x = (x - scaling["inputs.center"]) * scaling["inputs.scale"]')
    result = f"network(x){trained.link(LINK_CALLS)}"
    if "targets.scale" in trained.scaling:
        result = f'{result} / scaling["targets.scale"] + scaling["targets.center"]'
    body = "".join(f"    {step}\n" for step in [*steps, f"return {result}"])
    return f'''

@torch.no_grad()
def predict(x: Tensor) -> Tensor:
    """Return the predictions `[samples, outputs]` for features `[samples, features]` in their own units."""
{body}'''


def _labels(trained: TrainedRound) -> str:
    places = "prediction.argmax(dim=1)" if trained.widths[-1] > 1 else f"(prediction[:, 0] > {trained.middle}).int()"
    return f'''

def labels(prediction: Tensor) -> list:
    """Return the class of each row of predictions."""
    return [CLASSES[place] for place in {places}]
'''


def _main(trained: TrainedRound) -> str:
    labels = '\n    print("label:", *labels(prediction))' if trained.columns.classes is not None else ""
    return f"""

if __name__ == "__main__":
    print(network)
    prediction = predict({_example(trained)})
    print("prediction:", *prediction.tolist()){labels}
"""


def _example(trained: TrainedRound) -> str:
    """Return an expression for the features of one sample: the centres where the run has them."""
    has_centers = "inputs.center" in trained.scaling
    if _has_categories(trained):
        return f"encode([{_example_row(trained)!r}])"
    return 'scaling["inputs.center"].unsqueeze(0)' if has_centers else f"torch.zeros(1, {trained.widths[0]})"


def _example_row(trained: TrainedRound) -> dict[str, Any]:
    """Return a row of a table: centres, in a few digits, and first categories."""
    centers = trained.scaling.get("inputs.center", torch.zeros(trained.widths[0]))
    numbers = iter(centers.nan_to_num(0, 0, 0).tolist())  # a damaged run's may be no numbers
    row: dict[str, Any] = {}
    for column in trained.columns.inputs:
        center, *_ = islice(numbers, len(column.features))
        row[column.name] = column.categories[0] if column.kind == "category" else float(f"{center:.4g}")
    return row
