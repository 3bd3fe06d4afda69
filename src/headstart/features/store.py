"""The store: features by the hash of everything they depend on.

It is one SQLite database in write-ahead mode. That gives what the store must keep: several processes at once, a
database that stays valid when a process is killed in the middle of a write, growth without a size set beforehand, an
ordinary error when the disk is full, and reads that don't map the whole file into memory. ``benchmarks/store.py``
compares it with LMDB.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs

from headstart.errors import StoreError, StoreFullError

FILE_NAME = "features.sqlite"
SCHEMA_VERSION = 1
# A share of the disk that is free when the store is opened; the rest stays the user's.
SHARE_OF_FREE_DISK = 0.25
# Values written in one transaction. A kill loses at most these, and each transaction costs a few milliseconds.
WRITE_BATCH = 256
# Keys asked for in one statement.
READ_BATCH = 500
# A value's last use is kept to the day, so that reading writes at most once a day.
SECONDS_A_DAY = 86_400
BUSY_TIMEOUT_S = 60.0

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS features (
    key BLOB PRIMARY KEY,
    used_day INTEGER NOT NULL,
    dtype TEXT NOT NULL,
    shape TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS by_use ON features (used_day);
PRAGMA user_version = {SCHEMA_VERSION};
"""


def default_folder() -> Path:
    """Where features are kept unless somebody says otherwise: $HEADSTART_CACHE, or the user's cache folder."""
    chosen = os.environ.get("HEADSTART_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("headstart", appauthor=False))


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds.

    Attributes:
        path: of the database.
        values: how many features.
        file_bytes: taken on disk.
        budget_bytes: the most it will keep.
    """

    path: Path
    values: int
    file_bytes: int
    budget_bytes: int


class Store:
    """Features by key, on disk. Safe to use from several threads and several processes.

    Args:
        folder: made if it isn't there, readable by its owner only.
        budget_bytes: the most to keep; by default a quarter of the disk that is free. Beyond it, what was used
            longest ago goes.

    Raises:
        StoreError: the folder can't be made or written, or holds a store of another version.
    """

    def __init__(self, folder: Path, budget_bytes: int | None = None) -> None:
        self.folder = folder
        self._path = folder / FILE_NAME
        self._lock = threading.RLock()
        self._pending: dict[bytes, tuple[bytes, int, str, str, int, bytes]] = {}
        self._connection = self._open()
        self.budget_bytes = self._default_budget() if budget_bytes is None else budget_bytes

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is pending and let go of the database."""
        with self._lock:
            try:
                self.flush()
            finally:
                self._connection.close()

    def missing(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those of the keys that have no value."""
        with self._lock, self._translated():
            found = {key for key in keys if key in self._pending}
            for some in _chunks(keys):
                marks = ",".join("?" * len(some))
                rows = self._connection.execute(f"SELECT key FROM features WHERE key IN ({marks})", some)
                found |= {key for (key,) in rows}
        return [key for key in keys if key not in found]

    def get(self, keys: Sequence[bytes]) -> list[np.ndarray | None]:
        """The values of the keys, in their order; None for one that isn't there or is damaged.

        A damaged value, whose checksum differs from what was written, is removed, so that it is computed again.
        """
        with self._lock:
            self.flush()
            found: dict[bytes, np.ndarray] = {}
            for some in _chunks(keys):
                found |= self._read(some)
        return [found.get(key) for key in keys]

    def put(self, key: bytes, value: np.ndarray) -> None:
        """Keep a value; it is written with the next batch of them, or by `flush`."""
        data = np.asarray(value, order="C")
        raw = data.tobytes()
        shape = ",".join(map(str, data.shape))
        with self._lock:
            checksum = _checksum(key, data.dtype.str, shape, raw)
            self._pending[key] = (key, _today(), data.dtype.str, shape, checksum, raw)
            if len(self._pending) >= WRITE_BATCH:
                self.flush()

    def flush(self) -> None:
        """Write what is pending in one transaction.

        Raises:
            StoreFullError: the disk is full. The store stays valid.
        """
        with self._lock:
            if not self._pending:
                return
            with self._transaction():
                self._connection.executemany(
                    "INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?, ?, ?)", self._pending.values()
                )
            self._pending.clear()
            if self._used_bytes() > self.budget_bytes:
                self.prune(self.budget_bytes)

    def prune(self, budget_bytes: int) -> int:
        """Remove what was used longest ago until the rest fits the budget.

        Returns:
            How many values went.
        """
        removed = 0
        with self._lock:
            # Read and removed in one transaction: a read that another process's write follows can't go on to write.
            with self._transaction():
                while (excess := self._used_bytes() - budget_bytes) > 0 and (victims := self._oldest(excess / 2)):
                    self._connection.executemany("DELETE FROM features WHERE rowid = ?", victims)
                    removed += len(victims)
            with self._translated():
                # As a script: `execute` takes one step of a statement without columns, which gives back a single page.
                self._connection.executescript("PRAGMA incremental_vacuum")
        return removed

    def _oldest(self, byte_size: float) -> list[tuple[int]]:
        """The rows that were used longest ago and hold so many bytes, or one, if that alone holds more.

        On its pages a row takes up to twice its length, so removing half of an excess at a time never removes too much.
        """
        rows = self._connection.execute("SELECT rowid, length(data) FROM features ORDER BY used_day, rowid")
        found: list[tuple[int]] = []
        for row, length in rows:
            if found and length > byte_size:
                break
            found.append((row,))
            byte_size -= length
        rows.close()
        return found

    def info(self) -> StoreInfo:
        """What it holds now."""
        with self._lock, self._translated():
            (values,) = self._connection.execute("SELECT count(*) FROM features").fetchone()
        return StoreInfo(self._path, values, self._file_bytes(), self.budget_bytes)

    def _open(self) -> sqlite3.Connection:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(
                f"the store's folder {self.folder} can't be made ({error.strerror})", "name another with --cache"
            ) from error
        with self._translated():
            connection = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, SCHEMA_VERSION):
            raise StoreError(
                f"{self._path} is a store of version {version}; this Headstart reads version {SCHEMA_VERSION}",
                "name another folder with --cache, or remove that file: features are computed again",
            )
        if version == 0:
            connection.execute("PRAGMA page_size = 16384")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _write_ahead(connection)
        # In write-ahead mode NORMAL keeps the database valid through a crash; the last transaction may be lost.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        marks = ",".join("?" * len(keys))
        found, damaged, stale = {}, [], []
        with self._translated():
            rows = self._connection.execute(
                f"SELECT key, used_day, dtype, shape, checksum, data FROM features WHERE key IN ({marks})", keys
            )
            for key, used_day, dtype, shape, checksum, data in rows:
                if _checksum(key, dtype, shape, data) != checksum:
                    damaged.append((key,))
                    continue
                found[key] = np.frombuffer(data, dtype).reshape([int(axis) for axis in shape.split(",") if axis])
                if used_day < _today():
                    stale.append((_today(), key))
        if damaged or stale:
            with self._transaction():
                self._connection.executemany("DELETE FROM features WHERE key = ?", damaged)
                self._connection.executemany("UPDATE features SET used_day = ? WHERE key = ?", stale)
        return found

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's errors as errors that say what to do."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
                raise StoreFullError(
                    f"the disk has no room left for the store {self._path}",
                    "free some space, run `headstart cache prune`, or name a folder on another disk with --cache",
                ) from error
            raise StoreError(
                f"the store {self._path} can't be used ({error})",
                "name another folder with --cache, or remove that file: features are computed again",
            ) from error

    def _default_budget(self) -> int:
        return int((shutil.disk_usage(self.folder).free + self._file_bytes()) * SHARE_OF_FREE_DISK)

    def _file_bytes(self) -> int:
        return self._path.stat().st_size

    def _used_bytes(self) -> int:
        with self._translated():
            pages, free, size = (
                self._connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Change to write-ahead mode, when others who make the same store let one.

    SQLite's own waiting doesn't cover this change: it gives up at once, since waiting with a lock in hand could be
    for ever.
    """
    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _chunks(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (keys[start : start + READ_BATCH] for start in range(0, len(keys), READ_BATCH))


def _checksum(key: bytes, dtype: str, shape: str, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(f"{dtype};{shape}".encode(), zlib.crc32(key)))


def _today() -> int:
    return int(time.time() // SECONDS_A_DAY)
