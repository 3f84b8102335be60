"""Reading CSV files: in batches of text, which become values while the next one is read."""

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path

import polars as pl
import torch

from ...errors import InputError
from ..columns import Kind
from .messages import shown
from .options import Decimal, Separator
from .table_file import TableFile, Wanted, beginning, number_type
from .text_values import clean, parse, parsed, told_decimal, told_kinds

# Records that each of two could separate are separated by the first: a comma may be part of a number or a name.
_SEPARATORS: tuple[Separator, ...] = ("\t", ";", "|", ",")
# How many records tell the separator, and how many the decimal mark.
_FEW, _MANY = 100, 1000
_BATCH = 10_000
# The bytes of a record: what has longer ones, such as a file of zeros only, is no table.
_LONGEST = 2**24

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ONE = {"number": "a number", "boolean": "true or false", "date": "a date such as 2026-01-31"}


class CsvFile(TableFile):
    """A CSV file, in UTF-8 or, with a byte order mark, UTF-16.

    Args:
        source: the file, or its content.
        name: what messages call it.
        separator: what stands between two fields; None: told from the first lines.
        decimal: what stands before the decimals of a number; None: told from the first lines.

    Raises:
        InputError: the file is empty or no text, or two columns have the same name, or one has none.
    """

    def __init__(
        self, source: Path | bytes, name: str, separator: Separator | None = None, decimal: Decimal | None = None
    ):
        self.name = name
        self._source = _in_utf8(source, name)
        self._separator = str(separator or "")
        self._separator = separator or _told_separator([record for _, record in islice(self._records(), _FEW)])
        self._first_line, header = next(self._records(), (0, b""))
        if not self._first_line:
            raise InputError(f"{name}: is empty; its first line should hold the names of the columns")
        self._check_number_of_columns(_width(header, self._separator))
        sample = self._sample()
        self.header = [(field or "").strip() for field in sample.row(0)]
        self._check_header()
        self._decimal = decimal or told_decimal(sample[1:], self._separator)

    def read(self, wanted: Mapping[str, Wanted], dtype: torch.dtype) -> pl.DataFrame:
        # Columns go by their places until the end: polars takes a name such as * for a pattern.
        places = {str(self.column_places[name]): each for name, each in wanted.items()}
        kinds = {place: each.kind for place, each in places.items()}
        exact = {place for place, each in places.items() if each.is_exact}
        frames: list[pl.DataFrame] = []
        rows, may_be_ragged = 0, False
        for batch in self._batches():
            may_be_ragged |= batch.to_series(-1).null_count() > 0
            if untold := [place for place, kind in kinds.items() if kind is None]:
                kinds |= told_kinds(batch[untold], exact)
            values = self._parsed(batch, kinds)
            for place, kind in _doubtful(batch, values, kinds):
                values = values.with_columns(self._checked(batch[place], kind, places[place], rows))
            rounded = [place for place, kind in kinds.items() if kind == "number" and place not in exact]
            frames.append(values.cast(dict.fromkeys(rounded, number_type(dtype))))
            rows += batch.height
        if may_be_ragged:  # or the last value is missing
            self._check_widths()
        if not rows:
            raise InputError(f"{self.name}: has no rows below its header")
        frame = pl.concat(frames, how="vertical_relaxed")
        frame.columns = list(wanted)
        return frame

    def place(self, row: int) -> str:
        return f"line {next(islice(self._records(), row + 1, None))[0]}"

    def _sample(self) -> pl.DataFrame:
        """Return the first records as text, the header as the first row."""
        records = b"\n".join(record for _, record in islice(self._records(), _MANY))
        try:
            return pl.read_csv(
                records, has_header=False, separator=self._separator, infer_schema=False, truncate_ragged_lines=True
            )
        except pl.exceptions.PolarsError as error:
            raise self._diagnosis(error) from error

    def _batches(self) -> Iterator[pl.DataFrame]:
        """Yield the rows as text, in order, without those in which every field is empty."""
        rows = pl.scan_csv(
            self._source,
            glob=False,
            separator=self._separator,
            infer_schema=False,
            with_column_names=lambda names: [str(place) for place in range(len(names))],
            skip_lines=self._first_line - 1,
        )
        try:
            for batch in rows.collect_batches(chunk_size=_BATCH):
                if all(column.null_count() for column in batch):
                    batch = batch.filter(~pl.all_horizontal(pl.all().is_null()))
                if batch.height:
                    yield batch
        except pl.exceptions.PolarsError as error:
            raise self._diagnosis(error) from error
        except OSError as error:
            raise InputError(f"{self.name}: cannot be read: {error.strerror or error}") from error

    def _parsed(self, batch: pl.DataFrame, kinds: Mapping[str, Kind | None]) -> pl.DataFrame:
        """Return the values of a batch. Numbers are tried as they stand, since cleaning takes longer than parsing."""
        values = []
        for place, kind in kinds.items():
            text = pl.col(place)
            if kind is None:
                values.append(clean(text).cast(pl.Null))
            else:
                values.append(parse(text if kind == "number" else clean(text), kind, self._decimal))
        return batch.select(values).fill_nan(None)

    def _checked(self, text: pl.Series, kind: Kind, wanted: Wanted, first: int) -> pl.Series:
        """Return the values of text that has to be cleaned, and complain about the first that is not of the kind."""
        cleaned = text.to_frame("text").select(clean(pl.col("text"))).to_series().alias(text.name)
        values = parsed(cleaned, kind, self._decimal)
        wrong = cleaned.is_not_null() & values.is_null()
        if (row := wrong.index_of(True)) is not None:
            raise self.problem(first + row, self.header[int(text.name)], self._wrong(cleaned[row], kind, wanted))
        return values

    def _wrong(self, text: str, kind: Kind, wanted: Wanted) -> str:
        problem = f"{shown(text)} is not {_ONE[kind]}"
        other = "," if self._decimal == "." else "."
        if kind == "number" and re.fullmatch(rf"[+-]?\d+\{other}\d+", text):
            advice = f'write thousands without a mark, or set decimal: "{other}"'
            return f"{problem}, as the decimal mark is '{self._decimal}'; {advice}"
        return f"{problem}; {wanted.otherwise}"

    def _check_widths(self) -> None:
        """Raises InputError if a record has more or fewer fields than the header, naming its line."""
        for line, record in self._records():
            width = _width(record, self._separator)
            if width != len(self.header):
                fields = "1 field" if width == 1 else f"{width} fields"
                header = f"the header has {len(self.header)}"
                advice = f"write one for each column, with {shown(self._separator)} between them"
                raise InputError(f"{self.name}: line {line} has {fields}, but {header}; {advice}")

    def _diagnosis(self, error: Exception) -> InputError:
        """Return what is wrong with a file that polars refused."""
        for line, record in self._records():
            try:
                record.decode()
            except UnicodeDecodeError as problem:
                found = f"byte 0x{record[problem.start]:02x} at place {problem.start + 1} is not UTF-8"
                return InputError(f"{self.name}: line {line}: {found}; save the file in UTF-8")
            if record.count(b'"') % 2:
                return InputError(f"{self.name}: line {line}: a quote is never closed; close it, or double it")
            if b'"' in _unquoted(record, self._separator):
                advice = "put quotes around the whole field, and double those in it"
                return InputError(f"{self.name}: line {line}: a quote within a field; {advice}")
        try:
            self._check_widths()
        except InputError as problem:
            return problem
        return InputError(f"{self.name}: is not a well-formed CSV file: {str(error).partition(chr(10))[0]}")

    def _records(self) -> Iterator[tuple[int, bytes]]:
        """Yield the header and the rows, each with the number of its first line; without those that are empty."""
        source = BytesIO(self._source) if isinstance(self._source, bytes) else self._source.open("rb")
        empty = b"\r\n" + self._separator.encode()
        with source as lines:
            first, record, quotes, length = 1, [], 0, 0
            for number, line in enumerate(iter(partial(lines.readline, _LONGEST + 1), b""), 1):
                length = length * (quotes % 2) + len(line)
                if length > _LONGEST:
                    problem = f"is longer than {_LONGEST:,} bytes; is it a table, and is every quote closed?"
                    raise InputError(f"{self.name}: line {first} {problem}")
                record.append(line.removeprefix(codecs.BOM_UTF8) if number == 1 else line)
                quotes += line.count(b'"')
                if quotes % 2 == 0:
                    if (whole := b"".join(record)).strip(empty):
                        yield first, whole.rstrip(b"\r\n")
                    first, record = number + 1, []
            if record:
                yield first, b"".join(record)


def _told_separator(records: Sequence[bytes]) -> Separator:
    """Return the separator that divides all records into as many fields; else the one that is there most often."""
    widths = {each: Counter(_width(record, each) for record in records) for each in _SEPARATORS}
    for separator, counts in widths.items():
        if len(counts) == 1 and 1 not in counts:
            return separator
    return max(widths, key=lambda each: sum(width * count for width, count in widths[each].items()))


def _doubtful(
    batch: pl.DataFrame, values: pl.DataFrame, kinds: Mapping[str, Kind | None]
) -> Iterator[tuple[str, Kind]]:
    """Yield the columns of which some text has no value: it stands for a missing one, or is of another kind."""
    for place, kind in kinds.items():
        if kind and kind != "category" and values[place].null_count() > batch[place].null_count():
            yield place, kind


def _in_utf8(source: Path | bytes, name: str) -> Path | bytes:
    """Return a file as it is, or where it is not in UTF-8 with line feeds, its content as such."""
    head = beginning(source, 4096)
    is_old = b"\r" in head and b"\n" not in head and not head.startswith(_UTF16)
    if not is_old and not head.startswith(_UTF16):
        return source
    content = source if isinstance(source, bytes) else source.read_bytes()
    if is_old:
        return content.replace(b"\r", b"\n")
    try:
        return content.decode("utf-16").encode()
    except UnicodeError as error:
        raise InputError(f"{name}: is not valid UTF-16: {error}; save it in UTF-8") from error


def _unquoted(record: bytes, separator: str) -> bytes:
    """Return a record without its quoted fields."""
    sign = re.escape(separator.encode())
    return re.sub(rb'(?:(?<=%b)|^)"(?:[^"]|"")*"(?=%b|$)' % (sign, sign), b"", record)


def _width(record: bytes, separator: str) -> int:
    """Return the number of fields of a record."""
    return (_unquoted(record, separator) if b'"' in record else record).count(separator.encode()) + 1
