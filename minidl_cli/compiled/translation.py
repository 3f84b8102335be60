"""From recorded operations to C: a statement, or a nest of loops over sizes that are known, for each of them."""

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

import torch

from ..errors import NotCompiled
from .products import Machine, Product
from .recording import Operation, View

C_TYPES = {
    torch.float32: "float",
    torch.float64: "double",
    torch.int64: "int64_t",
    torch.bool: "uint8_t",
}

# What an operation computes of every element: its operands by PyTorch's names for them.
ELEMENTWISE = {
    "add": "{self} + {alpha} * {other}",
    "sub": "{self} - {alpha} * {other}",
    "rsub": "{other} - {alpha} * {self}",
    "mul": "{self} * {other}",
    "div": "{self} / {other}",
    "addcmul": "{self} + {value} * {tensor1} * {tensor2}",
    "addcdiv": "{self} + {value} * {tensor1} / {tensor2}",
    "lerp": "{self} + {weight} * ({end} - {self})",
    "neg": "-{self}",
    "reciprocal": "1 / {self}",
    "square": "{self} * {self}",
    "abs": "FUNCTION(fabs)({self})",
    "sqrt": "FUNCTION(sqrt)({self})",
    "rsqrt": "1 / FUNCTION(sqrt)({self})",
    "exp": "FUNCTION(exp)({self})",
    "expm1": "FUNCTION(expm1)({self})",
    "log": "FUNCTION(log)({self})",
    "log1p": "FUNCTION(log1p)({self})",
    "erf": "FUNCTION(erf)({self})",
    "tanh": "FUNCTION(tanh)({self})",
    "sign": "({self} > 0) - ({self} < 0)",
    # NaN stays NaN.
    "relu": "{self} <= 0 ? 0 : {self}",
    "maximum": "{self} >= {other} || {self} != {self} ? {self} : {other}",
    "minimum": "{self} <= {other} || {self} != {self} ? {self} : {other}",
    "tanh_backward": "{grad_output} * (1 - {output} * {output})",
    "threshold_backward": "{self} <= {threshold} ? 0 : {grad_output}",
    "eq": "{self} == {other}",
    "ne": "{self} != {other}",
    "gt": "{self} > {other}",
    "ge": "{self} >= {other}",
    "lt": "{self} < {other}",
    "le": "{self} <= {other}",
    "where": "{condition} ? {self} : {other}",
    "copy": "{src}",
    "_to_copy": "{self}",
    "clone": "{self}",
    "fill": "{value}",
    "zeros_like": "0",
    "new_zeros": "0",
    "ones_like": "1",
}

# They only take memory.
SILENT = ("empty", "empty_like", "new_empty")


class Translator:
    """Writes operations in C.

    Args:
        machine: the processor.
        dtype: the type of the network's numbers.
        varying: numbers that stand in recordings for those that change from step to step, which the C finds in `v`.

    Attributes:
        constants: all other numbers, which the C finds in `c` instead of naming them: so a config with another
            momentum, say, has the same program.
    """

    def __init__(self, machine: Machine, dtype: torch.dtype, varying: Sequence[float] = ()):
        self.machine, self.dtype, self.varying = machine, dtype, list(varying)
        self.constants: list[float] = []
        self._products: dict[Product, str] = {}

    def functions(self) -> Iterator[str]:
        """Yield the functions that the operations written so far call."""
        for product, name in self._products.items():
            yield from product.function(name, self.machine, self.dtype.itemsize)

    def translate(self, operation: Operation) -> Iterator[str]:
        """Yield the lines of C that do what an operation does.

        Raises:
            NotCompiled: it is none of those that layers, losses and optimizers are usually made of.
        """
        if operation.name in SILENT:
            return
        write = self._writers.get(operation.name)
        if write is None and operation.name not in ELEMENTWISE:
            raise NotCompiled(f"{operation.name} has no translation to C")
        yield from self._elementwise(operation) if write is None else write(self, operation)

    def _elementwise(self, operation: Operation) -> Iterator[str]:
        arguments, template = dict(operation.arguments), ELEMENTWISE[operation.name]
        for name in ("alpha", "value"):
            # A factor of 1 is no constant of the config, but part of what the operation is.
            if f"{{{name}}} * " in template and arguments[name] == 1:
                template = template.replace(f"{{{name}}} * ", "")
        (result,) = operation.results
        operands = {name: value for name, value in arguments.items() if f"{{{name}}}" in template}
        values = {name: self._scalar(value) for name, value in operands.items() if not isinstance(value, View)}
        yield from self._loops(template, result, {k: v for k, v in operands.items() if isinstance(v, View)}, values)

    def _clamp(self, operation: Operation) -> Iterator[str]:
        template, values = "{self}", {}
        for name, sign in (("min", "<"), ("max", ">")):
            if operation.arguments[name] is not None:
                values[name] = self._scalar(operation.arguments[name])
                template = f"({template}) {sign} {{{name}}} ? {{{name}}} : ({template})"
        yield from self._loops(template, operation.results[0], {"self": operation.arguments["self"]}, values)

    def _loops(self, template: str, result: View, views: dict[str, View], values: dict[str, str]) -> Iterator[str]:
        """Yield loops over a result's elements."""
        if prod(result.shape) == 0:
            return
        strides = {name: _broadcast(view, result.shape) for name, view in views.items()}
        shape, (written, *read) = _collapsed(result.shape, [result.strides, *strides.values()])
        entries = {
            name: f"{pointer(view)}[{_index(each)}]" for (name, view), each in zip(views.items(), read, strict=True)
        }
        target = f"{pointer(result)}[{_index(written)}]"
        yield from _nest(shape, f"{target} = {template.format(**entries, **values)};")

    def _sum(self, operation: Operation) -> Iterator[str]:
        """Add up along dimensions, in the order of the memory."""
        source, (result,) = operation.arguments["self"], operation.results
        dims = [dim % len(source.shape) for dim in operation.arguments["dim"] or range(len(source.shape))]
        kept = [dim for dim in range(len(source.shape)) if dim not in dims]
        count = prod(source.shape[dim] for dim in dims)
        strides = iter(result.strides) if len(result.shape) == len(kept) else None
        written = [next(strides) if strides else result.strides[dim] for dim in kept]
        shape = [source.shape[dim] for dim in kept]
        steps = [source.strides[dim] for dim in kept]
        inner = [source.shape[dim] for dim in dims], [source.strides[dim] for dim in dims]
        scale = f" / {count}" if operation.name == "mean" else ""
        source_pointer, target = pointer(source), f"{pointer(result)}[{_index(written)}]"
        total = C_TYPES[result.dtype]
        if inner[1] == [1]:
            body = [
                f"{total} sum = 0;",
                "#pragma omp simd reduction(+:sum)",
                f"for (int k = 0; k < {inner[0][0]}; k++) sum += {source_pointer}[{_index(steps)} + k];",
                f"{target} = sum{scale};",
            ]
            yield from _nest(shape, *body, simd=False)
        elif len(dims) == 1:
            yield from _nest(shape, f"{target} = {source_pointer}[{_index(steps)}];")
            yield f"for (int k = 1; k < {count}; k++) {{"
            yield from _nest(shape, f"{target} += {source_pointer}[{_index(steps)} + k * {inner[1][0]}];")
            yield "}"
            if scale:
                yield from _nest(shape, f"{target} = {target}{scale};")
        else:
            raise NotCompiled(f"{operation.name} over dimensions {dims}")

    def _max(self, operation: Operation) -> Iterator[str]:
        """Find the largest element along a dimension, and its place."""
        source, (values, places) = operation.arguments["self"], operation.results
        if operation.arguments["keepdim"]:
            raise NotCompiled("max with keepdim")
        dim = operation.arguments["dim"] % len(source.shape)
        kept = [each for each in range(len(source.shape)) if each != dim]
        shape, steps = [source.shape[each] for each in kept], [source.strides[each] for each in kept]
        entry = f"{pointer(source)}[{_index(steps)}"
        best = f"{pointer(values)}[{_index(values.strides)}]"
        place = f"{pointer(places)}[{_index(places.strides)}]"
        yield from _nest(shape, f"{best} = {entry}];", f"{place} = 0;")
        yield f"for (int k = 1; k < {source.shape[dim]}; k++) {{"
        new = f"{C_TYPES[source.dtype]} new = {entry} + k * {source.strides[dim]}];"
        larger = "int larger = new > old || (new != new && old == old);"
        old = f"{C_TYPES[source.dtype]} old = {best};"
        yield from _nest(shape, new, old, larger, f"{best} = larger ? new : old;", f"{place} = larger ? k : {place};")
        yield "}"

    def _log_softmax(self, operation: Operation) -> Iterator[str]:
        """Take from each column of numbers the logarithm of the sum of their exponentials."""
        source, (result,) = operation.arguments["self"], operation.results
        dim = operation.arguments["dim"] % len(source.shape)
        kept = [each for each in range(len(source.shape)) if each != dim]
        shape, steps = [source.shape[each] for each in kept], [source.strides[each] for each in kept]
        written = [result.strides[each] for each in kept]
        entry = f"{pointer(source)}[{_index(steps)} + k * {source.strides[dim]}]"
        target = f"{pointer(result)}[{_index(written)} + k * {result.strides[dim]}]"
        total = C_TYPES[source.dtype]
        loop = f"for (int k = 0; k < {source.shape[dim]}; k++)"
        body = [
            f"{total} most = {entry.replace('+ k *', '+ 0 *')}, sum = 0;",
            f"{loop} most = {entry} > most || {entry} != {entry} ? {entry} : most;",
            f"{loop} sum += FUNCTION(exp)({entry} - most);",
            f"{total} shift = most + FUNCTION(log)(sum);",
            f"{loop} {target} = {entry} - shift;",
        ]
        yield from _nest(shape, *body)

    def _product(self, operation: Operation) -> Iterator[str]:
        """Multiply the matrices of a batch (here of one round, or of its two copies)."""
        given, (result,) = operation.arguments, operation.results
        start, left, right = given["self"], given.get("batch1"), given.get("batch2")
        if operation.name == "bmm":
            start, left, right = None, given["self"], given["mat2"]
        elif given["beta"] != 1 or given["alpha"] != 1:
            raise NotCompiled("baddbmm with factors has no translation to C")
        if {left.dtype, right.dtype, result.dtype} != {self.dtype} or result.strides[2] != 1:
            raise NotCompiled(f"{operation.name} of such matrices has no translation to C")
        batch, rows, columns = result.shape
        inner, (right_batch, right_row, right_column) = left.shape[2], right.strides
        start_batch, start_row, start_column = (0, None, 0) if start is None else _broadcast(start, result.shape)
        right_is_turned = right_column != 1 and columns > 1
        if start_column not in (0, 1):
            raise NotCompiled("baddbmm of such matrices has no translation to C")
        product = Product(
            *(rows, inner, columns),
            result_row=result.strides[1],
            left_row=left.strides[1],
            left_column=left.strides[2],
            right_row=columns if right_is_turned else right_row,
            start_row=start_row,
            start_column=start_column,
        )
        name = self._products.setdefault(product, f"product{len(self._products)}")
        for index in range(batch):
            begin = "0" if start is None else pointer(start, index * start_batch)
            matrix = pointer(right, index * right_batch)
            yield "{"
            if right_is_turned:
                yield f"number turned[{inner * columns}] __attribute__((aligned(64)));"
                yield f"turn(turned, {matrix}, {inner}, {columns}, {right_row}, {right_column});"
                matrix = "turned"
            yield f"{name}({pointer(result, index * result.strides[0])}, {pointer(left, index * left.strides[0])},"
            yield f"    {matrix}, {begin});"
            yield "}"

    def _stack(self, operation: Operation) -> Iterator[str]:
        tensors, (result,) = operation.arguments["tensors"], operation.results
        dim = operation.arguments["dim"] % len(result.shape)
        strides = result.strides[:dim] + result.strides[dim + 1 :]
        for index, source in enumerate(tensors):
            part = View(result.block, result.offset + index * result.strides[dim], source.shape, strides, result.dtype)
            yield from self._loops("{source}", part, {"source": source}, {})

    def _scalar(self, value: Any) -> str:
        if not isinstance(value, bool | int | float):
            raise NotCompiled(f"the argument {value!r}")
        for sign, number in (("", value), ("-", -value)):
            if number in self.varying:
                return f"({sign}v[{self.varying.index(number)}])"
        self.constants.append(float(value))
        return f"c[{len(self.constants) - 1}]"

    _writers: dict[str, Callable[["Translator", Operation], Iterator[str]]] = {
        "baddbmm": _product,
        "bmm": _product,
        "clamp": _clamp,
        "sum": _sum,
        "mean": _sum,
        "max": _max,
        "log_softmax": _log_softmax,
        "_log_softmax": _log_softmax,
        "stack": _stack,
    }


def pointer(view: View, further: int = 0) -> str:
    """Return the C of a pointer to a view's first number, or to one that lies further on."""
    return f"(({C_TYPES[view.dtype]} *)block{view.block} + {view.offset + further})"


def _broadcast(view: View, shape: Sequence[int]) -> tuple[int, ...]:
    missing = len(shape) - len(view.shape)
    sizes = (1,) * missing + view.shape
    strides = (0,) * missing + view.strides
    return tuple(0 if size == 1 else stride for size, stride in zip(sizes, strides, strict=True))


def _collapsed(shape: Sequence[int], strides: list[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """Join neighbouring dimensions that lie in one row in all operands."""
    sizes: list[int] = []
    kept: list[list[int]] = [[] for _ in strides]
    for dim, size in enumerate(shape):
        if size == 1:
            continue
        here = [each[dim] for each in strides]
        if sizes and all(own[-1] == step * size for own, step in zip(kept, here, strict=True)):
            sizes[-1] *= size
            for own, step in zip(kept, here, strict=True):
                own[-1] = step
        else:
            sizes.append(size)
            for own, step in zip(kept, here, strict=True):
                own.append(step)
    return sizes, kept


def _index(strides: Sequence[int]) -> str:
    return " + ".join(f"i{dim} * {stride}" for dim, stride in enumerate(strides)) or "0"


def _nest(shape: Sequence[int], *body: str, simd: bool = True) -> Iterator[str]:
    """Yield loops around a body, with variables i0, i1, … for the dimensions."""
    for dim, size in enumerate(shape):
        if simd and dim == len(shape) - 1:
            yield "#pragma omp simd"
        yield f"for (int i{dim} = 0; i{dim} < {size}; i{dim}++) {{"
    if not shape:
        yield "{"
    yield from body
    yield "}" * max(1, len(shape))
