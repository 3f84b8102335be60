"""Tables that a trained network has not seen: reading them as it takes them, and what it says of their rows."""

import sys
import warnings
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..data.columns import NO_CLASS, Column
from ..data.dataset import encode
from ..data.tables.messages import listed, shown
from ..data.tables.reading import open_table
from ..data.tables.table_file import TableFile, Wanted
from ..errors import InputError, MinidlWarning
from ..runs.atomic import write_atomically
from .prediction import Predictor
from .samples import Samples

if TYPE_CHECKING:
    import polars as pl

Arrays = dict[str, NDArray[np.generic]]


def open_new(source: str) -> TableFile:
    """Open a table by its path, or that of standard input by `-`.

    Raises:
        InputError: the file is not there, or is no table.
    """
    if source == "-":
        return open_table(sys.stdin.buffer.read(), "standard input")
    return open_table(Path(source))


def read_inputs(predictor: Predictor, file: TableFile) -> Tensor:
    """Return the rows of a table as the network takes them, `[features, rows]`. Other columns may be there, too.

    Raises:
        InputError: a column is missing, a value is not of its column's kind, or is missing and nothing fills it.
    """
    return _encoded(predictor, file, _read(predictor, file, []))


def read_samples(predictor: Predictor, file: TableFile) -> Samples:
    """Return the rows of a table with their targets, for all rounds of the predictor.

    Raises:
        InputError: as above; or a target is missing, or is none of the classes.
    """
    columns = predictor.columns
    frame = _read(predictor, file, columns.targets)
    if columns.classes is None:
        targets = columns.numbers(frame)
        gaps = targets.isnan()
    else:
        labels = columns.labels(frame)
        gaps = (labels == NO_CLASS).unsqueeze(0)
        targets = encode(labels, predictor.network.widths[-1], predictor.target_values, predictor.dtype)
    if gaps.any():
        target, row = (int(place) for place in gaps.nonzero()[0])
        value, known = frame[columns.targets[target]][row], listed(columns.classes or ())
        missing = "there is no value, but to measure the network each row needs one"
        raise file.problem(
            row,
            columns.targets[target],
            missing if value is None else f"{shown(value)} is none of the classes that the network knows: {known}",
        )
    inputs = _encoded(predictor, file, frame)
    return Samples(inputs.unsqueeze(0), targets.to(predictor.dtype).unsqueeze(0))


def predict_table(predictor: Predictor, file: TableFile, keep: Sequence[str] = ()) -> "pl.DataFrame":
    """Return what all rounds together say of each row of a table, in its order, as `tabulate` describes it.

    Args:
        predictor: the rounds.
        file: the table.
        keep: columns of it to copy as they stand; they come first.

    Raises:
        InputError: as above; or a column to keep is missing, or has the name of a predicted one.
    """
    import polars as pl

    file.require(keep)
    predicted = tabulate(predictor, read_inputs(predictor, file))
    if clash := set(keep) & predicted.keys():
        raise file.column_problem(min(clash), "a predicted column has the same name; rename it, or do not keep it")
    kept = file.read({name: Wanted("category") for name in keep}, predictor.dtype).get_columns() if keep else []
    return pl.DataFrame([*kept, *(pl.Series(name, values) for name, values in predicted.items())])


def write_table(frame: "pl.DataFrame", path: Path) -> None:
    """Write a table as Parquet, if the path says so, or CSV.

    Raises:
        InputError: it cannot be written there.
    """
    content = BytesIO()
    frame.write_parquet(content) if path.suffix == ".parquet" else frame.write_csv(content)
    try:
        write_atomically(path, content.getvalue())
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error


def tabulate(predictor: Predictor, inputs: Tensor) -> Arrays:
    """Return what all rounds together say of each row, and how far they differ.

    Args:
        predictor: the rounds.
        inputs: `[features, rows]`, in the data's own units.

    Returns:
        Columns `[rows]` by name. Of classes: the label, under the target's name, that has the largest mean over the
        rounds; that mean for each class, `probability_<label>` (`output_<label>` where the network gives no
        probabilities); and with several rounds `disagreement`, the share of them that are for another class. Of
        numbers: for each target the mean under its name, and with several rounds their deviation, `<target>_std`.
    """
    describe = _describe_numbers if predictor.columns.classes is None else _describe_classes
    return _joined(describe(predictor, block.numpy().astype(np.float64)) for block in predictor.blocks(inputs.T))


def _read(predictor: Predictor, file: TableFile, targets: Iterable[str]) -> "pl.DataFrame":
    kinds = predictor.columns.kinds
    names = [*(column.name for column in predictor.columns.inputs), *targets]
    file.require(names)
    otherwise = "the network was trained on such values; correct it"
    wanted = {
        name: Wanted(kinds[name], f"{otherwise}, or leave it empty" if predictor.fills_gaps else otherwise)
        for name in names
    }
    return file.read(wanted, predictor.dtype)


def _encoded(predictor: Predictor, file: TableFile, frame: "pl.DataFrame") -> Tensor:
    """Return the features `[features, rows]` of a table, which is used up."""
    columns = predictor.columns
    for column in columns.inputs:
        if column.kind == "category":
            _check_categories(predictor, file, column, frame[column.name])
        gaps = frame[column.name].is_null()
        if gaps.any() and not predictor.fills_gaps:
            row = gaps.arg_true()[0]
            raise file.problem(row, column.name, "there is no value, and the network was trained to fill none")
    return columns.encode(frame, predictor.dtype)


def _check_categories(predictor: Predictor, file: TableFile, column: Column, values: "pl.Series") -> None:
    unknown = ~values.is_in(list(column.categories)) & values.is_not_null()
    if not unknown.any():
        return
    if not predictor.ignores_unknown:
        row = unknown.arg_true()[0]
        known = listed(column.categories)
        raise file.problem(row, column.name, f"{shown(values[row])} is none of the categories in training: {known}")
    found = listed(values.filter(unknown).unique(maintain_order=True).to_list())
    problem = f"{unknown.sum():,} values are none of the categories in training ({found}); they count as none at all"
    warnings.warn(str(file.column_problem(column.name, problem)), MinidlWarning, stacklevel=2)


def _describe_classes(predictor: Predictor, predictions: NDArray[np.float64]) -> Arrays:
    """Describe predictions `[rounds, rows, outputs]`."""
    labels = predictor.columns.classes
    assert labels is not None
    if predictions.shape[2] == 1:
        predictions = np.concatenate([sum(predictor.target_values) - predictions, predictions], axis=2)
    means = predictions.mean(axis=0)
    chosen = means.argmax(axis=1)
    what = "probability" if predictor.gives_probabilities else "output"
    described: Arrays = {predictor.columns.targets[0]: np.array(labels)[chosen]}
    described |= {f"{what}_{label}": means[:, place] for place, label in enumerate(labels)}
    if len(predictions) > 1:
        described["disagreement"] = (predictions.argmax(axis=2) != chosen).mean(axis=0)
    return described


def _describe_numbers(predictor: Predictor, predictions: NDArray[np.float64]) -> Arrays:
    """Describe predictions `[rounds, rows, outputs]`."""
    described: Arrays = {}
    for place, target in enumerate(predictor.columns.targets):
        values = predictions[:, :, place]
        described[target] = values.mean(axis=0)
        if len(values) > 1:
            described[f"{target}_std"] = values.std(axis=0, ddof=1)
    return described


def _joined(blocks: Iterable[Arrays]) -> Arrays:
    parts = list(blocks)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
