"""Parquet or Arrow files, one or a folder of them, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart.data.arrow import SUFFIXES, ArrowFile
from headstart.data.layout import PART_COLUMN, is_junk, part_in
from headstart.data.table_file import Table
from headstart.errors import DataError
from headstart.images.file import Member

# A damaged file may claim any number.
MOST_ROWS = 10_000_000


def arrow_files(folder: Path) -> list[Path]:
    """The files of a folder and its subfolders that a data set of the Hugging Face hub may consist of, by name.

    `datasets` keeps what it computed beside the data, in files that are called cache-….
    """
    found = [path for pattern in ("*", "*/*") for path in folder.glob(pattern) if path.suffix.lower() in SUFFIXES]
    visible = [path for path in found if not any(map(is_junk, path.relative_to(folder).parts))]
    return sorted(path for path in visible if path.is_file() and not path.name.startswith("cache-"))


def read_arrow(root: Path, paths: Sequence[Path]) -> Table:
    """All rows of these files, in order, with a column of parts where the files' names tell them.

    Columns that hold neither images nor text nor numbers are left out.

    Args:
        root: the file, or the folder that they lie in.
        paths: at least one.

    Raises:
        UsageError: PyArrow isn't installed, or a file can't be opened.
        DataError: a file is damaged, they have different columns, or no rows or more than any data set.
    """
    files = [ArrowFile(path) for path in paths]
    names = [path.relative_to(root).as_posix() if path != root else "" for path in paths]
    columns = files[0].columns
    for path, file in zip(paths, files, strict=True):
        if set(file.columns) != set(columns):
            raise DataError(f"{path} has other columns than {paths[0]}", "give one of them, or a folder of like files")
    if not (rows := sum(file.rows for file in files)):
        raise DataError(f"{root} has no rows", "give a table with a row per image")
    if rows > MOST_ROWS:
        raise DataError(f"{root} has {rows:,} rows, more than any data set of images", "divide it into several")
    images = _images(names, files)
    cells: dict[str, tuple[str, ...]] = {column: tuple(map(str, found)) for column, found in images.items()}
    for column in columns:
        if column not in images:
            texts = [text for file in files for text in file.texts(column)]
            if None not in texts:
                cells[column] = tuple(text or "" for text in texts)
    parts = [part_in(name) for name in names]
    if PART_COLUMN not in cells and any(parts):
        told = [part or "" for part, file in zip(parts, files, strict=True) for _ in range(file.rows)]
        cells[PART_COLUMN] = tuple(told)
    return Table(root, tuple(cells), tuple(zip(*cells.values(), strict=True)), tuple(range(1, rows + 1)), images)


def _images(names: Sequence[str], files: Sequence[ArrowFile]) -> dict[str, tuple[Member, ...]]:
    """The images of each column that holds some; their names tell the column where there are several."""
    columns = files[0].image_columns
    return {
        column: tuple(
            Member(f"{name}/{f'{column}/' * (len(columns) > 1)}{row:07d}".lstrip("/"), file, f"{column}/{row}")
            for name, file in zip(names, files, strict=True)
            for row in range(file.rows)
        )
        for column in columns
    }
