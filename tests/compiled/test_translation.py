"""Operations in C against PyTorch's: of every layout, in place and not, and at the ends of their ranges."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from minidl_cli.compiled.recording import Recording
from minidl_cli.compiled.translation import COMPARISONS, ELEMENTWISE
from tests.compiled.repeating import assert_agree, repeat

DTYPES = (torch.float32, torch.float64)
ATEN = torch.ops.aten

# Functions of three tensors of one shape, the last of which is positive, and the names of the operations in them.
OPERATIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "add": lambda a, b, c: a + b,
    "add, scaled": lambda a, b, c: torch.add(a, b, alpha=-0.3),
    "add, number": lambda a, b, c: a + 0.7,
    "sub": lambda a, b, c: a - b,
    "sub, scaled": lambda a, b, c: torch.sub(a, b, alpha=3),
    "rsub": lambda a, b, c: torch.rsub(a, b, alpha=2.5),
    "rsub, number": lambda a, b, c: 1 - a,
    "mul": lambda a, b, c: a * b,
    "div": lambda a, b, c: a / c,
    "div, number": lambda a, b, c: a / 3,
    "addcmul": lambda a, b, c: torch.addcmul(a, b, c, value=-0.2),
    "addcdiv": lambda a, b, c: torch.addcdiv(a, b, c, value=1),
    "lerp": lambda a, b, c: torch.lerp(a, b, 0.3),
    "lerp, from the end": lambda a, b, c: torch.lerp(a, b, 0.7),
    "lerp, the end": lambda a, b, c: torch.lerp(a, b, 1.0),
    "lerp, tensor": lambda a, b, c: torch.lerp(a, b, c),
    "neg": lambda a, b, c: -a,
    "reciprocal": lambda a, b, c: 2 / c,
    "square": lambda a, b, c: a.square(),
    "abs": lambda a, b, c: a.abs(),
    "sqrt": lambda a, b, c: c.sqrt(),
    "rsqrt": lambda a, b, c: c.rsqrt(),
    "exp": lambda a, b, c: a.exp(),
    "expm1": lambda a, b, c: a.expm1(),
    "log": lambda a, b, c: c.log(),
    "log1p": lambda a, b, c: c.log1p(),
    "erf": lambda a, b, c: a.erf(),
    "tanh": lambda a, b, c: a.tanh(),
    "sign": lambda a, b, c: a.sign(),
    "relu": lambda a, b, c: a.relu(),
    "maximum": lambda a, b, c: torch.maximum(a, b),
    "minimum": lambda a, b, c: torch.minimum(a, b),
    "tanh_backward": lambda a, b, c: ATEN.tanh_backward.default(a, b),
    "threshold_backward": lambda a, b, c: ATEN.threshold_backward.default(a, b, 0.1),
    "clamp": lambda a, b, c: a.clamp(-0.2, 0.5),
    "clamp, from below": lambda a, b, c: a.clamp(min=0.1),
    "clamp, from above": lambda a, b, c: a.clamp(max=0.1),
    "clamp, upside down": lambda a, b, c: a.clamp(0.5, -0.2),
    "eq": lambda a, b, c: a.sign() == b.sign(),
    "ne": lambda a, b, c: a.sign() != b.sign(),
    "gt": lambda a, b, c: a > b,
    "ge": lambda a, b, c: a >= 0.1,
    "lt": lambda a, b, c: a < b,
    "le": lambda a, b, c: a <= b,
    "where": lambda a, b, c: torch.where(a > b, a, c),
    "where, number": lambda a, b, c: torch.where(a > b, a, 0.5),
    "isnan": lambda a, b, c: torch.where(a.isnan(), b, c),
    "clone": lambda a, b, c: a.clone(),
    "fill": lambda a, b, c: torch.empty_like(a).fill_(0.4),
    "zeros_like": lambda a, b, c: torch.zeros_like(a),
    "new_zeros": lambda a, b, c: a.new_zeros(a.shape),
    "ones_like": lambda a, b, c: torch.ones_like(a),
    "of truths": lambda a, b, c: (a > b) * a + (a > c),
    "places compared": lambda a, b, c: a.max(1, keepdim=True).indices == b.max(1, keepdim=True).indices,
}

# What the operands of one operation look like.
LAYOUTS: dict[str, Callable[[Tensor, Tensor, Tensor], list[Tensor]]] = {
    "transposed": lambda a, b, c: [a.mT, b.mT, c.mT],
    "mixed": lambda a, b, c: [a[:, :5, :5], b[:, :5, :5].mT, c[:, :5, 2:7]],
    "broadcast": lambda a, b, c: [a, b[:, :1], c[:, :, :1]],
    "broadcast, first": lambda a, b, c: [a[:, :1], b, c[0]],
    "strided": lambda a, b, c: [a[:, ::2, 1::3], b[:, 1::2, ::3], c[:, ::2, ::3]],
    "one of two": lambda a, b, c: [a[1], b[0], c[1]],
    "rows of one": lambda a, b, c: [a[:, :, :1], b[:, :, 3:4], c[:, :, 8:]],
    "a single number": lambda a, b, c: [a[1, 2, 3], b[0, 0, 0], c],
    "the same": lambda a, b, c: [a, a, c],
}

# Where an operation of three operands writes to. Those that change what they are given do so to a copy.
WAYS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "into a new tensor": lambda a, b, c: torch.addcmul(a, b, c, value=0.3),
    "in place": lambda a, b, c: (a + 0 * b * c).addcmul_(b, c, value=0.3),
    "in place, of itself": lambda a, b, c: (a * 1).mul_(a).sub_(a),
    "out": lambda a, b, c: torch.mul(b, c, out=(b * c).neg_()),
    "out, transposed": lambda a, b, c: torch.mul(b, c, out=(b * c).mT.clone(memory_format=torch.contiguous_format).mT),
    "into a part": lambda a, b, c: _with_doubled_part(a + 0 * b * c),
    "by turning": lambda a, b, c: torch.empty_like((b * c).mT).copy_((b * c).mT),
}


def _with_doubled_part(tensor: Tensor) -> Tensor:
    tensor[..., :1].mul_(2)
    return tensor


def three(dtype: torch.dtype, *shape: int) -> list[Tensor]:
    """Random tensors, the third of which is positive; the others begin with all pairs of what is no usual number."""
    numbers = torch.Generator().manual_seed(1)
    a, b, c = (torch.randn(*shape, generator=numbers, dtype=dtype) for _ in range(3))
    unusual = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0], dtype=dtype)
    a[0, :5, :5], b[0, :5, :5], c[0, :5, :5] = unusual.unsqueeze(1), unusual, 0.3
    return [a, b, c.abs() + 0.1]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_elementwise_operations(compiler, dtype):
    assert_agree(repeat(compiler, OPERATIONS, three(dtype, 2, 6, 9)), 8)


def test_operands_and_results_of_any_layout(compiler):
    functions = {
        f"{layout}, {way}": lambda a, b, c, write=write, of=of: write(*of(a, b, c))
        for layout, of in LAYOUTS.items()
        for way, write in WAYS.items()
    }
    assert_agree(repeat(compiler, functions, three(torch.float32, 2, 6, 9)), 8)


def recorded(function: Callable[[], object]) -> Recording:
    with torch.inference_mode(), Recording() as recording:
        function()
    return recording


def test_every_elementwise_operation_is_tested():
    operations = {
        operation.name
        for function in OPERATIONS.values()
        for operation in recorded(lambda function=function: function(*three(torch.float32, 2, 6, 9))).operations
    }
    assert (ELEMENTWISE | COMPARISONS).keys() - operations <= {"copy"}  # All results are copied.


# Sums over one dimension, means and maxima of a tensor of three dimensions.
ALONG: dict[str, Callable[[Tensor, int, bool], Tensor]] = {
    "sum": lambda a, dim, keepdim: a.sum(dim, keepdim=keepdim),
    "mean": lambda a, dim, keepdim: a.mean(dim, keepdim=keepdim),
    "max": lambda a, dim, keepdim: a.max(dim, keepdim=keepdim).values,
    "place of the max": lambda a, dim, keepdim: _is_place(a.max(dim, keepdim=keepdim).indices),
    "count": lambda a, dim, keepdim: (a > 0.1).sum(dim, keepdim=keepdim, dtype=a.dtype),
    "log_softmax": lambda a, dim, keepdim: torch.log_softmax(a, dim),
}


def _is_place(places: Tensor) -> Tensor:
    return torch.stack([places == place for place in range(4)])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_reductions_along_each_dimension(compiler, dtype):
    layouts = {"contiguous": lambda a: a, "transposed": lambda a: a.mT, "strided": lambda a: a[:, ::2, 1::3]}
    functions = {
        f"{name} of {layout}, along {dim}, keepdim={keepdim}": (
            lambda a, of=of, reduce=reduce, dim=dim, keepdim=keepdim: reduce(of(a), dim, keepdim)
        )
        for name, reduce in ALONG.items()
        for layout, of in layouts.items()
        for dim, keepdim in ((0, True), (1, True), (1, False), (-1, False), (2, True))
        if layout == "contiguous" or keepdim  # what is left out of a shape is left out of every layout's
    }
    # Turned round, so that NaN and infinities come after other numbers.
    assert_agree(repeat(compiler, functions, [three(dtype, 3, 6, 37)[0].flip(0, 1)]), 32)


FUNCTIONS = {
    "tanh": (torch.tanh, 30.0),
    "exp": (torch.exp, 110.0),
    "expm1": (torch.expm1, 110.0),
    "log": (torch.log, 1e30),
    "log1p": (torch.log1p, 1e30),
    "erf": (torch.erf, 8.0),
}
SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 88.7, 88.8, 89.0, -87.4, -103.9, -104.0, 709.8, -745.2]


def whole_range(largest: float, dtype: torch.dtype) -> Tensor:
    """Numbers of all magnitudes and both signs, and of even distances up to the largest."""
    magnitudes = torch.logspace(-37, math.log10(largest), 1500, dtype=torch.float64)
    even = torch.linspace(-largest, largest, 1501, dtype=torch.float64)
    return torch.cat([magnitudes, -magnitudes, even, torch.tensor(SPECIAL, dtype=torch.float64)]).to(dtype)


def errors_in_ulps(found: Tensor, exact: Tensor) -> Tensor:
    """Errors relative to each single number, however small, in units of the last place; 0 where both are the same."""
    ulp = exact.abs().clamp(min=torch.finfo(found.dtype).tiny) * eps(found.dtype)
    errors = (found.double() - exact).abs() / ulp
    same = (found.double() == exact) | (found.isnan() & exact.isnan()) | (found == exact.to(found.dtype))
    return torch.where(same, 0.0, errors)


def eps(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).eps


@pytest.fixture(scope="module")
def by_function(compiler):
    """The functions' results on their whole ranges, with what they were given, by type and function."""
    found = {}
    for dtype in DTYPES:
        given = {name: whole_range(largest, dtype) for name, (_, largest) in FUNCTIONS.items()}
        calls = {name: lambda *x, i=i, f=f: f(x[i]) for i, (name, (f, _)) in enumerate(FUNCTIONS.items())}
        results = repeat(compiler, calls, list(given.values()))
        found |= {(dtype, name): (given[name], results.compiled[name], results.torch[name]) for name in FUNCTIONS}
    return found


# libmvec promises 4 units of the last place; a function of the plain C library is below 1.
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_as_exact_in_single_precision_as_they_say(by_function, name):
    given, found, _ = by_function[torch.float32, name]
    exact = FUNCTIONS[name][0](given.double())
    assert errors_in_ulps(found, exact).max() <= 4.5


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_as_exact_in_double_precision_as_they_say(by_function, name):
    _, found, by_torch = by_function[torch.float64, name]
    assert errors_in_ulps(found, by_torch).max() <= 5.5  # PyTorch's own error is up to 1.


def test_log_softmax_of_large_logits_keeps_its_digits(compiler):
    logits = torch.tensor([[[100.3, 1000.0, 5000.1, -3.0], [95.0, 984.0, 4990.0, 2.0]]])
    exact = torch.log_softmax(logits.double(), 1)
    found = repeat(compiler, {"log_softmax": lambda x: torch.log_softmax(x, 1)}, [logits]).compiled["log_softmax"]
    torch.testing.assert_close(found.double().view_as(exact), exact, rtol=1e-6, atol=1e-7)


def test_lerp_of_weight_one_is_the_end(compiler):
    start, end = torch.tensor([1.0, 1e4]), torch.tensor([1e-9, 1e-3])
    found = repeat(compiler, {"lerp": lambda a, b: torch.lerp(a, b, 1.0)}, [start, end]).compiled["lerp"]
    assert found.equal(end)
