"""The tables of a run folder, as they are read again."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Placed:
    """A row of split.csv.

    Attributes:
        file: relative to the data's root, with slashes.
        sha256: of the file, in hexadecimal.
        label: as written: several are divided by "|", and a number is one in words.
        part: train, validation or test.
    """

    file: str
    sha256: str
    label: str
    part: str


def read_placed(path: Path) -> list[Placed]:
    """All of split.csv.

    Raises:
        KeyError: a column is missing.
    """
    return [Placed(row["file"], row["sha256"], row["label"], row["part"]) for row in read_rows(path)]


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table by column, one at a time."""
    # A file's name need not be valid UTF-8; its odd bytes survive as lone surrogates, so that it can still be opened.
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        yield from csv.DictReader(file)
