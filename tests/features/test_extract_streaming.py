"""How far ahead of the engine files are decoded, and what is left when something fails on the way."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.errors import StoreFullError
from headstart.features import extract as module
from headstart.features.extract import GROUP, GROUPS_AHEAD_A_CORE, FeatureSet, extract, read_file, render_all
from headstart.features.store import Store
from headstart.images.views import MIRRORED, PLAIN

MakeFeatures = Callable[..., FeatureSet]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
MOST_AHEAD = GROUP * GROUPS_AHEAD_A_CORE * CORES
FILES = 3 * MOST_AHEAD


class Reads:
    """Counts the files that were read."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def __call__(self, path: Path) -> bytes:
        with self._lock:
            self.count += 1
        return read_file(path)

    def settled(self) -> int:
        """The count once it stands still."""
        before = -1
        while before != self.count:
            before = self.count
            time.sleep(0.05)
        return before


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    counted = Reads()
    monkeypatch.setattr(module, "read_file", counted)
    return counted


@pytest.fixture
def images(tmp_path: Path, make_images: Any) -> list[Path]:
    return sorted(make_images(tmp_path / "images", {"cat": FILES}, size=8).rglob("*.png"))


def test_files_are_decoded_ahead_of_the_engine_but_not_far(
    images: list[Path], make_features: MakeFeatures, channel_means: Any, reads: Reads
) -> None:
    ahead: list[int] = []

    def look(taken: int) -> None:
        ahead.append((reads.settled() if taken in (1, FILES // 2) else reads.count) - taken)

    extract(images, make_features(engine=channel_means(after_each=look)))
    assert reads.count == FILES
    assert ahead[0] >= MOST_AHEAD // 2
    assert max(ahead) <= MOST_AHEAD


def test_rendering_stays_as_close_ahead(images: list[Path], make_features: MakeFeatures, reads: Reads) -> None:
    found = render_all(images, make_features().spec)
    for taken in range(1, 4):
        next(found)
        assert MOST_AHEAD // 2 <= reads.settled() <= MOST_AHEAD + taken
    found.close()
    assert reads.settled() <= MOST_AHEAD + 4


@pytest.mark.parametrize(("most_bytes", "most_files"), [(2**22, GROUP), (1, 1)], ids=["small files", "large files"])
def test_small_files_are_looked_up_together_and_large_ones_alone(
    images: list[Path], make_features: MakeFeatures, monkeypatch: pytest.MonkeyPatch, most_bytes: int, most_files: int
) -> None:
    features = make_features()
    looked_up: list[int] = []
    missing = Store.missing

    def counted(store: Store, keys: Sequence[bytes]) -> list[bytes]:
        looked_up.append(len(keys))
        return missing(store, keys)

    monkeypatch.setattr(Store, "missing", counted)
    monkeypatch.setattr(module, "LOOKED_UP_BYTES", most_bytes)
    assert extract(images, features).computed == FILES
    assert (max(looked_up), sum(looked_up)) == (most_files, FILES)


def fail_after(count: int) -> Callable[[int], None]:
    def check(taken: int) -> None:
        if taken > count:
            raise RuntimeError("the engine broke")

    return check


def test_a_failing_engine_stops_the_run_and_what_was_computed_stays(
    images: list[Path], make_features: MakeFeatures, channel_means: Any, cache_dir: Path, reads: Reads
) -> None:
    with Store(cache_dir) as store:
        engine = channel_means(after_each=fail_after(6))
        with pytest.raises(RuntimeError, match="the engine broke"):
            extract(images, make_features(store=store, engine=engine))
    assert reads.count < FILES, "it went on reading"
    with Store(cache_dir) as store:
        assert store.info().values == 6
        features = make_features(store=store)
        result = extract(images, features)
        assert (result.computed, result.reused) == (FILES - 6, 6)
        for path in images[:8]:
            (feature,) = features.load([(result.digests[path], PLAIN)])
            np.testing.assert_array_equal(feature, features.spec.render(path.read_bytes())[0].mean(axis=(0, 1)))


def test_a_failure_while_reading_stops_the_run(
    images: list[Path], make_features: MakeFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> bytes:
        if path == images[5]:
            raise MemoryError("no room")
        return read_file(path)

    monkeypatch.setattr(module, "read_file", read)
    with pytest.raises(MemoryError, match="no room"):
        extract(images, make_features())


def test_a_disk_that_fills_up_stops_the_run_and_keeps_what_was_written(
    images: list[Path], make_features: MakeFeatures, cache_dir: Path
) -> None:
    views = (PLAIN, MIRRORED)
    store = Store(cache_dir)
    store._connection.execute("PRAGMA max_page_count = 8")
    with pytest.raises(StoreFullError, match="the disk has no room left"):
        for number in range(100):
            extract(images, make_features(store=store, network=str(number)), views)
    store._connection.execute("PRAGMA max_page_count = 100000")
    store.close()
    with Store(cache_dir) as store:
        assert extract(images, make_features(store=store, network="0"), views).computed == 0


def test_no_thread_is_left_behind(images: list[Path], make_features: MakeFeatures, channel_means: Any) -> None:
    extract(images, make_features())
    with pytest.raises(RuntimeError):
        extract(images, make_features(network="other", engine=channel_means(after_each=fail_after(2))))
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("decode")] == []
