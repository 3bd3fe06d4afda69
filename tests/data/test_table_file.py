from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.table_file import read_table_file
from headstart.errors import DataError, UnknownNameError, UsageError


def table(tmp_path: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a,b\n1,2\n3,4\n", "t.csv"),
        ("a;b\n1;2\n3;4\n", "t.csv"),
        ("a\tb\n1\t2\n3\t4\n", "t.csv"),
        ("a\tb\n1\t2\n3\t4\n", "t.tsv"),
        ("\ufeffa,b\r\n 1 , 2\r\n\r\n3,4\r\n,\r\n", "t.csv"),
        ('"a","b"\n"1",2\n3,"4"', "t.csv"),
    ],
)
def test_every_way_to_write_a_table_is_the_same_table(tmp_path: Path, text: str, name: str) -> None:
    found = read_table_file(table(tmp_path, text, name))
    assert found.columns == ("a", "b")
    assert found.rows == (("1", "2"), ("3", "4"))
    assert found.cells("b") == ("2", "4")


def test_rows_are_counted_as_a_spreadsheet_does(tmp_path: Path) -> None:
    found = read_table_file(table(tmp_path, 'a,b\n1,"two\nlines"\n\n3,4\n'))
    assert found.numbers == (2, 4)
    assert str(found.problem(1, "b", "it is 4", "make it 5")) == "t.csv, row 4, column 'b': it is 4; make it 5"


def test_a_tab_divides_a_tsv_whatever_else_is_in_it(tmp_path: Path) -> None:
    found = read_table_file(table(tmp_path, "a,b,c,d\te\n1,2\t3\n", "t.tsv"))
    assert found.columns == ("a,b,c,d", "e")


def test_an_unknown_column_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no column of t\.csv named 'lable'; did you mean 'label'\?"):
        read_table_file(table(tmp_path, "file,label\n1,2\n")).cells("lable")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.csv has several columns 'a'; give each a name of its own"):
        read_table_file(table(tmp_path, "a,a\n1,2\n")).cells("a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a,b\n1,2\nr\xe9d,4\n", r"t\.csv, row 3: byte 0xe9 isn't UTF-8; save the table as UTF-8 again"),
        ("a,b\n1,2\n".encode("utf-16"), r"t\.csv, row 1: byte 0xff isn't UTF-8"),
        (b"a,b\n1,\x002\n", r"t\.csv, row 2: a zero byte, which no text has"),
        (b"a,b\n1,2,3\n", r"t\.csv, row 2 has 3 cells, and the header 2; give each row a cell per column"),
        (b"a,b\n1\n", r"t\.csv, row 2 has 1 cell, and the header 2"),
        (b'a,b\n1,"2\n', r"t\.csv isn't a table: unexpected end of data; save it as CSV or TSV again"),
        (b"a,b\n1," + b"x" * 200_000, r"t\.csv isn't a table: field larger than field limit"),
        (b"", r"t\.csv has no rows below its header"),
        (b"a,b\n,\n\n", r"t\.csv has no rows below its header"),
    ],
    ids=["latin-1", "utf-16", "zero", "wide", "narrow", "quote", "huge", "empty", "blank"],
)
def test_what_is_no_table_is_explained(tmp_path: Path, text: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table_file(table(tmp_path, text))


def test_a_file_that_cant_be_read_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"t\.csv can't be read \(No such file or directory\)"):
        read_table_file(tmp_path / "t.csv")
