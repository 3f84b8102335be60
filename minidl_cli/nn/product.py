"""Batched matrix products whose bits do not depend on how many rounds are stacked.

PyTorch hands a lone product with a column or a row to another kernel (a matrix-vector product), which rounds
differently from the batched one, or gives a zero the other sign. If the right factor of a lone round is a column or a
row, the product is therefore computed as two copies. All other sizes agree on one thread, given the kernels that
`MKL_CBWR` selects; `stacking_is_exact` checks that on the machine at hand.
"""

from functools import cache

import torch
from torch import Tensor


def matmul(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """Return the product a b of each round: `[rounds, m, k]` times `[rounds, k, n]` gives `[rounds, m, n]`.

    Args:
        a: the left factors.
        b: the right factors.
        out: where to write the product; a new tensor by default.
    """
    rounds, inner, columns = b.shape
    if rounds == 1 and (inner == 1 or columns == 1):
        product = torch.bmm(_twice(a), _twice(b))[:1]
        return product if out is None else out.copy_(product)
    return torch.bmm(a, b) if out is None else torch.bmm(a, b, out=out)


def affine(weight: Tensor, x: Tensor, bias: Tensor) -> Tensor:
    """Return W x + b of each round.

    Args:
        weight: `[rounds, out, in]`.
        x: `[rounds, in, batch]`.
        bias: `[rounds, out, 1]`.
    """
    rounds, inner, columns = x.shape
    if rounds == 1 and (inner == 1 or columns == 1):
        return torch.baddbmm(_twice(bias), _twice(weight), _twice(x))[:1]
    return torch.baddbmm(bias, weight, x)


def _twice(matrix: Tensor) -> Tensor:
    return matrix.expand(2, -1, -1)


@cache
def stacking_is_exact(dtype: torch.dtype) -> bool:
    """Tell whether this machine's products give each round the same bits at every place in a stack.

    They do not where PyTorch's matrix library ignores `MKL_CBWR`, or read its environment before it was set.
    """
    numbers = torch.Generator().manual_seed(0)
    sizes = [(25, 25, 20), (1, 25, 20), (64, 1, 9), (25, 2, 1), (5, 25, 9), (2, 25, 33), (7, 33, 5)]
    for rows, inner, columns in sizes:
        shapes = [(5, rows, inner), (5, inner, columns), (5, rows, 1)]
        a, b, bias = (torch.randn(shape, generator=numbers, dtype=dtype) for shape in shapes)
        for left, right in [(a, b), (a.mT.contiguous().mT, b), (a, b.mT.contiguous().mT)]:
            one_by_one = [slice(place, place + 1) for place in range(5)]
            products = torch.cat([matmul(left[one].clone(), right[one].clone()) for one in one_by_one])
            sums = torch.cat([affine(left[one].clone(), right[one].clone(), bias[one].clone()) for one in one_by_one])
            if not (torch.equal(matmul(left, right), products) and torch.equal(affine(left, right, bias), sums)):
                return False
    return True
