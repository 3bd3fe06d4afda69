"""Parquet and Arrow files as tables with images in their cells, as the Hugging Face hub and `datasets` keep them.

All columns but those of images are read at once; an image is read, with its row group, when it is asked for.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from headstart.data.cells import as_text
from headstart.errors import DataError, ImageError, UsageError

PARQUET, ARROW = ".parquet", ".arrow"
SUFFIXES = (PARQUET, ARROW)
FILE_MAGIC = b"ARROW1"
# Images are read roughly in order, by a few threads; kept of all files together, or a folder of them fills the memory.
GROUPS_KEPT = 2
# What PyArrow raises of a damaged file: its own errors are among these.
_DAMAGE = (OSError, ValueError, LookupError, TypeError, ArithmeticError, NotImplementedError, MemoryError)


class _Reader(Protocol):
    """One of the two formats. It isn't called by two threads at once."""

    schema: Any
    rows: int

    def columns(self, names: Sequence[str]) -> Any:
        """Whole columns, as a pyarrow.Table."""

    def cell(self, column: str, row: int) -> Any:
        """One cell as Python has it."""


class ArrowFile:
    """The rows of a file, and the images in them; as a container, it holds "column/row" for each.

    Args:
        path: of a Parquet file, or of an Arrow file or stream.

    Attributes:
        columns: the names of all columns.
        image_columns: those that hold images.
        rows: how many there are.

    Raises:
        UsageError: PyArrow isn't installed, or the file can't be opened.
        DataError: it isn't what its suffix says.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        try:
            self._reader: _Reader = _ParquetReader(path) if path.suffix.lower() == PARQUET else _ArrowReader(path)
            schema, self.rows = self._reader.schema, self._reader.rows
            self.columns = tuple(schema.names)
            self.image_columns = tuple(field.name for field in schema if _holds_images(field.type))
            self._text_columns = {field.name for field in schema if _holds_text(field.type)}
        except ImportError as error:
            raise UsageError(
                f"{path.name} is read with PyArrow, which isn't installed", "run: pip install 'headstart[arrow]'"
            ) from error
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:  # the system's, not PyArrow's own
                raise UsageError(f"{path} can't be read ({error})", "check its name and its permissions") from error
            raise DataError(f"{path} is damaged or cut short ({error})", "copy or make it again") from error
        if len(set(self.columns)) < len(self.columns):
            raise DataError(f"{path} has several columns of one name", "give each a name of its own")
        self._names = _names_of_classes(schema.metadata or {})

    def texts(self, column: str) -> list[str | None]:
        """The cells of a column as text; None where one is neither text nor a number nor a list of them.

        Raises:
            DataError: the file is damaged.
        """
        if column not in self._text_columns:  # there may be images in it
            return [None] * self.rows
        names = self._names.get(column)
        try:
            with self._lock:
                values = self._reader.columns([column]).column(0).to_pylist()
        except _DAMAGE as error:
            raise DataError(f"{self._path}, column {column!r} is damaged ({error})", "copy or make it again") from error
        if len(values) != self.rows:
            raise DataError(
                f"{self._path}, column {column!r} is damaged ({len(values):,} of {self.rows:,} cells)",
                "copy or make it again",
            )
        return [_named(value, names) for value in values]

    def read(self, key: str, most: int) -> bytes:
        column, _, row = key.rpartition("/")
        try:
            with self._lock:
                cell = self._reader.cell(column, int(row))
        except _DAMAGE as error:
            raise ImageError(f"damaged within its table ({error})") from error
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(data, bytes):
            raise ImageError("its cell holds no bytes")
        return data[:most]

    def byte_size(self, key: str) -> int:
        try:
            return len(self.read(key, 2**62))
        except ImageError:
            return 0


class _ParquetReader:
    def __init__(self, path: Path) -> None:
        import pyarrow.parquet

        self._file = pyarrow.parquet.ParquetFile(path)
        self.schema = self._file.schema_arrow
        groups = range(self._file.metadata.num_row_groups)
        self._ends = list(accumulate(self._file.metadata.row_group(group).num_rows for group in groups))
        self.rows = self._ends[-1] if self._ends else 0

    def columns(self, names: Sequence[str]) -> Any:
        return self._file.read(columns=list(names))

    def cell(self, column: str, row: int) -> Any:
        group = bisect_right(self._ends, row)
        return _row_group(self, column, group)[row - (self._ends[group - 1] if group else 0)].as_py()

    def row_group(self, column: str, group: int) -> Any:
        return self._file.read_row_group(group, columns=[column]).column(0)


@lru_cache(GROUPS_KEPT)
def _row_group(reader: _ParquetReader, column: str, group: int) -> Any:
    return reader.row_group(column, group)


class _ArrowReader:
    """A stream, as `datasets` writes them, or a file with a footer, as others do; mapped into memory, not read."""

    def __init__(self, path: Path) -> None:
        import pyarrow

        mapped = pyarrow.memory_map(str(path))
        has_footer = mapped.read_at(len(FILE_MAGIC), 0) == FILE_MAGIC
        with (pyarrow.ipc.open_file if has_footer else pyarrow.ipc.open_stream)(mapped) as batches:
            self._table = batches.read_all()
        self._table.validate(full=True)  # or a stranger's offsets could point anywhere
        self.schema, self.rows = self._table.schema, self._table.num_rows

    def columns(self, names: Sequence[str]) -> Any:
        return self._table.select(list(names))

    def cell(self, column: str, row: int) -> Any:
        return self._table.column(column)[row].as_py()


def _holds_images(kind: Any) -> bool:
    """Whether a column's type is that of bytes, or of the structure that `datasets` makes of an image."""
    from pyarrow import types

    if types.is_struct(kind):
        return any(field.name == "bytes" and _is_bytes(field.type) for field in kind)
    return _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _holds_text(kind: Any) -> bool:
    """Whether a column's type is text or a number, or a list of them; others needn't be read."""
    from pyarrow import types

    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return _is_plain(kind.value_type if is_list else kind)


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    return bool(is_text or is_number or types.is_null(kind))


def _names_of_classes(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """The names that numbers in a column stand for, as `datasets` notes them in a file."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        named = {column: feature["names"] for column, feature in features.items() if "names" in feature}
        return {column: [str(name) for name in names] for column, names in named.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _named(value: Any, names: list[str] | None) -> str | None:
    if names and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else ""
    return as_text(value)
