"""What is fitted to the training rows of a round: scales, what fills gaps, class weights."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..columns import Column

Numeric = Literal["standardize", "min_max", "none"]
# How gaps are filled: a number is a constant.
Filling = Literal["mean", "median", "most_frequent"] | float

# Sums are taken in blocks so small that PyTorch never divides them among threads, of which there may be more or fewer.
_BLOCK = 16_384

_UNSCALABLE = "has numbers too far apart or too close together to be scaled; multiply them by a constant"
_NOTHING = "has no values in the training rows, so there is nothing to fill its gaps with; leave it out of features"


def fit_column(
    column: Column,
    features: Tensor,
    rows: Tensor,
    numeric: Numeric,
    filling: Filling | None,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """Return what is fitted to a column's training rows, `[features]` each, float64.

    Numbers and dates are scaled as they are once gaps are filled: `standardize` gives them mean 0 and deviation 1 (that
    of a whole population, divided by n), `min_max` the range from 0 to 1. The scale of a constant is 0. Booleans and
    categories are not scaled, but the scale of a category that is in none of the rows is 0, too.

    Gaps in booleans and categories are filled with the most frequent value also where those in numbers are filled with
    a mean or median; a constant leaves all features of a category 0.

    Args:
        column: what the values are.
        features: `[features, n]`, NaN where a value is missing.
        rows: those to train on.
        numeric: how to scale numbers.
        filling: how to fill gaps; None: there are none.
        dtype: the type that the network scales in.

    Raises:
        ValueError: there are no values in these rows to fill gaps with, or the scale is none that `dtype` holds.
    """
    if column.kind == "category":
        counts = torch.stack([_sum(feature[rows] == 1) for feature in features])
        fill = _most_frequent_category(counts) if isinstance(filling, str) else torch.zeros_like(counts)
        return {"inputs.center": torch.zeros_like(counts), "inputs.scale": (counts > 0).double(), "inputs.fill": fill}
    values = features[0][rows].double()
    fill = torch.zeros(1, dtype=torch.float64)
    if filling is not None:
        fill = _fill(values, "most_frequent" if column.kind == "boolean" and isinstance(filling, str) else filling)
        values = torch.where(values.isnan(), fill, values)
    center, scale = torch.zeros_like(fill), torch.ones_like(fill)
    if column.kind != "boolean" and numeric != "none":
        center, scale = scaling(values, numeric, dtype)
    return {"inputs.center": center, "inputs.scale": scale, "inputs.fill": fill}


def scaling(
    values: Tensor, numeric: Numeric = "standardize", dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Return center and scale of numbers `[rows]`, each `[1]`: (x − center) × scale. The scale of a constant is 0.

    Raises:
        ValueError: `dtype` cannot hold them.
    """
    low, high = values.aminmax()
    if low == high:
        return low.unsqueeze(0), torch.zeros(1, dtype=torch.float64)
    if numeric == "min_max":
        center, scale = low, 1 / (high - low)
    else:
        center = _sum(values) / len(values)
        scale = (_sum((values - center).square()) / len(values)).rsqrt()
    held = torch.stack([center, scale]).to(dtype)
    if not held.isfinite().all() or held[1] == 0:
        raise ValueError(_UNSCALABLE)
    return center.unsqueeze(0), scale.unsqueeze(0)


def balanced_weights(classes: Tensor, number: int) -> Tensor:
    """Return n / (classes × rows of the class) for each class, `[classes]`, float64; 0 for one without rows.

    Source: King, Zeng, Logistic Regression in Rare Events Data (2001); scikit-learn's `class_weight="balanced"`.
    """
    counts = classes.bincount(minlength=number).double()
    return torch.where(counts > 0, len(classes) / (number * counts), torch.zeros_like(counts))


def _most_frequent_category(counts: Tensor) -> Tensor:
    if not counts.any():
        raise ValueError(_NOTHING)
    return (torch.arange(len(counts)) == counts.argmax()).double()


def _fill(values: Tensor, filling: Filling) -> Tensor:
    """Return what takes the place of missing values, `[1]`, float64."""
    known = values[~values.isnan()].numpy()
    if isinstance(filling, str) and not len(known):
        raise ValueError(_NOTHING)
    match filling:
        case "mean":
            return (_sum(torch.from_numpy(known)) / len(known)).unsqueeze(0)
        case "median":
            return torch.tensor([float(np.median(known))], dtype=torch.float64)
        case "most_frequent":  # the smallest, if there are several
            distinct, counts = np.unique(known, return_counts=True)
            return torch.from_numpy(distinct[[counts.argmax()]])
    return torch.tensor([filling], dtype=torch.float64)


def _sum(values: Tensor) -> Tensor:
    blocks = torch.split(values, _BLOCK)
    return torch.stack([block.sum(dtype=torch.float64) for block in blocks]).sum()
