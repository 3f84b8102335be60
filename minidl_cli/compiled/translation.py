"""From recorded operations to C: a statement, or a nest of loops over sizes that are known, for each of them."""

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any, ClassVar

import torch

from ..errors import CompilationError
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
    # From the end that is nearer, as PyTorch has it: a weight of 1 gives `end`.
    "lerp": "{weight} < 0.5 ? {self} + {weight} * ({end} - {self}) : {end} - (1 - {weight}) * ({end} - {self})",
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
    "where": "{condition} ? {self} : {other}",
    "copy": "{src}",
    "clone": "{self}",
    "fill": "{value}",
    "zeros_like": "0",
    "new_zeros": "0",
    "ones_like": "1",
}
COMPARISONS = {
    "eq": "{self} == {other}",
    "ne": "{self} != {other}",
    "gt": "{self} > {other}",
    "ge": "{self} >= {other}",
    "lt": "{self} < {other}",
    "le": "{self} <= {other}",
    "isnan": "{self} != {self}",
}
# Arguments that say how and where to compute, but not what.
IMMATERIAL = {"out", "size", "dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking"}

# The multiplications of a matrix product up to which the C was faster than PyTorch's library, by the bytes of a vector.
LARGEST_PRODUCT = {64: 250_000_000, 32: 20_000_000, 16: 20_000_000}

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
        self.lanes = machine.vector_bytes // dtype.itemsize
        self.constants: list[float] = []
        self._products: dict[Product, str] = {}

    def functions(self) -> Iterator[str]:
        """Yield the functions that the operations written so far call."""
        for product, name in self._products.items():
            yield from product.function(name, self.machine, self.dtype.itemsize)

    def scratch(self, operation: Operation) -> int:
        """Return how many bytes an operation needs to work in, at `scratch`."""
        if operation.name in ("log_softmax", "_log_softmax"):
            return 2 * prod(_Columns(operation).shape) * self.dtype.itemsize
        if operation.name not in ("bmm", "baddbmm"):
            return 0
        _, right = _factors(operation)
        return prod(right.shape[1:]) * self.dtype.itemsize if _is_across(right) else 0

    def translate(self, operation: Operation) -> Iterator[str]:
        """Yield the lines of C that do what an operation does.

        Raises:
            CompilationError: it is none of those that layers, losses and optimizers are usually made of.
        """
        if operation.name in SILENT:
            pass
        elif operation.name in self._writers:
            yield from self._writers[operation.name](self, operation)
        elif operation.name in ELEMENTWISE:
            self._check_types(operation, {self.dtype}, {self.dtype, torch.bool})
            yield from self._elementwise(operation, ELEMENTWISE[operation.name])
        elif operation.name in COMPARISONS:
            self._check_types(operation, {torch.bool}, {self.dtype, torch.bool, torch.int64})
            yield from self._elementwise(operation, COMPARISONS[operation.name])
        else:
            raise CompilationError(f"{operation.name} has no translation to C")

    def _check_types(self, operation: Operation, results: set[torch.dtype], operands: set[torch.dtype]) -> None:
        """Make sure that C computes with the types that PyTorch would compute with."""
        given = {view.dtype for view in operation.views()} - {view.dtype for view in operation.results}
        if not ({view.dtype for view in operation.results} <= results and given <= operands):
            raise CompilationError(f"{operation.name} of numbers of these types has no translation to C")

    def _elementwise(self, operation: Operation, template: str) -> Iterator[str]:
        arguments = {name: value for name, value in operation.arguments.items() if name not in IMMATERIAL}
        for name, value in arguments.items():
            if f"{{{name}}}" not in template and value is not None and value not in operation.results:
                raise CompilationError(f"{operation.name} with {name} has no translation to C")
        for name in ("alpha", "value"):
            # A factor of 1 is no constant of the config, but part of what the operation is.
            if f"{{{name}}} * " in template and arguments[name] == 1:
                template = template.replace(f"{{{name}}} * ", "")
        (result,) = operation.results
        operands = {name: value for name, value in arguments.items() if f"{{{name}}}" in template}
        values = {name: self._scalar(value) for name, value in operands.items() if not isinstance(value, View)}
        yield from self._loops(template, result, {k: v for k, v in operands.items() if isinstance(v, View)}, values)

    def _power(self, operation: Operation) -> Iterator[str]:
        exponent = operation.arguments["exponent"]
        if exponent not in (2, 3):
            raise CompilationError(f"the power of {exponent} has no translation to C")
        template = " * ".join(["{self}"] * int(exponent))
        yield from self._loops(template, operation.results[0], {"self": operation.arguments["self"]}, {})

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
        strides = [result.strides, *(_broadcast(view, result.shape) for view in views.values())]
        shape, (written, *read) = _collapsed(result.shape, strides)
        padded = all(view.is_whole and view.dtype == self.dtype for view in (result, *views.values()))
        if shape and written == [1] and padded:
            # What is left over after whole vectors would take as long as many of them. Blocks are padded.
            shape = [-(-shape[0] // self.lanes) * self.lanes]
        entries = {
            name: f"{pointer(view)}[{_index(each)}]" for (name, view), each in zip(views.items(), read, strict=True)
        }
        target = f"{pointer(result)}[{_index(written)}]"
        yield from _nest(shape, f"{target} = {template.format(**entries, **values)};")

    def copy(self, source: View, to: View) -> Iterator[str]:
        """Yield the lines of C that copy numbers."""
        yield from self._loops("{source}", to, {"source": source}, {})

    def _sum(self, operation: Operation) -> Iterator[str]:
        """Add up along a dimension, and divide by its length for a mean."""
        source, (result,) = _Columns(operation), operation.results
        total = source.entry(result)
        scale = f" / {source.count}" if operation.name == "mean" else ""
        if source.step == 1 and result.dtype == self.dtype == source.view.dtype:
            row = f"row_sum(&{source.entry(k='0')}, {source.count})"
            yield from _nest(source.shape, f"{total} = {row}{scale};", simd=False)
            return
        yield from _nest(source.shape, f"{total} = 0;")
        yield from source.each(f"{total} += {source.entry()};")
        if scale:
            yield from _nest(source.shape, f"{total} = {total}{scale};")

    def _max(self, operation: Operation) -> Iterator[str]:
        """Find the largest number along a dimension, and its place; NaN is larger than all."""
        source, (values, places) = _Columns(operation), operation.results
        most, place, entry = source.entry(values), source.entry(places), source.entry()
        yield from _nest(source.shape, f"{most} = {source.entry(k='0')}; {place} = 0;")
        larger = f"{entry} > {most} || ({entry} != {entry} && {most} == {most})"
        yield from source.each(f"if ({larger}) {{ {most} = {entry}; {place} = k; }}")

    def _log_softmax(self, operation: Operation) -> Iterator[str]:
        """Take from each number the logarithm of the sum of the exponentials along a dimension."""
        source, (result,) = _Columns(operation), operation.results
        most, total = (f"scratch[{part * prod(source.shape)} + {source.place}]" for part in range(2))
        entry = source.entry()
        yield from _nest(source.shape, f"{most} = {source.entry(k='0')}; {total} = 0;")
        # The largest of them, without which the exponentials might overflow. NaN stays NaN.
        yield from source.each(f"{most} = {entry} <= {most} ? {most} : {entry};")
        yield from source.each(f"{total} += FUNCTION(exp)({entry} - {most});")
        yield from _nest(source.shape, f"{total} = FUNCTION(log)({total});")
        # The largest first: added to it, the logarithm might be lost.
        yield from source.each(f"{source.entry(result, k='k')} = {entry} - {most} - {total};")

    def _product(self, operation: Operation) -> Iterator[str]:
        """Multiply the matrices of a batch (here of one round, or of its two copies)."""
        given, (result,), (left, right) = operation.arguments, operation.results, _factors(operation)
        start = given["self"] if operation.name == "baddbmm" else None
        if start and (given["beta"] != 1 or given["alpha"] != 1):
            raise CompilationError("baddbmm with factors has no translation to C")
        rows_lie_well = result.strides[2] == 1 and 1 in right.strides[1:]
        if {left.dtype, right.dtype, result.dtype} != {self.dtype} or not rows_lie_well:
            raise CompilationError(f"{operation.name} of such matrices has no translation to C")
        batch, rows, columns = result.shape
        if rows * columns * left.shape[2] > LARGEST_PRODUCT[self.machine.vector_bytes]:
            raise CompilationError("matrix products this large gain nothing by compiling")
        inner, (right_batch, right_row, right_column) = left.shape[2], right.strides
        start_batch, start_row, start_column = (0, None, 0) if start is None else _broadcast(start, result.shape)
        if start_column not in (0, 1):
            raise CompilationError("baddbmm of such matrices has no translation to C")
        product = Product(
            *(rows, inner, columns),
            result_row=result.strides[1],
            left_row=left.strides[1],
            left_column=left.strides[2],
            right_row=columns if _is_across(right) else right_row,
            start_row=start_row,
            start_column=start_column,
        )
        name = self._products.setdefault(product, f"product{len(self._products)}")
        for index in range(batch):
            begin = "0" if start is None else pointer(start, index * start_batch)
            matrix = pointer(right, index * right_batch)
            if _is_across(right):
                yield f"turn(scratch, {matrix}, {inner}, {columns}, {right_column});"
                matrix = "scratch"
            yield f"{name}({pointer(result, index * result.strides[0])}, {pointer(left, index * left.strides[0])},"
            yield f"    {matrix}, {begin});"

    def _stack(self, operation: Operation) -> Iterator[str]:
        tensors, (result,) = operation.arguments["tensors"], operation.results
        dim = operation.arguments["dim"] % len(result.shape)
        strides = result.strides[:dim] + result.strides[dim + 1 :]
        for index, source in enumerate(tensors):
            part = View(result.block, result.offset + index * result.strides[dim], source.shape, strides, result.dtype)
            yield from self.copy(source, part)

    def _scalar(self, value: Any) -> str:
        if not isinstance(value, bool | int | float):
            raise CompilationError("a number that is itself computed has no translation to C")
        for sign, number in (("", value), ("-", -value)):
            if number in self.varying:
                return f"({sign}v[{self.varying.index(number)}])"
        self.constants.append(float(value))
        return f"c[{len(self.constants) - 1}]"

    _writers: ClassVar[dict[str, Callable[["Translator", Operation], Iterator[str]]]] = {
        "baddbmm": _product,
        "bmm": _product,
        "clamp": _clamp,
        "pow": _power,
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


class _Columns:
    """What an operation looks at along one dimension: a column of numbers for each place in the others.

    Attributes:
        view: where all the numbers lie.
        shape: the sizes of the other dimensions.
        count: the length of a column.
        step: how many numbers lie from one of a column to the next.
        place: the C of the number of a column, given its place i0, i1, … in the other dimensions.

    Raises:
        CompilationError: it looks along several dimensions.
    """

    def __init__(self, operation: Operation):
        self.view: View = operation.arguments["self"]
        dims = operation.arguments.get("dim")
        (dim,) = dims if isinstance(dims, list | tuple) and len(dims) == 1 else [dims]
        if not isinstance(dim, int) or not self.view.shape:
            raise CompilationError(f"{operation.name} along the dimensions {dims} has no translation to C")
        self._dim = dim % len(self.view.shape)
        self.shape = self._others(self.view.shape)
        self.count, self.step = self.view.shape[self._dim], self.view.strides[self._dim]
        self.place = _index([prod(self.shape[place + 1 :]) for place in range(len(self.shape))])

    def entry(self, of: View | None = None, k: str | None = None) -> str:
        """Return the C of a column's number k.

        Args:
            of: what to take it from: the numbers looked at, or a result, which may have only one for each column.
            k: the number's place in the column, by default the variable k; None for a result of one number.
        """
        view = of or self.view
        k = k or ("k" if of is None else "0")
        has_columns = len(view.shape) == len(self.view.shape)
        strides = self._others(view.strides) if has_columns else view.strides
        further = f" + {k} * {view.strides[self._dim]}" if has_columns else ""
        return f"{pointer(view)}[{_index(strides)}{further}]"

    def each(self, statement: str) -> Iterator[str]:
        """Yield the loops that do something with the number k of every column, for one k after the other."""
        yield f"for (int k = 0; k < {self.count}; k++) {{"
        yield from _nest(self.shape, statement)
        yield "}"

    def _others(self, sizes: Sequence[int]) -> list[int]:
        return [*sizes[: self._dim], *sizes[self._dim + 1 :]]


def _factors(operation: Operation) -> tuple[View, View]:
    names = ("batch1", "batch2") if operation.name == "baddbmm" else ("self", "mat2")
    left, right = (operation.arguments[name] for name in names)
    return left, right


def _is_across(right: View) -> bool:
    """Tell whether the numbers of a row of a right factor do not lie side by side."""
    return right.strides[2] != 1 and right.shape[2] > 1


def _broadcast(view: View, shape: Sequence[int]) -> tuple[int, ...]:
    missing = len(shape) - len(view.shape)
    sizes = (1,) * missing + view.shape
    strides = (0,) * missing + view.strides
    return tuple(0 if size == 1 else stride for size, stride in zip(sizes, strides, strict=True))


def _collapsed(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
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
