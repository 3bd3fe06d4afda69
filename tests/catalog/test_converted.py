from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headstart.catalog.converted import Converted
from headstart.errors import WeightsError

ARRAYS = {"conv/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.array(7, np.int64)}


def test_what_is_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    place = Converted(tmp_path, "net", "md5:1")
    assert not place.is_kept()
    assert place.load() is None
    place.keep(ARRAYS)
    assert place.is_kept()
    loaded = place.load()
    assert loaded is not None
    assert loaded.keys() == ARRAYS.keys()
    for path, array in ARRAYS.items():
        np.testing.assert_array_equal(loaded[path], array)
        assert loaded[path].dtype == array.dtype
    assert len(list((tmp_path / "weights").iterdir())) == 2


@pytest.mark.parametrize("other", [("other", "md5:1"), ("net", "md5:2")])
def test_another_network_or_source_has_another_place(tmp_path: Path, other: tuple[str, str]) -> None:
    Converted(tmp_path, "net", "md5:1").keep(ARRAYS)
    assert not Converted(tmp_path, *other).is_kept()


def test_damaged_weights_do_not_count(tmp_path: Path) -> None:
    place = Converted(tmp_path, "net", "md5:1")
    place.keep(ARRAYS)
    (file,) = (tmp_path / "weights").glob("*.safetensors")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert place.load() is None


def test_a_cache_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file")
    with pytest.raises(WeightsError, match=r"can't be kept in .*weights \(File exists\); free some space, or name"):
        Converted(tmp_path, "net", "md5:1").keep(ARRAYS)


def test_a_full_disk_leaves_nothing_that_counts(small_disk: Callable[[int], Path]) -> None:
    place = Converted(small_disk(64), "net", "md5:1")
    with pytest.raises(WeightsError, match=r"\(No space left on device\)"):
        place.keep({"large": np.zeros(10**5, np.float32)})
    assert not place.is_kept()
