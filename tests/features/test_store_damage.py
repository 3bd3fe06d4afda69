"""What a store does when the file, the disk or the folder isn't as it should be."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.errors import StoreError, StoreFullError
from headstart.features.store import FILE_NAME, WRITE_BATCH, Store


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def value(number: int, size: int = 100) -> np.ndarray:
    return np.full(size, number, np.float32)


@pytest.fixture
def filled(cache_dir: Path) -> Path:
    """A folder whose store holds the values 0, 1 and 2."""
    with Store(cache_dir) as store:
        for number in range(3):
            store.put(key(number), value(number))
    return cache_dir


def change(folder: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        assert connection.execute(statement, values).rowcount != 0


def flipped(array: np.ndarray, bit: int) -> bytes:
    data = bytearray(array.tobytes())
    data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


def assert_gone(folder: Path, number: int) -> None:
    """The value isn't given out, is removed, and takes no other with it."""
    with Store(folder) as store:
        found = store.get([key(some) for some in range(3)])
        assert found[number] is None
        assert store.missing([key(some) for some in range(3)]) == [key(number)]
        for other in {0, 1, 2} - {number}:
            np.testing.assert_array_equal(found[other], value(other))
        store.put(key(number), value(number))
        np.testing.assert_array_equal(store.get([key(number)])[0], value(number))


@pytest.mark.parametrize("bit", [0, 1234, 3199])
def test_a_flipped_bit_is_noticed_and_the_value_removed(filled: Path, bit: int) -> None:
    change(filled, "UPDATE features SET data = ? WHERE key = ?", flipped(value(1), bit), key(1))
    assert_gone(filled, 1)


def test_a_value_cut_short_is_noticed(filled: Path) -> None:
    change(filled, "UPDATE features SET data = substr(data, 1, 200) WHERE key = ?", key(1))
    assert_gone(filled, 1)


def test_a_changed_checksum_is_noticed(filled: Path) -> None:
    change(filled, "UPDATE features SET checksum = checksum + 1 WHERE key = ?", key(2))
    assert_gone(filled, 2)


@pytest.mark.parametrize(
    ("column", "content"),
    [("shape", "101"), ("shape", "10,10"), ("shape", "1x0"), ("dtype", ">f4"), ("dtype", "<f2"), ("dtype", "|O")],
)
def test_a_changed_shape_or_dtype_is_noticed(filled: Path, column: str, content: str) -> None:
    change(filled, f"UPDATE features SET {column} = ? WHERE key = ?", content, key(0))
    assert_gone(filled, 0)


def test_values_that_changed_places_are_noticed(filled: Path) -> None:
    with closing(sqlite3.connect(filled / FILE_NAME)) as connection:
        rows = {key: rest for key, *rest in connection.execute("SELECT key, data, checksum FROM features")}
    for here, there in ((0, 1), (1, 0)):
        change(filled, "UPDATE features SET data = ?, checksum = ? WHERE key = ?", *rows[key(there)], key(here))
    with Store(filled) as store:
        assert [array is None for array in store.get([key(0), key(1), key(2)])] == [True, True, False]
        assert store.missing([key(0), key(1), key(2)]) == [key(0), key(1)]


def test_a_file_that_is_no_database_is_refused(cache_dir: Path) -> None:
    (cache_dir / FILE_NAME).write_bytes(b"something else altogether " * 1000)
    with pytest.raises(
        StoreError, match=r"features\.sqlite can't be used \(file is not a database\); name another fol"
    ):
        Store(cache_dir)


def test_a_database_damaged_in_the_middle_is_an_error_that_says_what_to_do(cache_dir: Path) -> None:
    with Store(cache_dir) as store:
        for number in range(500):
            store.put(key(number), value(number, size=5000))
    file = cache_dir / FILE_NAME
    content = bytearray(file.read_bytes())
    content[16384 : 40 * 16384] = b"\xff" * (39 * 16384)
    file.write_bytes(content)
    with (
        pytest.raises(
            StoreError, match=r"can't be used \(.*malformed.*\); name another folder with --cache, or remove"
        ),
        Store(cache_dir) as store,
    ):
        store.get([key(number) for number in range(500)])


def test_a_store_of_another_version_is_refused(filled: Path) -> None:
    with closing(sqlite3.connect(filled / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(
        StoreError, match=r"is a store of version 7; this Headstart reads version 1; name another folder"
    ):
        Store(filled)
    with closing(sqlite3.connect(filled / FILE_NAME)) as connection:
        assert connection.execute("SELECT count(*) FROM features").fetchone() == (3,)


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"the store's folder .*cache can't be made \(.+\); name another with --cache"):
        Store(tmp_path / "file" / "cache")


def test_a_folder_that_is_a_file_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(StoreError, match=r"the store's folder .*cache can't be made"):
        Store(tmp_path / "cache")


def test_a_full_disk_is_an_error_that_says_what_to_do_and_the_store_stays_valid(filled: Path) -> None:
    store = Store(filled)
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages + 10}")
    expected = (
        r"the disk has no room left for the store .*features\.sqlite; free some space, run `headstart cache prune`"
    )
    with pytest.raises(StoreFullError, match=expected):
        for number in range(100, 100 + WRITE_BATCH):
            store.put(key(number), value(number, size=5000))
    with pytest.raises(StoreFullError, match=expected):
        store.close()
    with Store(filled) as store:
        assert store.info().values == 3
        np.testing.assert_array_equal(store.get([key(2)])[0], value(2))


def test_once_there_is_room_again_what_was_pending_is_written(store: Store) -> None:
    most = store._connection.execute("PRAGMA max_page_count").fetchone()[0]
    store._connection.execute("PRAGMA max_page_count = 10")
    store.put(key(1), value(1, size=100_000))
    with pytest.raises(StoreFullError):
        store.flush()
    store._connection.execute(f"PRAGMA max_page_count = {most}")
    store.flush()
    np.testing.assert_array_equal(store.get([key(1)])[0], value(1, size=100_000))


def test_after_a_write_that_failed_the_store_goes_on(filled: Path) -> None:
    with Store(filled) as store:
        store.put(key(3), value(3))
        change(filled, "ALTER TABLE features RENAME TO hidden")
        with pytest.raises(StoreError, match=r"features\.sqlite can't be used \(no such table: features\)"):
            store.flush()
        change(filled, "ALTER TABLE hidden RENAME TO features")
        store.put(key(4), value(4))
        assert store.missing([key(number) for number in range(6)]) == [key(5)]
        np.testing.assert_array_equal(store.get([key(3)])[0], value(3))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a disk needs more rights")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    store = Store(small_disk, budget_bytes=10**9)
    with pytest.raises(StoreFullError, match="the disk has no room left"):
        for number in range(10 * WRITE_BATCH):
            store.put(key(number), value(number, size=1000))
    with pytest.raises(StoreFullError):
        store.close()
    with Store(small_disk) as store:
        found = store.get([key(number) for number in range(10 * WRITE_BATCH)])
        whole = [number for number, array in enumerate(found) if array is not None]
        assert whole == list(range(len(whole)))
        assert len(whole) % WRITE_BATCH == 0
        assert len(whole) >= WRITE_BATCH
        for number in whole:
            np.testing.assert_array_equal(found[number], value(number, size=1000))
        assert store._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
