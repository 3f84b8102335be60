"""Matrix products in C: of all sizes, however the factors lie in memory, written for any processor."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from minidl_cli.compiled.products import Machine, cover
from tests.compiled.repeating import repeat

# The bytes of a vector, and how many there are. Without such long ones, the compiler takes several shorter ones.
MACHINES = {"SSE": Machine(16, 16), "NEON": Machine(16, 32), "AVX": Machine(32, 16), "AVX-512": Machine(64, 32)}
# Each number of rows up to 70 once, and so of columns and of what lies between them.
SIZES = [(1 + place * 31 % 70, 1 + place * 13 % 70, 1 + place) for place in range(70)]


@given(columns=st.integers(1, 300), lanes=st.sampled_from([2, 4, 8, 16]))
def test_vectors_of_one_width_cover_all_columns_and_no_others(columns, lanes):
    vectors = cover(columns, lanes)
    assert {vector.column + place for vector in vectors for place in range(vector.width)} == set(range(columns))
    (width,) = {vector.width for vector in vectors}
    assert width in (1, 2, 4, 8, 16)
    assert len(vectors) == -(-columns // width)


def factors(rows: int, inner: int, columns: int, dtype: torch.dtype) -> list[Tensor]:
    """A left and a right factor, and what is added to their product, whole and as a column, for a batch of two."""
    numbers = torch.Generator().manual_seed(rows + 100 * inner)
    shapes = [(2, rows, inner), (2, inner, columns), (2, rows, columns), (2, rows, 1)]
    return [torch.randn(shape, generator=numbers, dtype=dtype) for shape in shapes]


def across(matrix: Tensor) -> Tensor:
    """The same numbers, but those of a column lie side by side in memory."""
    turned = torch.empty(len(matrix), matrix.shape[2], matrix.shape[1], dtype=matrix.dtype)
    return turned.copy_(matrix.mT).mT


def with_gaps(matrix: Tensor) -> Tensor:
    """The same numbers, but with others between the rows."""
    longer = matrix.new_empty(len(matrix), matrix.shape[1], matrix.shape[2] + 3)
    return longer[:, :, 1 : matrix.shape[2] + 1].copy_(matrix)


FORMS = {
    "bmm": lambda a, b, c, d: torch.bmm(a, b),
    "column": lambda a, b, c, d: torch.baddbmm(d, a, b),
    "whole": lambda a, b, c, d: torch.baddbmm(c, a, b),
    "both across": lambda a, b, c, d: torch.bmm(across(a), across(b)),
    "left across": lambda a, b, c, d: torch.baddbmm(d, across(a), b),
    "right across": lambda a, b, c, d: torch.baddbmm(c, a, across(b)),
    "gaps": lambda a, b, c, d: torch.baddbmm(with_gaps(c), with_gaps(a), with_gaps(b)),
    "into gaps": lambda a, b, c, d: torch.bmm(a, b, out=with_gaps(c)),
    "one row for all": lambda a, b, c, d: torch.baddbmm(c[:, :1], a, b),
    "in place": lambda a, b, c, d: c.clone().baddbmm_(a, b),
    "one factor for both": lambda a, b, c, d: torch.bmm(a[:1].expand(2, -1, -1), b),
}


def assert_exact(compiler, machine: Machine, dtype: torch.dtype, sizes: list[tuple[int, int, int]]) -> None:
    """Each product of one size and form agrees with PyTorch's, up to the rounding of its sums."""
    tensors = [each for size in sizes for each in factors(*size, dtype)]
    forms = list(FORMS.items())
    functions = {}
    for place, size in enumerate(sizes):
        name, form = forms[place % len(forms)]
        functions[f"{name} of {size}"] = lambda *given, at=4 * place, form=form: form(*given[at : at + 4])
    results = repeat(compiler, functions, tensors, machine)
    for (_, inner, _), (name, expected) in zip(sizes, results.torch.items(), strict=True):
        bound = 8 * (inner + 1) * torch.finfo(dtype).eps
        error = float((results.compiled[name] - expected).abs().max())
        assert error <= bound, name


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES.keys())
def test_products_of_all_columns(compiler, machine):
    """A quarter of all widths for each processor, another one for each."""
    first = list(MACHINES.values()).index(machine)
    assert_exact(compiler, machine, torch.float32, SIZES[first::4])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_every_form_of_product(compiler, dtype):
    assert_exact(
        compiler, compiler.machine, dtype, [(9, 7, 19)] * len(FORMS) + [(1, 5, 1), (5, 1, 9), (9, 5, 1), (1, 1, 1)]
    )
