from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.json_lines import read_json_lines
from headstart.errors import DataError, UsageError


def lines(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "t.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_each_object_is_a_row_and_each_name_a_column(tmp_path: Path) -> None:
    table = read_json_lines(lines(tmp_path, '{"file": "a.png", "label": "cat"}\n{"label": "dog", "file": "b.png"}\n'))
    assert (table.path, table.columns) == (tmp_path / "t.jsonl", ("file", "label"))
    assert table.rows == (("a.png", "cat"), ("b.png", "dog"))
    assert (table.numbers, table.images) == ((1, 2), {})


def test_what_a_line_lacks_is_empty(tmp_path: Path) -> None:
    table = read_json_lines(lines(tmp_path, '{"a": 1}\n{"b": null, "c": 2}\n{}\n'))
    assert table.columns == ("a", "b", "c")
    assert table.rows == (("1", "", ""), ("", "", "2"), ("", "", ""))


def test_numbers_truth_and_lists_are_text(tmp_path: Path) -> None:
    table = read_json_lines(lines(tmp_path, '{"n": 1.5, "t": true, "l": ["x", "y"], "s": " x "}'))
    assert table.rows == (("1.5", "1", "x|y", "x"),)


@pytest.mark.parametrize("text", ['\ufeff{"a": 1}\r\n\r\n  \r\n{"a": 2}\r\n', '{"a": 1}\n\n\n{"a": 2}'])
def test_empty_lines_are_passed_over_but_counted(tmp_path: Path, text: str) -> None:
    table = read_json_lines(lines(tmp_path, text))
    assert table.cells("a") == ("1", "2")
    assert table.numbers == (1, 4)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_stays_on_its_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = lines(tmp_path_factory.getbasetemp(), json.dumps({"a": f"x{text}x"}, ensure_ascii=False))
    assert read_json_lines(path).rows == ((f"x{text}x",),)


DEEP = 100_000
GOOD = b'{"a": 1}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + b'{"a": 1\n', r"t\.jsonl, row 2 isn't JSON \(.+\); write one object per line"),
        (GOOD + b'{"a": 1} {"a": 2}\n', r"t\.jsonl, row 2 isn't JSON \(Extra data"),
        (GOOD + b"a,b\n", r"t\.jsonl, row 2 isn't JSON"),
        (b'[{"a": 1},\n', r"t\.jsonl, row 1 isn't JSON"),
        (GOOD + b'{"a": ' + b"[" * DEEP + b"\n", r"t\.jsonl, row 2 isn't JSON \(maximum recursion"),
        (b'{"a": ' + b'{"a": ' * DEEP + b"1" + b"}" * (DEEP + 1), r"t\.jsonl, row 1 isn't JSON \(maximum recursion"),
        (GOOD + b'{"a": ' + b"9" * 10_000 + b"}", r"t\.jsonl, row 2 isn't JSON \(Exceeds the limit"),
        (GOOD + b"\n[1, 2]\n", r"t\.jsonl, row 3 is no JSON object; write one object per line"),
        (b'"a"\n', r"t\.jsonl, row 1 is no JSON object"),
        (b"null\n", r"t\.jsonl, row 1 is no JSON object"),
        (GOOD + b'{"a": {"b": 1}}\n', r"t\.jsonl, row 2, column 'a': a value within a value; write text, a number, or"),
        (GOOD + b'{"a": [["x"]]}\n', r"t\.jsonl, row 2, column 'a': a value within a value"),
        (GOOD + b'{"a": "caf\xe9"}\n', r"t\.jsonl, row 2: byte 0xe9 isn't UTF-8; save the table as UTF-8 again"),
        ('{"a": 1}\n'.encode("utf-16"), r"t\.jsonl, row 1: byte 0xff isn't UTF-8"),
        (GOOD + b'{"a": "\0"}\n', r"t\.jsonl, row 2: a zero byte, which no text has"),
        (b"", r"t\.jsonl has no lines; give a file with a JSON object per image"),
        (b" \r\n\n", r"t\.jsonl has no lines"),
    ],
    ids=[
        *("broken", "two", "csv", "array", "deep list", "deep object", "long number", "list", "text", "null"),
        *("object within", "list within", "latin-1", "utf-16", "zero", "empty", "blank"),
    ],
)
def test_what_is_no_table_is_explained(tmp_path: Path, text: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_json_lines(lines(tmp_path, text))


def test_a_file_that_cant_be_read_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"t\.jsonl can't be read \(No such file or directory\)"):
        read_json_lines(tmp_path / "t.jsonl")
