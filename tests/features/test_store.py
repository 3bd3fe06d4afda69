from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.features import store as module
from headstart.features.store import FILE_NAME, READ_BATCH, SECONDS_A_DAY, WRITE_BATCH, Store, default_folder


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def value(number: int, size: int = 4) -> np.ndarray:
    return np.full(size, number, np.float32)


@pytest.fixture
def on_day(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`on_day(3)` makes it the third day after 1970 began."""
    return lambda day: monkeypatch.setattr(module.time, "time", lambda: day * SECONDS_A_DAY + 5.0)


def kept(store: Store, numbers: range) -> list[int]:
    missing = set(store.missing([key(number) for number in numbers]))
    return [number for number in numbers if key(number) not in missing]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int64", ">f4", "bool"])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 0, 2), (2, 3, 4)])
def test_a_value_comes_back_as_it_was(dtype: str, shape: tuple[int, ...], store: Store) -> None:
    array = np.random.default_rng(0).uniform(0, 100, shape).astype(dtype)
    store.put(key(1), np.asarray(array))
    (found,) = store.get([key(1)])
    assert found is not None
    assert (found.dtype, found.shape) == (np.dtype(dtype), shape)
    np.testing.assert_array_equal(found, array)


def test_a_value_that_does_not_lie_in_one_piece_comes_back(store: Store) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)[::2]
    store.put(key(1), array)
    np.testing.assert_array_equal(store.get([key(1)])[0], array)


def test_values_come_in_the_order_that_they_are_asked_for(store: Store) -> None:
    for number in range(5):
        store.put(key(number), value(number))
    found = store.get([key(3), key(9), key(0), key(3)])
    assert [None if array is None else int(array[0]) for array in found] == [3, None, 0, 3]


def test_more_keys_than_one_statement_takes(store: Store) -> None:
    count = 2 * READ_BATCH + 7
    for number in range(count):
        store.put(key(number), value(number))
    keys = [key(number) for number in range(count + 3)]
    assert store.missing(keys) == keys[count:]
    assert [array is not None for array in store.get(keys)] == [True] * count + [False] * 3


def test_missing_keeps_the_order_and_knows_what_is_not_written_yet(store: Store) -> None:
    store.put(key(1), value(1))
    assert store.missing([key(3), key(1), key(2)]) == [key(3), key(2)]
    store.flush()
    assert store.missing([key(3), key(1), key(2)]) == [key(3), key(2)]


def test_no_keys_have_no_values(store: Store) -> None:
    assert store.get([]) == []
    assert store.missing([]) == []


def test_values_outlive_the_process_that_put_them(cache_dir: Path) -> None:
    with Store(cache_dir) as store:
        for number in range(3):
            store.put(key(number), value(number))
    with Store(cache_dir) as store:
        assert [int(array[0]) for array in store.get([key(0), key(1), key(2)]) if array is not None] == [0, 1, 2]


def test_a_full_batch_is_written_without_being_asked_to(store: Store, cache_dir: Path) -> None:
    with Store(cache_dir) as other:
        for number in range(WRITE_BATCH - 1):
            store.put(key(number), value(number))
        assert kept(other, range(WRITE_BATCH)) == []
        store.put(key(WRITE_BATCH - 1), value(0))
        assert kept(other, range(WRITE_BATCH)) == list(range(WRITE_BATCH))


def test_a_later_value_takes_the_place_of_an_earlier_one(store: Store) -> None:
    for number in range(3):
        store.put(key(1), value(number, size=4 + number))
        if number:
            store.flush()
    np.testing.assert_array_equal(store.get([key(1)])[0], value(2, size=6))
    assert store.info().values == 1


def test_info_tells_what_the_store_holds(cache_dir: Path) -> None:
    with Store(cache_dir, budget_bytes=10**9) as store:
        for number in range(100):
            store.put(key(number), value(number, size=10_000))
        store.flush()
    with Store(cache_dir, budget_bytes=10**9) as store:
        info = store.info()
        assert (info.path, info.values, info.budget_bytes) == (cache_dir / FILE_NAME, 100, 10**9)
        assert 4_000_000 < info.file_bytes < 6_000_000
        assert info.file_bytes == info.path.stat().st_size


def test_the_budget_is_a_quarter_of_the_disk_that_is_free(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10**9})()
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    with Store(cache_dir) as store:
        assert store.budget_bytes == pytest.approx(10**9 / 4, rel=0.001)


def test_what_was_used_longest_ago_goes_first(cache_dir: Path, on_day: Any) -> None:
    with Store(cache_dir, budget_bytes=10**9) as store:
        for day in range(10):
            on_day(100 + day)
            store.put(key(day), value(day, size=100_000))
            store.flush()
        on_day(200)
        store.get([key(0), key(4)])
        went = store.prune(5 * 400_000)
        assert kept(store, range(10)) == [0, 4, 8, 9]
        assert went == 6


def test_asking_what_is_missing_is_no_use(cache_dir: Path, on_day: Any) -> None:
    with Store(cache_dir, budget_bytes=10**9) as store:
        for day in range(3):
            on_day(100 + day)
            store.put(key(day), value(day, size=100_000))
            store.flush()
        store.missing([key(0)])
        store.prune(3 * 400_000)
        assert kept(store, range(3)) == [1, 2]


def test_beyond_its_budget_a_store_makes_room_by_itself(cache_dir: Path) -> None:
    budget = 20_000_000
    with Store(cache_dir, budget_bytes=budget) as store:
        for number in range(8 * WRITE_BATCH):
            store.put(key(number), value(number, size=5000))
        left = kept(store, range(8 * WRITE_BATCH))
        assert left[-1] == 8 * WRITE_BATCH - 1
        assert 0.5 * budget < len(left) * 20_000 < budget
        assert left == list(range(left[0], 8 * WRITE_BATCH))
    assert (cache_dir / FILE_NAME).stat().st_size < budget + 100_000


def test_values_that_fill_a_page_badly_are_not_removed_beyond_need(cache_dir: Path) -> None:
    """A value of 10 kB takes a page of 16 kB, so that counting lengths alone would remove nearly twice too many."""
    budget = 2_000_000
    with Store(cache_dir, budget_bytes=10**9) as store:
        for number in range(300):
            store.put(key(number), value(number, size=2500))
        store.flush()
        store.prune(budget)
        left = kept(store, range(300))
    assert 0.9 * budget < len(left) * 16_384 < budget
    assert left[-1] == 299


def test_pruning_to_nothing_empties_the_store_and_frees_the_disk(cache_dir: Path) -> None:
    with Store(cache_dir, budget_bytes=10**9) as store:
        for number in range(50):
            store.put(key(number), value(number, size=25_000))
        store.flush()
        assert store.prune(0) == 50
        assert store.info().values == 0
        store.put(key(1), value(1))
        assert store.get([key(1)])[0] is not None
    assert (cache_dir / FILE_NAME).stat().st_size < 200_000


def test_pruning_to_more_than_there_is_removes_nothing(store: Store) -> None:
    store.put(key(1), value(1))
    store.flush()
    assert store.prune(10**9) == 0
    assert kept(store, range(2)) == [1]


def test_threads_share_a_store(store: Store) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(200):
                own = key(1000 * number + step)
                store.put(own, value(step))
                (found,) = store.get([own]) if step % 10 == 0 else (value(step),)
                assert found is not None
                assert found[0] == step
                assert store.missing([own]) == []
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    store.flush()
    assert store.info().values == 800


def test_a_store_of_more_than_100_megabytes_grows_by_itself(cache_dir: Path) -> None:
    with Store(cache_dir, budget_bytes=10**9) as store:
        for number in range(550):
            store.put(key(number), value(number, size=50_000))
        assert store.missing([key(number) for number in range(550)]) == []
        np.testing.assert_array_equal(store.get([key(549)])[0], value(549, size=50_000))
    assert (cache_dir / FILE_NAME).stat().st_size > 100 * 2**20


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_new_folder_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    Store(tmp_path / "new" / "cache").close()
    assert (tmp_path / "new" / "cache").stat().st_mode & 0o777 == 0o700


def test_the_environment_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("HEADSTART_CACHE")
    assert default_folder().name == "headstart"
    assert default_folder().is_absolute()
