"""A JSON Lines file as columns of text: a JSON object a line, whose names are the columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headstart.data.cells import as_text
from headstart.data.table_file import Table, decode_text
from headstart.errors import DataError

SUFFIXES = (".jsonl", ".ndjson")


def read_json_lines(path: Path) -> Table:
    """Read a table whose lines are JSON objects; what a line lacks is empty.

    Raises:
        UsageError: the file can't be read.
        DataError: it isn't UTF-8, has no lines, or one is no JSON object of plain values.
    """
    rows = [
        (number, _object(path, number, line))
        for number, line in enumerate(decode_text(path).split("\n"), start=1)
        if line.strip()
    ]
    if not rows:
        raise DataError(f"{path} has no lines", "give a file with a JSON object per image")
    columns = tuple(dict.fromkeys(name for _, row in rows for name in row))
    cells = tuple(tuple(_cell(path, number, name, row.get(name)) for name in columns) for number, row in rows)
    return Table(path, columns, cells, tuple(number for number, _ in rows))


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name}, row {number} isn't JSON ({error})", "write one object per line") from error
    if not isinstance(row, dict):
        raise DataError(f"{path.name}, row {number} is no JSON object", "write one object per line")
    return row


def _cell(path: Path, number: int, column: str, value: Any) -> str:
    text = as_text(value)
    if text is None:
        raise DataError(
            f"{path.name}, row {number}, column {column!r}: a value within a value",
            "write text, a number, or a list of them",
        )
    return text
