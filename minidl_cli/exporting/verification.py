"""Whether an ONNX model predicts what minidl predicts, as onnxruntime computes it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from .onnx_model import INPUTS, PREDICTION, category_inputs
from .trained import TrainedRound

SAMPLES = 100

# How many of a column's values are missing, where missing ones are filled.
SHARE_MISSING = 0.1

# Stands for what is none of a column's categories.
UNKNOWN = "a category that no table has"

# As onnxruntime counts how serious a message is.
ERROR = 3

# Returns what minidl predicts, `[samples, outputs]`, for features `[samples, features]` in their own units.
Predict = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Examples:
    """The same made-up samples for minidl and for onnxruntime.

    Attributes:
        features: as a network takes them, `[samples, features]`.
        feed: as a model takes them, its inputs by name.
    """

    features: Tensor
    feed: dict[str, NDArray[Any]]


def session(model: bytes) -> onnxruntime.InferenceSession:
    """Return what runs a model, on one thread."""
    onnxruntime.set_default_logger_severity(ERROR)  # it warns of graphics cards that it does not find
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def largest_difference(model: bytes, trained: TrainedRound, predict: Predict) -> float:
    """Return by how much the predictions of a model differ from minidl's at most, on made-up samples.

    A difference is relative to the largest prediction of its output, or to the unit of what the network learned where
    that is larger: 1, or the deviation that the targets were scaled by. So it is the difference itself for
    probabilities, and does not grow with the numbers that the targets are measured in.

    Args:
        model: the ONNX model.
        trained: the round that it was made of.
        predict: what minidl predicts.

    Returns:
        The difference; infinity where one of the two predicts no number and the other does.
    """
    examples = make_examples(trained)
    expected = predict(examples.features).double()
    found = torch.from_numpy(session(model).run([PREDICTION], examples.feed)[0]).double()
    same = (found == expected) | (found.isnan() & expected.isnan())
    unit = 1 / trained.scaling.get("targets.scale", torch.tensor(1.0)).double()
    largest = expected.nan_to_num(0, 0, 0).abs().amax(dim=0).maximum(unit)
    differences = torch.where(same, 0, (found - expected).abs() / largest)
    return float(differences.nan_to_num(torch.inf).max())


def make_examples(trained: TrainedRound) -> Examples:
    """Draw samples around the centres of the training samples; some values are missing, where these are filled."""
    numbers, scaling = Generator().manual_seed(0), trained.scaling
    has_missing = "inputs.fill" in scaling
    around, names = iter(_around_centers(trained, numbers)), category_inputs(trained.columns)
    features, plain, feed = [], [], {}
    for column in trained.columns.inputs:
        values = torch.stack(list(islice(around, len(column.features))), dim=1)
        if column.kind == "category":
            texts, values = _texts(column.categories, has_missing, numbers)
            feed[names[column.name]] = texts
        else:
            is_missing = torch.rand(SAMPLES, 1, generator=numbers) < SHARE_MISSING
            values = values.where(~is_missing, torch.nan) if has_missing else values
            plain.append(values)
        features.append(values.to(trained.dtype))
    if plain:
        feed[INPUTS] = torch.cat(plain, dim=1).numpy()
    return Examples(torch.cat(features, dim=1), feed)


def _around_centers(trained: TrainedRound, numbers: Generator) -> Tensor:
    """Return normally distributed values, `[features, samples]`: as they come, or as the training samples' were."""
    values = torch.randn(trained.widths[0], SAMPLES, dtype=trained.dtype, generator=numbers)
    if "inputs.scale" not in trained.scaling:
        return values
    scale = trained.scaling["inputs.scale"].unsqueeze(1)
    return trained.scaling["inputs.center"].unsqueeze(1) + torch.where(scale == 0, 0, values / scale)


def _texts(categories: tuple[str, ...], has_missing: bool, numbers: Generator) -> tuple[NDArray[Any], Tensor]:
    """Return texts `[samples, 1]`, unknown and missing ones among them, and their features `[samples, categories]`."""
    choices = [*categories, UNKNOWN, *([""] if has_missing and "" not in categories else [])]
    chosen = torch.randint(len(choices), (SAMPLES, 1), generator=numbers)
    features = (chosen == torch.arange(len(categories))).double()
    is_missing = chosen > len(categories)
    return np.array(choices, dtype=object)[chosen.numpy()], features.where(~is_missing, torch.nan)
