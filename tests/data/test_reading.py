"""Reading tables: what a file may look like, and the line that one gets for each mistake in it."""

import csv
import datetime
import gzip
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidl_cli.data.columns import Kind
from minidl_cli.data.tables import csv_file
from minidl_cli.data.tables.reading import open_table
from minidl_cli.data.tables.table_file import TableFile, Wanted, kind_of
from minidl_cli.errors import InputError

Rows = list[tuple[Any, ...]]


def opened(content: str | bytes, **options: Any) -> TableFile:
    return open_table(content.encode() if isinstance(content, str) else content, "t.csv", **options)


def read(content: str | bytes, kinds: dict[str, Kind] | None = None, **options: Any) -> pl.DataFrame:
    file = opened(content, **options)
    wanted = {name: Wanted((kinds or {}).get(name)) for name in file.header}
    return file.read(wanted, torch.float64)


def problem(content: str | bytes, kinds: dict[str, Kind] | None = None, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(content, kinds, **options)
    (line,) = caught.value.problems
    return line


def parquet(frame: pl.DataFrame) -> bytes:
    content = BytesIO()
    frame.write_parquet(content)
    return content.getvalue()


NUMBERS: Rows = [(1.5, 2.0), (3.25, 4.0)]


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1.5,2\n3.25,4\n",
        "a,b\n1.5,2\n3.25,4",
        "a,b\r\n1.5,2\r\n3.25,4\r\n",
        "a,b\r1.5,2\r3.25,4\r",
        "\n\na,b\n\n1.5,2\n\n3.25,4\n\n",
        "a,b\n,\n1.5,2\n3.25,4\n,\n,\n",
        "\n,\na,b\n1.5,2\n3.25,4\n",
        '"a","b"\n"1.5","2"\n"3.25","4"\n',
        " a , b \n 1.5,2 \n3.25,\t4\n",
        "a;b\n1.5;2\n3.25;4\n",
        "a;b\n1,5;2\n3,25;4\n",
        'a,b\n"1,5",2\n"3,25",4\n',
        "a\tb\n1.5\t2\n3.25\t4\n",
        "a|b\n1.5|2\n3.25|4\n",
        "a,b\n1.5e0,+2\n325E-2,4.\n",
        "a,b\n1.5,2\n3.25,4\n".encode("utf-8-sig"),
        "a,b\n1.5,2\n3.25,4\n".encode("utf-16"),
        b"\xfe\xff" + "a;b\n1,5;2\n3,25;4\n".encode("utf-16-be"),
    ],
)
def test_a_table_may_be_written_in_many_ways(content: str | bytes) -> None:
    frame = read(content)
    assert frame.columns == ["a", "b"]
    assert frame.rows() == NUMBERS


def test_a_file_in_parts_of_batches_is_read_whole(tmp_path: Path) -> None:
    rows = 2 * csv_file._BATCH + 7
    path = tmp_path / "long.csv"
    path.write_text("a,b\n" + "".join(f"{row},x{row % 3}\n" for row in range(rows)))
    file = open_table(path)
    frame = file.read({"b": Wanted(), "a": Wanted()}, torch.float32)
    assert frame.columns == ["b", "a"]
    assert frame["a"].dtype == pl.Float32
    assert frame["a"].to_list() == list(range(rows))
    assert frame["b"].to_list() == [f"x{row % 3}" for row in range(rows)]


def test_an_error_far_down_names_its_line(tmp_path: Path) -> None:
    rows = ["1,x"] * (csv_file._BATCH + 10)
    rows[csv_file._BATCH + 5] = "one,x"
    path = tmp_path / "long.csv"
    path.write_text("a,b\n\n" + "\n".join(rows))
    with pytest.raises(InputError, match=rf"long.csv: line {csv_file._BATCH + 8}, column 'a': 'one' is not a number"):
        open_table(path).read({"a": Wanted()}, torch.float64)


def test_a_column_that_begins_without_values_is_told_by_later_ones() -> None:
    rows = csv_file._BATCH + 3
    frame = read("a,b\n" + ",x\n" * rows + "2.5,x\n")
    assert frame["a"].to_list() == [None] * rows + [2.5]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "-2.5", "1e3"], "number", [1.0, -2.5, 1000.0]),
        (["true", "False", "TRUE"], "boolean", [True, False, True]),
        (["yes", "no", "on"], "category", ["yes", "no", "on"]),
        (["a", "1", "b"], "category", ["a", "1", "b"]),
        (["1_000", "0x10", "1d5"], "category", ["1_000", "0x10", "1d5"]),
        (["2026-01-31", "2026-02-01"], "date", [datetime.datetime(2026, 1, 31), datetime.datetime(2026, 2, 1)]),
        (["2026-01-31 10:30", "2026-01-31T10:30:15.5"], "date", None),
        (["2026-01-31T10:30:00Z", "2026-01-31T11:30:00+01:00"], "date", [datetime.datetime(2026, 1, 31, 10, 30)] * 2),
        (["31.01.2026", "01.02.2026"], "category", ["31.01.2026", "01.02.2026"]),
    ],
)
def test_a_column_is_what_its_values_look_like(values: list[str], kind: Kind, expected: list[Any] | None) -> None:
    (column,) = read("a\n" + "\n".join(values) + "\n")
    assert kind_of(column) == kind
    assert expected is None or column.to_list() == expected
    assert column.null_count() == 0


def test_the_kinds_of_all_columns_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table may have thousands of columns, and each select takes as long as many of them."""
    select, selects = pl.DataFrame.select, []
    monkeypatch.setattr(pl.DataFrame, "select", lambda *arguments: selects.append(1) or select(*arguments))
    counts = []
    for number in (4, 40):
        header = ",".join(f"c{place}" for place in range(number))
        row = ",".join(["1", "x", "2026-01-31", "true"] * (number // 4))
        selects.clear()
        read(f"{header}\n{row}\n{row}\n")
        counts.append(len(selects))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("kind", ["number", "boolean", "date", "category"])
@pytest.mark.parametrize("text", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "?", '""', " NA ", '"?"'])
def test_missing_values_are_null(kind: Kind, text: str) -> None:
    value = {"number": "1", "boolean": "true", "date": "2026-01-31", "category": "x"}[kind]
    frame = read(f"a,b\n{value},1\n{text},2\n{value},3\n")
    assert kind_of(frame["a"]) == kind
    assert frame["a"].is_null().to_list() == [False, True, False]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_numbers_are_read_exactly(values: list[float]) -> None:
    assert read("a\n" + "\n".join(map(repr, values)))["a"].to_list() == values
    with_commas = "\n".join(repr(value).replace(".", ",") for value in values)
    assert read(f"a\n{with_commas}", separator=";", decimal=",")["a"].to_list() == values


# To Python alone, the information separators are white space.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\0\x1c\x1d\x1e\x1f"), max_size=8)


@given(st.lists(st.tuples(TEXT, TEXT, st.integers(0, 9)), min_size=1, max_size=4), st.sampled_from(",;\t|"))
def test_any_text_is_read_as_pythons_csv_module_wrote_it(rows: Rows, separator: str) -> None:
    written = StringIO()
    writer = csv.writer(written, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([("a", "b", "c"), *rows])
    kinds: dict[str, Kind] = {"a": "category", "b": "category", "c": "number"}
    frame = read(written.getvalue(), kinds, separator=separator)
    missing = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"}
    stripped = [tuple(None if text.strip() in missing else text.strip() for text in row[:2]) for row in rows]
    assert frame.rows() == [(*texts, row[2]) for texts, row in zip(stripped, rows, strict=True)]


@pytest.mark.parametrize(
    "header",
    [["no", "1", "on", "yes"], ["my column", "Größe [cm]", "名"], ["*", "^a.*$", "^.*$"], ["a,b", 'say "x"', "c\nd"]],
)
def test_columns_may_have_any_names(header: list[str]) -> None:
    written = StringIO()
    csv.writer(written).writerows([header, range(len(header)), range(len(header))])
    assert read(written.getvalue()).columns == header
    frame = pl.DataFrame({name: [float(place)] for place, name in enumerate(header)})
    assert read(parquet(frame)).equals(frame)


def test_lines_are_counted_as_an_editor_does() -> None:
    file = opened('\n"a\nb",c\n\n1,"x\ny\nz"\n,\n2,y\n')
    assert file.read({"c": Wanted()}, torch.float64)["c"].to_list() == ["x\ny\nz", "y"]
    assert [file.place(row) for row in (0, 1)] == ["line 5", "line 9"]


def test_what_a_comma_separates_depends_on_the_other_separators() -> None:
    assert read("Länge, cm;Breite, cm\n1,5;2,5\n3,5;4,5\n").rows() == [(1.5, 2.5), (3.5, 4.5)]
    assert read("a,b\nx;y,1\nz,2\n")["a"].to_list() == ["x;y", "z"]
    assert read("a b\nx y\n").columns == ["a b"]


def test_separator_and_decimal_mark_may_be_said() -> None:
    assert read("a;b,c\n1;2,3\n", separator=",").columns == ["a;b", "c"]
    assert read("a;b\n1,5;x\n", decimal=",")["a"].to_list() == [1.5]
    assert "'1,5' is not a number, as the decimal mark is '.'" in problem("a;b\n1,5;x\n", decimal=".")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "t.csv: is empty; its first line should hold the names of the columns"),
        ("\n\n", "t.csv: is empty; its first line should hold the names of the columns"),
        ("a,b\n", "t.csv: has no rows below its header"),
        ("a,b", "t.csv: has no rows below its header"),
        ("a,b\n\n,\n", "t.csv: has no rows below its header"),
        ("a,b,a\n1,2,3\n", "t.csv: two columns are called 'a'; rename one in line 1"),
        ("a, a\n1,2\n", "t.csv: two columns are called 'a'; rename one in line 1"),
        ("a,,c\n1,2,3\n", "t.csv: column 2 of 3 has no name; write one in line 1"),
        ("a,b,\n1,2,\n", "t.csv: column 3 of 3 has no name; write one in line 1"),
        (
            "a,b,c\n1,2,3\n4,5\n6,7,8\n",
            "t.csv: line 3 has 2 fields, but the header has 3; write one for each column, with ',' between them",
        ),
        (
            'a,b\n1,"x\ny"\n3\n4,z\n',
            "t.csv: line 4 has 1 field, but the header has 2; write one for each column, with ',' between them",
        ),
        (
            "a;b\n1;2\n\n3;4;5\n",
            "t.csv: line 4 has 3 fields, but the header has 2; write one for each column, with ';' between them",
        ),
        (
            "a,b\n1,2\nx,3\n4,5\n",
            "t.csv: line 3, column 'a': 'x' is not a number; correct it, or leave it empty if it is not known",
        ),
        (
            "a\n1\n2\nNAN\n",
            "t.csv: line 4, column 'a': 'NAN' is not a number; correct it, or leave it empty if it is not known",
        ),
        (
            "a,b\n2026-01-31,2\n2026-13-01,3\n2026-02-01,5\n",
            "t.csv: line 3, column 'a': '2026-13-01' is not a date such as 2026-01-31; correct it, or leave it empty "
            "if it is not known",
        ),
        (
            'a,b\n"1,234",1.5\n"2,345",2.5\n',
            "t.csv: line 2, column 'a': '1,234' is not a number, as the decimal mark is '.'; write thousands without "
            'a mark, or set decimal: ","',
        ),
        (
            "a;b;c\n1,5;2,5;1.500\n1,5;2,5;2.000\n",
            "t.csv: line 2, column 'c': '1.500' is not a number, as the decimal mark is ','; write thousands without "
            'a mark, or set decimal: "."',
        ),
        (b"a,b\n1,2\nx\xe4,2\n", "t.csv: line 3: byte 0xe4 at place 2 is not UTF-8; save the file in UTF-8"),
        (b"\xe4,b\n1,2\n", "t.csv: line 1: byte 0xe4 at place 1 is not UTF-8; save the file in UTF-8"),
        (b"\xff\xfea\x00\n", "t.csv: is not valid UTF-16: "),
        ('a,b\n1,"x\n2,y\n', "t.csv: line 2: a quote is never closed; close it, or double it"),
        (
            'a,b\n1,"x"y\n2,y\n',
            "t.csv: line 2: a quote within a field; put quotes around the whole field, and double those in it",
        ),
        (
            'a,b\n1, "x,y"\n2,y\n',
            "t.csv: line 2: a quote within a field; put quotes around the whole field, and double those in it",
        ),
        (
            "a\x1b[31m\n1\n2\nx\n",
            "t.csv: line 4, column 'a\\x1b[31m': 'x' is not a number; correct it, or leave it empty if it is not known",
        ),
        (
            b"PK\x03\x04...",
            "t.csv: is an Excel workbook or a ZIP archive; save the sheet as CSV, or unpack the archive",
        ),
        (gzip.compress(b"a,b\n", mtime=0), "t.csv: is compressed; unpack it with gunzip"),
        (b"PAR1 and no more", "t.csv: cannot be read as Parquet: "),
        (
            "a,b\n0000-01-01,2\n2026-01-01,3\n2026-02-01,5\n",
            "t.csv: line 2, column 'a': '0000-01-01' is not a date such as 2026-01-31; correct it, or leave it empty "
            "if it is not known",
        ),
        (
            b"a,b\n1," + bytes(2**24),
            f"t.csv: line 2 is longer than {2**24:,} bytes; is it a table, and is every quote closed?",
        ),
        ("a" + ",a" * 200_000, "t.csv: 200,001 columns are too many; a table has at most 100,000"),
    ],
    ids=lambda part: ascii(part[:40]),
)
def test_what_is_wrong_gets_one_line(content: str | bytes, line: str) -> None:
    found = problem(content)
    assert found == line or (line.endswith(": ") and found.startswith(line))
    assert "\n" not in found


@pytest.mark.parametrize(
    ("kind", "values", "line"),
    [
        ("number", ["x", "y"], "'x' is not a number"),
        ("boolean", ["true", "0"], "'0' is not true or false"),
        ("date", ["2026-01-31", "soon"], "'soon' is not a date such as 2026-01-31"),
    ],
)
def test_a_kind_may_be_demanded(kind: Kind, values: list[str], line: str) -> None:
    assert line in problem("a\n" + "\n".join(values), {"a": kind})
    assert read("a\n" + "\n".join(values), {"a": "category"})["a"].to_list() == values


def test_the_advice_is_that_of_the_caller() -> None:
    with pytest.raises(InputError, match=r"'x' is not a number; do this$"):
        opened("a\nx\n").read({"a": Wanted("number", "do this")}, torch.float64)


def test_exact_columns_stay_in_double_precision() -> None:
    wanted = {"a": Wanted(is_exact=True), "b": Wanted()}
    for content in (b"a,b\n0.1,0.1\n", parquet(pl.DataFrame({"a": [0.1], "b": [0.1]}))):
        frame = opened(content).read(wanted, torch.float32)
        assert frame.dtypes == [pl.Float64, pl.Float32]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_table(tmp_path / "no.csv")
    assert caught.value.problems == [f"{tmp_path}/no.csv: cannot be read: No such file or directory"]
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        open_table(tmp_path)


def test_a_column_that_is_not_there_has_its_nearest_one_suggested() -> None:
    file = opened("Species,width,height\nx,1,2\n")
    with pytest.raises(InputError) as caught:
        file.require(["width", "species", "hight", "q"])
    assert caught.value.problems == [
        "t.csv: no column 'species'; did you mean 'Species'?",
        "t.csv: no column 'hight'; did you mean 'height'?",
        "t.csv: no column 'q'; there are 'Species', 'height'",
    ]


def test_parquet_columns_have_the_kinds_of_their_types() -> None:
    noon = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
    frame = pl.DataFrame(
        {
            "int": pl.Series([1, None], dtype=pl.UInt8),
            "float": [1.5, float("nan")],
            "decimal": pl.Series(["1.25", None]).str.to_decimal(scale=2),
            "flag": [True, None],
            "text": [" x", "NA"],
            "enum": pl.Series(["u", "v"], dtype=pl.Enum(["v", "u"])),
            "day": [datetime.date(2026, 1, 31), None],
            "time": [noon, None],
        }
    )
    found = read(parquet(frame))
    kinds = ["number", "number", "number", "boolean", "category", "category", "date", "date"]
    assert [kind_of(column) for column in found] == kinds
    assert found.rows() == [
        (1.0, 1.5, 1.25, True, "x", "u", datetime.date(2026, 1, 31), noon),
        (None, None, None, None, None, "v", None, None),
    ]
    assert opened(parquet(frame)).place(1) == "row 2"


def test_a_parquet_column_may_be_read_as_categories() -> None:
    content = parquet(pl.DataFrame({"a": [1, 2, None], "b": [True, False, None]}))
    assert read(content, {"a": "category", "b": "category"}).rows() == [("1", "true"), ("2", "false"), (None, None)]


@pytest.mark.parametrize(
    ("column", "line"),
    [
        (pl.Series([datetime.timedelta(1)]), "holds values of type Duration(time_unit='us'); "),
        (pl.Series([datetime.time(1)]), "holds values of type Time; "),
        (pl.Series([[1, 2]]), "holds values of type List(Int64); "),
        (pl.Series([{"a": 1}]), "holds values of type Struct({'a': Int64}); "),
    ],
)
def test_parquet_columns_of_other_types_are_refused(column: pl.Series, line: str) -> None:
    advice = "make it numbers, text, booleans or dates, or leave it out of features"
    assert problem(parquet(pl.DataFrame({"a": column}))) == f"t.csv: column 'a': {line}{advice}"


@pytest.mark.parametrize("kind", [pl.Date, pl.Datetime("us")])
def test_parquet_dates_that_python_cannot_have_are_refused(kind: pl.DataType) -> None:
    far = pl.Series("a", [0, 10**7 if kind == pl.Date else 10**18]).cast(kind)
    assert problem(parquet(pl.DataFrame([far]))) == "t.csv: column 'a': holds dates beyond the years 1 to 9999"


def test_parquet_columns_of_another_kind_are_refused() -> None:
    content = parquet(pl.DataFrame({"a": ["x"]}))
    assert problem(content, {"a": "number"}).startswith("t.csv: column 'a': holds text, not numbers; ")
    assert problem(parquet(pl.DataFrame({"a": pl.Series([], dtype=pl.Float64)}))) == "t.csv: has no rows"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_path_is_no_pattern(tmp_path: Path, kind: str) -> None:
    """Downloads are called so where there is one of the name already."""
    for name, value in {f"data[1].{kind}": 1.0, f"data1.{kind}": 2.0}.items():
        frame = pl.DataFrame({"a": [value]})
        frame.write_csv(tmp_path / name) if kind == "csv" else frame.write_parquet(tmp_path / name)
    file = open_table(tmp_path / f"data[1].{kind}")
    assert file.read({"a": Wanted("number")}, torch.float64)["a"].to_list() == [1.0]
