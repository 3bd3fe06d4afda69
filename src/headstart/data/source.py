"""Where images and labels come from: a folder of folders, or a table."""

from __future__ import annotations

from pathlib import Path

from headstart.data.scan import Dataset, scan
from headstart.data.table import SUFFIXES, TableChoice, read_table
from headstart.errors import UsageError


def read_source(path: Path, choice: TableChoice | None = None) -> Dataset:
    """The images of a source with what is said of them; no image is opened.

    Args:
        path: a folder of class folders, or a CSV or TSV table.
        choice: what the user says about the table.

    Raises:
        UsageError: it is neither, or what is said about a table is said of folders.
        DataError: it can't be learned from.
    """
    choice = choice or TableChoice()
    choice.check()
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return read_table(path, choice)
    dataset = scan(path)
    said = [*choice.options()]
    if said and choice != TableChoice(task="classes"):
        raise UsageError(
            f"{said[0]} is about a table, and {path} is a folder, whose subfolders are classes",
            "give a CSV or TSV table, or leave it out",
        )
    return dataset
