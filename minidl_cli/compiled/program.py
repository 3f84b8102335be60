"""A function in C that repeats recordings: for every round of a stack, for one batch of samples after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import CompilationError
from .recording import Recording, View
from .translation import Translator, pointer

# The size of a cache line: no two blocks share one.
ALIGNMENT = 64
# Longer steps take more than a few seconds to compile.
MOST_OPERATIONS = 1000


@dataclass(frozen=True)
class Pass:
    """What is done with one batch of samples.

    Attributes:
        recording: the operations.
        width: the number of samples.
        inputs: what comes with the batch, each `[1, rows, width]`.
        before: the state, which is kept from batch to batch: where it lies at the beginning.
        after: where it lies at the end.
        sums: the numbers that are added up over batches, one in each.
    """

    recording: Recording
    width: int
    inputs: Sequence[View]
    before: Sequence[View]
    after: Sequence[View]
    sums: Sequence[View]


@dataclass(frozen=True)
class Piece:
    """A part of a round's state that lies in one place: that of a stack of rounds is `[rounds, length]`.

    Attributes:
        state: the number of the state.
        begin: the first number in it that belongs to the piece.
        length: the number of numbers.
    """

    state: int
    begin: int
    length: int


class Program:
    """The function of some passes, which it chooses from by the number of samples.

    The function copies a round's state into one stretch of memory, small enough to stay in the processor's cache, does
    there all that is to be done, and copies the state back.

    Args:
        name: the function's name.
        translator: who writes the operations.
        passes: what is done with a batch: the first with a whole one, the others with smaller ones.
        pieces: how the state is taken apart.

    Attributes:
        source: the function.
        memory: the bytes that it needs to work in.

    Raises:
        CompilationError: an operation has no translation.
    """

    def __init__(self, name: str, translator: Translator, passes: Sequence[Pass], pieces: Sequence[Piece]):
        self._name, self._translator, self._passes, self._pieces = name, translator, passes, pieces
        shared = _Memory()
        whole = passes[0]
        self._state = [shared.take(whole.recording.sizes[view.block]) for view in whole.before]
        self._inputs = [shared.take(whole.recording.sizes[view.block]) for view in whole.inputs]
        self.memory = shared.size
        lines: list[str] = []
        for each in passes:
            lines += self._function_of(each, _Memory(shared.size))
        self.source = "\n".join([*lines, *self._loop()])

    def _function_of(self, each: Pass, memory: "_Memory") -> list[str]:
        """Return the function that does one pass; its blocks lie in `memory` while they are in use."""
        operations, sizes = each.recording.operations, each.recording.sizes
        places = dict(
            zip((view.block for view in [*each.before, *each.inputs]), self._state + self._inputs, strict=True)
        )
        temporary: dict[int, int] = {}
        if len(operations) > MOST_OPERATIONS:
            raise CompilationError(f"a step of {len(operations)} operations would take too long to compile")
        last_use = {view.block: place for place, operation in enumerate(operations) for view in operation.views()}
        last_use |= {view.block: len(operations) for view in [*each.after, *each.sums]}
        lines: list[str] = []
        for place, operation in enumerate(operations):
            written = {view.block for view in operation.results}
            for block in dict.fromkeys(view.block for view in operation.views()):
                if block in places or block in temporary:
                    continue
                if block not in written:
                    raise CompilationError(f"{operation.name} reads what was there before the step")
                temporary[block] = memory.take(sizes[block])
                lines.append(f"char *block{block} = memory + {temporary[block]};")
            scratch = self._translator.scratch(operation)
            work = memory.take(scratch)
            lines += ["{", f"number *scratch = (number *)(memory + {work});"] if scratch else ["{"]
            lines += [*self._translator.translate(operation), "}"]
            memory.give_back(work, scratch)
            for block in [block for block in temporary if last_use[block] == place]:
                memory.give_back(temporary[block], sizes[block])
        state = {view.block for view in each.before}
        for before, after in zip(each.before, each.after, strict=True):
            if after != before:
                if after.block in state:
                    raise CompilationError("a part of the state takes the place of another")
                lines += self._translator.copy(after, before)
        lines += [f"sums[{place}] += *{pointer(view)};" for place, view in enumerate(each.sums)]
        self.memory = max(self.memory, memory.size)
        head = f"static void {self._name}_{each.width}(char *memory, const number *c, const number *v, double *sums)"
        blocks = [f"char *block{block} = memory + {place};" for block, place in places.items()]
        return [head, "{", *blocks, *lines, "}", ""]

    def _loop(self) -> Iterator[str]:
        """Yield the function that goes through rounds and batches."""
        whole, name = self._passes[0], self._name
        moves = [
            (
                f"(number *)(memory + {self._state[piece.state]}) + {piece.begin}",
                f"pieces[{place}] + round * {piece.length}",
                piece.length,
            )
            for place, piece in enumerate(self._pieces)
        ]
        yield f"void {name}(int64_t rounds, number *const *pieces, const struct samples *samples, int64_t count,"
        yield "    const number *c, const number *v, double *sums, char *memory)"
        yield "{"
        yield f"for (int64_t round = 0; round < rounds; round++, sums += {len(whole.sums)}) {{"
        yield from (f"memcpy({here}, {there}, {length} * sizeof(number));" for here, there, length in moves)
        yield "const number *now = v;"
        varying = len(self._translator.varying)
        yield f"for (int64_t first = 0; first < count; first += {whole.width}, now += {varying}) {{"
        yield f"int64_t width = count - first < {whole.width} ? count - first : {whole.width};"
        for index, (place, view) in enumerate(zip(self._inputs, whole.inputs, strict=True)):
            yield f"take((number *)(memory + {place}), samples + {index}, round, {view.shape[1]}, first, width);"
        for each in self._passes:
            yield f"if (width == {each.width}) {name}_{each.width}(memory, c, now, sums);"
        yield "}"
        yield from (f"memcpy({there}, {here}, {length} * sizeof(number));" for here, there, length in moves)
        yield "}}"


class _Memory:
    """Places in one stretch of memory: those that are taken never overlap.

    Args:
        size: the bytes that are taken for good.

    Attributes:
        size: the bytes of the whole stretch.
    """

    def __init__(self, size: int = 0) -> None:
        self.size = size
        self._free: list[tuple[int, int]] = []

    def take(self, size: int) -> int:
        """Return the place of so many bytes: the smallest gap that they fit, or the end."""
        size = _aligned(size)
        fitting = [gap for gap in self._free if gap[0] >= size]
        if not fitting:
            self.size += size
            return self.size - size
        length, place = min(fitting)
        self._free.remove((length, place))
        if length > size:
            self._free.append((length - size, place + size))
        return place

    def give_back(self, place: int, size: int) -> None:
        """Let others have the place of so many bytes."""
        self._free.append((_aligned(size), place))


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
