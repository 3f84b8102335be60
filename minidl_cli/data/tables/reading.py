"""Opening tables: what kind of file it is, is told from its first bytes."""

from pathlib import Path

from ...errors import InputError
from .csv_file import CsvFile
from .messages import path_shown
from .options import Decimal, Separator
from .parquet_file import ParquetFile
from .table_file import TableFile, beginning

_PARQUET = b"PAR1"
# What people have as well, how it begins, and what they can do.
_OTHERS = {
    b"PK\x03\x04": "is an Excel workbook or a ZIP archive; save the sheet as CSV, or unpack the archive",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook; save the sheet as CSV",
    b"\x1f\x8b": "is compressed; unpack it with gunzip",
    b"\x28\xb5\x2f\xfd": "is compressed; unpack it with unzstd",
}


def open_table(
    source: Path | bytes, name: str | None = None, separator: Separator | None = None, decimal: Decimal | None = None
) -> TableFile:
    """Open a CSV or Parquet file.

    Args:
        source: the file, or its content, such as that of standard input.
        name: what messages call it; by default its path.
        separator: what stands between the fields of a CSV file; None: told from its first lines.
        decimal: the decimal mark of a CSV file; None: told from its first lines.

    Raises:
        InputError: the file is not there, or is no table, or its header is wrong.
    """
    name = name or ("table" if isinstance(source, bytes) else path_shown(source))
    try:
        head = beginning(source, 8)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from error
    for sign, problem in _OTHERS.items():
        if head.startswith(sign):
            raise InputError(f"{name}: {problem}")
    if head.startswith(_PARQUET):
        return ParquetFile(source, name)
    return CsvFile(source, name, separator, decimal)
