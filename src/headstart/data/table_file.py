"""A CSV or TSV file as columns of text, each cell with a place that can be told to whoever mends it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headstart.errors import DataError, UnknownNameError, UsageError
from headstart.images.file import ImageFile

SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Table:
    """The rows of a file that hold anything.

    Attributes:
        path: of the file.
        columns: their names, as the header has them.
        rows: the cells of each row, without the space around them, as many as there are columns.
        numbers: of each row, counted as a spreadsheet does: the header is row 1.
        images: the columns that hold images rather than names of files; their cells say what each is called.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]
    images: Mapping[str, tuple[ImageFile, ...]] = field(default_factory=dict)

    def cells(self, column: str) -> tuple[str, ...]:
        """The cells of a column, from top to bottom.

        Raises:
            UnknownNameError: there is no such column.
            DataError: there are several of that name.
        """
        if column not in self.columns:
            raise UnknownNameError(f"column of {self.path.name}", column, self.columns)
        if self.columns.count(column) > 1:
            raise DataError(f"{self.path.name} has several columns {column!r}", "give each a name of its own")
        place = self.columns.index(column)
        return tuple(row[place] for row in self.rows)

    def problem(self, row: int, column: str, what: str, mend: str) -> DataError:
        """The error that a cell is wrong.

        Args:
            row: its place among the rows, from 0 on.
            column: whose.
            what: is wrong with it.
            mend: what can be done.
        """
        return DataError(f"{self.path.name}, row {self.numbers[row]}, column {column!r}: {what}", mend)


def read_table_file(path: Path) -> Table:
    """Read a table with a header.

    The delimiter is a tab in a ``.tsv`` file, and else whichever of comma, semicolon and tab divides the header most.

    Raises:
        UsageError: the file can't be read.
        DataError: it isn't UTF-8, isn't a table, has no rows, or a row has too few or too many cells.
    """
    text = decode_text(path)
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else _delimiter(text)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise DataError(f"{path} isn't a table: {error}", "save it as CSV or TSV again") from error
    stripped = [tuple(cell.strip() for cell in line) for line in lines]
    filled = [(number, line) for number, line in enumerate(stripped, start=1) if any(line)]
    if len(filled) < 2:
        raise DataError(f"{path} has no rows below its header", "give a table with a header and a row per image")
    (_, columns), *rows = filled
    for number, row in rows:
        _check_width(path, number, row, columns)
    return Table(path, columns, tuple(row for _, row in rows), tuple(number for number, _ in rows))


def decode_text(path: Path) -> str:
    """All of a text file, without a byte-order mark.

    Raises:
        UsageError: it can't be read.
        DataError: it isn't UTF-8.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror})", "check its name and its permissions") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path.name}, row {row}: byte 0x{data[error.start]:02x} isn't UTF-8", "save the table as UTF-8 again"
        ) from error
    if "\0" in text:
        row = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{path.name}, row {row}: a zero byte, which no text has", "save the table as UTF-8 again")
    return text


def _delimiter(text: str) -> str:
    header = text.lstrip().partition("\n")[0]
    return max(DELIMITERS, key=header.count)


def _check_width(path: Path, number: int, row: Sequence[str], columns: Sequence[str]) -> None:
    if len(row) != len(columns):
        raise DataError(
            f"{path.name}, row {number} has {len(row)} cell{'s' * (len(row) != 1)}, and the header {len(columns)}",
            "give each row a cell per column; text that holds the delimiter needs quotes around it",
        )
