"""Tables that a trained network has not seen: reading them as it takes them, and what it says of their rows."""

import sys
import warnings
from collections.abc import Container, Iterable, Sequence
from contextlib import nullcontext
from io import BytesIO
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..atomic import write_where_told
from ..config.load import open_without_waiting
from ..data.columns import NO_CLASS, Column, written
from ..data.dataset import encode
from ..data.tables.messages import listed, path_shown, shown
from ..data.tables.preparing import check_size
from ..data.tables.reading import open_table
from ..data.tables.table_file import TableFile, Wanted
from ..display.text import readable
from ..errors import InputError, MinidlWarning
from ..runs.environment import physical_memory
from .prediction import Predictor
from .samples import Samples

if TYPE_CHECKING:
    import polars as pl

Arrays = dict[str, NDArray[np.generic]]


def open_new(source: str, predictor: Predictor) -> TableFile:
    """Open a table by its path, or that of standard input by `-`: as the config says that its tables are written.

    Raises:
        InputError: the file is not there, or is no table.
    """
    if source != "-" and not _is_pipe(source):
        return open_table(Path(source), None, *predictor.dataset.marks)
    return open_table(_drained(source), "standard input" if source == "-" else source, *predictor.dataset.marks)


def _is_pipe(source: str) -> bool:
    try:
        return Path(source).is_fifo()
    except OSError:  # whoever opens it says why
        return False


def _drained(source: str) -> bytes:
    """Return the content of what can be read only once: a pipe, or standard input by `-`."""
    if source == "-" and sys.stdin is None:
        raise InputError("standard input: is closed; name a file with --data")
    name, most = "standard input" if source == "-" else source, physical_memory() // 8  # its values take as much again
    try:
        with nullcontext(sys.stdin.buffer) if source == "-" else open_without_waiting(Path(source)) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from error
    if len(content) > most:
        raise InputError(f"{name}: has more than {readable(most)}, which may not fit in memory; write it to a file")
    return content


def read_inputs(predictor: Predictor, file: TableFile) -> Tensor:
    """Return the rows of a table as the network takes them, `[features, rows]`. Other columns may be there, too.

    Raises:
        InputError: a column is missing, a value is not of its column's kind, or is missing and nothing fills it.
    """
    return _encoded(predictor, file, _read(predictor, file, []))


def read_samples(predictor: Predictor, file: TableFile) -> Samples:
    """Return the rows of a table with their targets, for all rounds of the predictor.

    Raises:
        InputError: as above; or a target is missing, or is none of the classes, or too large a number.
    """
    columns = predictor.columns
    frame = _read(predictor, file, columns.targets)
    if columns.classes is None:
        targets = columns.numbers(frame)
        gaps = targets.isnan()
    else:
        labels = columns.labels(frame)
        gaps = (labels == NO_CLASS).unsqueeze(0)
        targets = encode(labels, predictor.network.widths[-1], predictor.dataset.target_values, predictor.dtype)
    if gaps.any():
        target, row = (int(place) for place in gaps.nonzero()[0])
        value, known = frame[columns.targets[target]][row], listed(columns.classes or ())
        missing = "there is no value, but to measure the network each row needs one"
        raise file.problem(
            row,
            columns.targets[target],
            missing if value is None else f"{shown(value)} is none of the classes that the network knows: {known}",
        )
    if columns.classes is None:
        for name, numbers in zip(columns.targets, targets, strict=True):
            check_size(file, name, numbers, predictor.dtype)
    inputs = _encoded(predictor, file, frame)
    return Samples(inputs.unsqueeze(0), targets.to(predictor.dtype).unsqueeze(0))


def predict_table(predictor: Predictor, file: TableFile, keep: Sequence[str] = ()) -> "pl.DataFrame":
    """Return what all rounds together say of each row of a table, in its order, as `tabulate` describes it.

    Rows in which every field is empty, such as blank lines, are left out.

    Args:
        predictor: the rounds.
        file: the table.
        keep: columns of it to copy as they are read: without white space around text, and empty for `NA` and the like;
            they come first.

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
    """Write a table as Parquet, if the path says so, or CSV. A link, a pipe or a device stays what it is.

    Raises:
        InputError: it cannot be written there.
    """
    content = BytesIO()
    frame.write_parquet(content) if path.suffix.lower() == ".parquet" else frame.write_csv(content)
    try:
        if path.is_dir():
            raise InputError(f"{path_shown(path)}: is a folder; name a file in it with -o")
        write_where_told(path, content.getvalue())
    except OSError as error:
        raise InputError(f"{path_shown(path)}: cannot be written: {error.strerror or error}") from error


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
        Where a target has one of the other names itself, that column has a number, such as `<target>_std_2`.
    """
    describe = _describe_numbers if predictor.columns.classes is None else _describe_classes
    return _joined(describe(predictor, block.numpy().astype(np.float64)) for block in predictor.blocks(inputs.T))


def _read(predictor: Predictor, file: TableFile, targets: Sequence[str]) -> "pl.DataFrame":
    kinds = predictor.columns.kinds
    names = [*(column.name for column in predictor.columns.inputs), *targets]
    file.require(names)
    advice = "the network takes nothing else here; correct it"
    if predictor.fills_gaps:
        advice += ", or leave it empty"
    wanted = {name: Wanted(kinds[name], advice, is_exact=name in targets) for name in names}
    return file.read(wanted, predictor.dtype)


def _encoded(predictor: Predictor, file: TableFile, frame: "pl.DataFrame") -> Tensor:
    """Return the features `[features, rows]` of a table, which is used up."""
    columns = predictor.columns
    for column in columns.inputs:
        values = frame[column.name]
        if column.kind == "category":
            _check_categories(predictor, file, column, values)
        if column.kind == "number" and (row := values.is_infinite().index_of(True)) is not None:
            largest = f"{torch.finfo(predictor.dtype).max:.1g}"
            raise file.problem(row, column.name, f"the number is infinite, or beyond {largest}; correct it")
        if values.null_count() and not predictor.fills_gaps:
            row = values.is_null().arg_true()[0]
            problem = "there is no value, and the network has learned none to fill in"
            raise file.problem(row, column.name, f"{problem}; write one, or train with missing: mean")
    return columns.encode(frame, predictor.dtype)


def _check_categories(predictor: Predictor, file: TableFile, column: Column, values: "pl.Series") -> None:
    unknown = ~values.is_in(list(column.categories)) & values.is_not_null()
    if not unknown.any():
        return
    if not predictor.dataset.ignores_unknown:
        row = unknown.arg_true()[0]
        known = listed(column.categories)
        raise file.problem(row, column.name, f"{shown(values[row])} is none of the categories in training: {known}")
    found = listed(values.filter(unknown).unique(maintain_order=True).to_list())
    number = int(unknown.sum())
    values_are, they_count = ("value is", "it counts") if number == 1 else ("values are", "they count")
    problem = f"{number:,} {values_are} none of the categories in training ({found}); {they_count} as none at all"
    warnings.warn(str(file.column_problem(column.name, problem)), MinidlWarning, stacklevel=2)


def _describe_classes(predictor: Predictor, predictions: NDArray[np.float64]) -> Arrays:
    """Describe predictions `[rounds, rows, outputs]`."""
    labels = predictor.columns.classes
    assert labels is not None
    if predictions.shape[2] == 1:
        predictions = np.concatenate([sum(predictor.dataset.target_values) - predictions, predictions], axis=2)
    means = predictions.mean(axis=0)
    chosen = means.argmax(axis=1)
    what = "probability" if predictor.gives_probabilities else "output"
    described: Arrays = {predictor.columns.targets[0]: np.array(labels)[chosen]}
    for place, label in enumerate(labels):
        described[_unused(f"{what}_{written(label)}", described)] = _digits(means[:, place], predictor)
    if len(predictions) > 1:
        described[_unused("disagreement", described)] = (predictions.argmax(axis=2) != chosen).mean(axis=0)
    return described


def _describe_numbers(predictor: Predictor, predictions: NDArray[np.float64]) -> Arrays:
    """Describe predictions `[rounds, rows, outputs]`."""
    described: Arrays = {}
    for place, target in enumerate(predictor.columns.targets):
        values = predictions[:, :, place]
        described[target] = _digits(values.mean(axis=0), predictor)
        if len(values) > 1:
            name = _unused(f"{target}_std", [*predictor.columns.targets, *described])
            described[name] = _digits(values.std(axis=0, ddof=1), predictor)
    return described


def _digits(values: NDArray[np.float64], predictor: Predictor) -> NDArray[np.float64]:
    """Return numbers rounded to the digits that the network has: others would mean nothing."""
    import polars as pl

    written = pl.Series(values.astype(predictor.config.training.dtype)).cast(pl.String)
    return written.cast(pl.Float64).to_numpy()


def _unused(name: str, used: Container[str]) -> str:
    """Return a column's name, or where another has it, the name with a number."""
    numbered = (f"{name}_{number}" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in used)


def _joined(blocks: Iterable[Arrays]) -> Arrays:
    parts = list(blocks)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
