"""Products whose bits do not depend on the company that they are in."""

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from minidl_cli.nn.product import affine, matmul, stacking_is_exact

# Rows, inner, columns.
SIZES = [
    (1, 1, 1),
    (5, 3, 1),
    (1, 25, 1),
    (25, 25, 1),
    (33, 13, 1),
    (100, 5, 1),
    (1, 7, 20),
    (25, 2, 20),
    (25, 25, 20),
    (13, 33, 7),
    (2, 25, 3),
    (64, 1, 9),
    (161, 163, 165),
    (400, 107, 101),
]
every_size = pytest.mark.parametrize("size", SIZES, ids=str)
both_types = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
transposed = pytest.mark.parametrize("is_transposed", [(False, False), (True, False), (False, True)], ids=str)


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def factor(rounds: int, rows: int, columns: int, seed: int, dtype: torch.dtype, is_transposed: bool) -> Tensor:
    if is_transposed:
        return normal(rounds, columns, rows, seed=seed, dtype=dtype).mT
    return normal(rounds, rows, columns, seed=seed, dtype=dtype)


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-13 * expected.abs().max().clamp(min=1)


@every_size
@pytest.mark.parametrize("rounds", [1, 2, 5])
@transposed
def test_values_are_those_of_pytorch(size: tuple[int, int, int], rounds: int, is_transposed: tuple[bool, bool]) -> None:
    rows, inner, columns = size
    a = factor(rounds, rows, inner, 0, torch.float64, is_transposed[0])
    b = factor(rounds, inner, columns, 1, torch.float64, is_transposed[1])
    bias = normal(rounds, rows, 1, seed=2)
    expected = torch.stack([torch.einsum("ij,jk->ik", a[i], b[i]) for i in range(rounds)])
    assert_close(matmul(a, b), expected)
    assert_close(affine(a, b, bias), expected + bias)


@every_size
@pytest.mark.parametrize("rounds", [1, 3])
@both_types
def test_out_takes_the_product(size: tuple[int, int, int], rounds: int, dtype: torch.dtype) -> None:
    rows, inner, columns = size
    a, b = normal(rounds, rows, inner, seed=0, dtype=dtype), normal(rounds, inner, columns, seed=1, dtype=dtype)
    vector = torch.full((3 + rounds * rows * columns + 3,), torch.nan, dtype=dtype)
    out = vector[3:-3].view(rounds, rows, columns)
    assert matmul(a, b, out=out).data_ptr() == out.data_ptr()
    assert torch.equal(out, matmul(a, b))
    assert vector[:3].isnan().all()
    assert vector[-3:].isnan().all()


def shifted(matrix: Tensor, by: int) -> Tensor:
    """The same matrix at another place in memory, so aligned otherwise."""
    vector = torch.empty(matrix.numel() + by, dtype=matrix.dtype)
    return vector[by:].view(matrix.shape).copy_(matrix)


@every_size
@pytest.mark.parametrize("rounds", [2, 3, 5])
@both_types
@transposed
def test_a_lone_product_has_the_bits_that_it_has_in_a_stack(
    size: tuple[int, int, int], rounds: int, dtype: torch.dtype, is_transposed: tuple[bool, bool]
) -> None:
    rows, inner, columns = size
    a = factor(rounds, rows, inner, 0, dtype, is_transposed[0])
    b = factor(rounds, inner, columns, 1, dtype, is_transposed[1])
    bias = normal(rounds, rows, 1, seed=2, dtype=dtype)
    product, sum_ = matmul(a, b), affine(a, b, bias)
    for place in range(rounds):
        one = slice(place, place + 1)
        assert torch.equal(matmul(a[one].clone(), b[one].clone()), product[one])
        assert torch.equal(affine(a[one].clone(), b[one].clone(), bias[one].clone()), sum_[one])
        into = torch.empty(1, rows, columns, dtype=dtype)
        assert torch.equal(matmul(a[one].clone(), b[one].clone(), out=into), product[one])


@every_size
@both_types
def test_the_place_in_memory_changes_no_bit(size: tuple[int, int, int], dtype: torch.dtype) -> None:
    rows, inner, columns = size
    a, b = normal(2, rows, inner, seed=0, dtype=dtype), normal(2, inner, columns, seed=1, dtype=dtype)
    bias = normal(2, rows, 1, seed=2, dtype=dtype)
    for by in range(1, 5):
        assert torch.equal(matmul(shifted(a, by), shifted(b, 5 - by)), matmul(a, b))
        assert torch.equal(affine(shifted(a, by), shifted(b, 5 - by), shifted(bias, by)), affine(a, b, bias))


@pytest.mark.parametrize("size", [(161, 163, 165), (400, 107, 101), (2048, 64, 256)], ids=str)
@pytest.mark.parametrize("layout", ["rows", "columns", "gaps"])
def test_large_products_are_those_of_double_precision(size: tuple[int, int, int], layout: str) -> None:
    """However the factors lie in memory."""
    rows, inner, columns = size
    layouts = {
        "rows": lambda matrix: matrix,
        "columns": lambda matrix: matrix.mT.contiguous().mT,
        "gaps": lambda matrix: torch.cat([matrix, matrix], dim=2)[:, :, : matrix.shape[2]],
    }
    a, b = normal(2, rows, inner, seed=0, dtype=torch.float32), normal(2, inner, columns, seed=1, dtype=torch.float32)
    bias = normal(2, rows, 1, seed=2, dtype=torch.float32)
    expected, laid_out = a.double() @ b.double(), layouts[layout]
    bound = 1e-6 * inner**0.5 * expected.abs().max()
    for left, right in [(laid_out(a), b), (a, laid_out(b)), (laid_out(a), laid_out(b))]:
        assert (matmul(left, right) - expected).abs().max() <= bound
        assert (affine(left, right, bias) - (expected + bias)).abs().max() <= bound


def test_stacking_is_exact_here() -> None:
    assert stacking_is_exact(torch.float32)


def test_stacking_is_found_not_to_be_exact_where_the_library_is_left_to_choose() -> None:
    """An empty variable is not overwritten by the package, and means nothing to the library."""
    program = """
import torch
from minidl_cli.nn.product import stacking_is_exact

def products_depend_on_their_place(rows, inner, columns):
    numbers = torch.Generator().manual_seed(0)
    a, b = torch.randn(9, rows, inner, generator=numbers), torch.randn(9, inner, columns, generator=numbers)
    stacked = torch.bmm(a, b)
    return any(not torch.equal(torch.bmm(a[i:i+1].clone(), b[i:i+1].clone())[0], stacked[i]) for i in range(9))

sizes = [(25, 25, 25), (5, 25, 9), (7, 33, 5), (25, 25, 9), (2, 25, 33)]
print(any(products_depend_on_their_place(*size) for size in sizes), stacking_is_exact(torch.float32))
"""
    environment = os.environ | {"MKL_CBWR": ""}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    depends, is_exact = done.stdout.split()
    if depends == "False":
        pytest.skip("this machine's matrix library gives the same bits at every place by itself")
    assert is_exact == "False"


def test_importing_the_package_sets_the_library_to_exact_products() -> None:
    program = "import os, minidl_cli; print(os.environ['MKL_CBWR'])"
    environment = {key: value for key, value in os.environ.items() if key != "MKL_CBWR"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "AVX2,STRICT\n"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_zeros_have_the_same_sign_alone_and_stacked(dtype: torch.dtype) -> None:
    """A product over an inner dimension of 1 is where PyTorch's own differ: -0 alone, +0 in a stack."""
    column, row = -torch.ones(3, 31, 1, dtype=dtype), torch.zeros(3, 1, 64, dtype=dtype)
    stacked, alone = matmul(column, row), matmul(column[:1], row[:1])
    assert torch.equal(stacked[:1].signbit(), alone.signbit())
