"""Matrix products in C for sizes that are known beforehand: as many sums as the registers hold grow side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """What the compiler knows of the processor.

    Attributes:
        vector_bytes: the size of a vector register.
        registers: how many there are.
    """

    vector_bytes: int
    registers: int


@dataclass(frozen=True)
class Vector:
    """Neighbouring numbers that one register holds.

    Attributes:
        column: the place of the first.
        width: how many they are.
    """

    column: int
    width: int

    @property
    def type(self) -> str:
        """The vector's type in C."""
        return f"V{self.width}"

    def at(self, entry: str) -> str:
        """Return the C of the vector that begins with an entry."""
        return f"VECTOR({self.width}, {entry})"

    def all(self, value: str) -> str:
        """Return the C of a vector of the same number everywhere."""
        return f"ALL({self.width}, {value})"


def cover(columns: int, lanes: int) -> list[Vector]:
    """Return vectors of one width that cover so many columns; the last may overlap with the one before."""
    width = min(lanes, 1 << columns.bit_length() - 1)
    return [Vector(min(column, columns - width), width) for column in range(0, columns, width)]


@dataclass(frozen=True)
class Product:
    """A product of matrices, result = left · right + start, for one size and one way that they lie in memory.

    The numbers of a row of `result`, `right` and `start` lie side by side, but `start` may be one column for all.

    Attributes:
        rows: the rows of `result` and `left`.
        inner: the columns of `left` and rows of `right`.
        columns: the columns of `result` and `right`.
        result_row: how many numbers lie from one row of `result` to the next.
        left_row: the same of `left`.
        left_column: how many numbers lie from one column of `left` to the next.
        right_row: the same as `left_row`, of `right`.
        start_row: the same of `start`; None if the sums start from 0.
        start_column: 1, or 0 if `start` is one column for all.
    """

    rows: int
    inner: int
    columns: int
    result_row: int
    left_row: int
    left_column: int
    right_row: int
    start_row: int | None = None
    start_column: int = 0

    def function(self, name: str, machine: Machine, number_bytes: int) -> Iterator[str]:
        """Yield the lines of a function in C that computes it.

        Args:
            name: the function's name.
            machine: the processor.
            number_bytes: the size of a number.
        """
        lanes = machine.vector_bytes // number_bytes
        panel = 4 * lanes
        rest = self.columns % panel
        yield f"static void {name}(number *restrict result, const number *restrict left,"
        yield "    const number *restrict right, const number *restrict start)"
        yield "{"
        if self.columns > rest:
            yield f"for (int j = 0; j < {self.columns - rest}; j += {panel}) {{"
            yield from self._panel(cover(panel, lanes), machine)
            yield "}"
        if rest:
            yield f"const int j = {self.columns - rest};"
            yield from self._panel(cover(rest, lanes), machine)
        yield "}"

    def _panel(self, vectors: Sequence[Vector], machine: Machine) -> Iterator[str]:
        """Yield the lines for the columns from j on that these vectors hold."""
        # Each row takes as many registers for its sums; besides, a row of `right` has to fit, and a few more.
        most = max(1, machine.registers * 3 // 4 // len(vectors))
        blocks = -(-self.rows // most)
        height, higher = divmod(self.rows, blocks)
        if higher:
            yield from self._rows(vectors, 0, higher, height + 1)
        yield from self._rows(vectors, higher * (height + 1), blocks - higher, height)

    def _rows(self, vectors: Sequence[Vector], first: int, blocks: int, height: int) -> Iterator[str]:
        """Yield the lines for so many blocks of rows of the same height, from the row `first` on."""
        sums = [(row, place, vector) for row in range(height) for place, vector in enumerate(vectors)]
        yield f"for (int i = {first}; i < {first + blocks * height}; i += {height}) {{"
        yield from (f"{vector.type} sum{row}_{place} = {self._start(row, vector)};" for row, place, vector in sums)
        yield f"for (int k = 0; k < {self.inner}; k++) {{"
        for place, vector in enumerate(vectors):
            yield f"{vector.type} right{place} = {vector.at(f'right[k * {self.right_row} + j + {vector.column}]')};"
        for row in range(height):
            yield f"number left{row} = left[(i + {row}) * {self.left_row} + k * {self.left_column}];"
        yield from (f"sum{row}_{place} += left{row} * right{place};" for row, place, _ in sums)
        yield "}"
        for row, place, vector in sums:
            yield f"{vector.at(f'result[(i + {row}) * {self.result_row} + j + {vector.column}]')} = sum{row}_{place};"
        yield "}"

    def _start(self, row: int, vector: Vector) -> str:
        if self.start_row is None:
            return vector.all("0")
        if self.start_column:
            return vector.at(f"start[(i + {row}) * {self.start_row} + j + {vector.column}]")
        return vector.all(f"start[(i + {row}) * {self.start_row}]")
