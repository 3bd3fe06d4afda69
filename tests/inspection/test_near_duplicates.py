from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from headstart.inspection import near_duplicates as module
from headstart.inspection.near_duplicates import Pair, groups, near_duplicates

SIDE = 48


def thumbnails(count: int, seed: int = 0) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(0, 1, (count, SIDE, SIDE)), (0, 2, 2))
    return (128 + 40 * noise / noise.std()).clip(1, 254).astype(np.float32)


def found(pictures: np.ndarray) -> list[tuple[int, int]]:
    return [(pair.first, pair.second) for pair in near_duplicates(pictures, pictures.std(axis=(1, 2)) / 255)]


@pytest.mark.parametrize("count", [40, 200])
def test_brighter_and_shifted_copies_are_found_and_nothing_else(count: int) -> None:
    some = thumbnails(count)
    brighter, shifted = 0.8 * some[3], np.roll(some[7], 1, axis=1)
    pictures = np.stack([*some, brighter, shifted])
    assert found(pictures) == [(3, count), (7, count + 1)]
    assert found(pictures.astype(np.float16).astype(np.float32)) == found(pictures)
    pairs = near_duplicates(pictures.astype(np.float16), pictures.std(axis=(1, 2)) / 255)
    assert [(pair.first, pair.second) for pair in pairs] == found(pictures)


def test_pairs_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 3)
    monkeypatch.setattr(module, "FEW", 5)
    some = thumbnails(30)
    done: list[int] = []
    pictures = np.stack([*some, some[0] * 0.9, some[29] * 0.9])
    pairs = near_duplicates(pictures, pictures.std(axis=(1, 2)) / 255, done.append)
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 30), (29, 31)]
    assert all(module.SAME <= pair.likeness <= 1 + 1e-6 for pair in pairs)
    assert sum(done) == 32


def test_all_pairs_of_many_copies_are_found_among_many_pictures() -> None:
    some = thumbnails(module.FEW + 10)
    pictures = np.stack([*some, *(some[5] * share for share in (0.95, 0.9, 0.85, 0.8))])
    copies = [5, *range(len(some), len(some) + 4)]
    assert found(pictures) == [(one, other) for one in copies for other in copies if one < other]


def test_blank_pictures_have_nothing_to_tell_them_apart_by() -> None:
    blank = np.full((5, SIDE, SIDE), 200, np.float32)
    assert found(np.concatenate([thumbnails(5), blank])) == []
    assert found(blank) == []


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures_are_no_trouble(count: int) -> None:
    pictures = np.concatenate([thumbnails(2)[:count], 0.9 * thumbnails(2)[:count]])
    assert near_duplicates(pictures[:count], np.ones(count)) == []
    pairs = near_duplicates(pictures, np.ones(2 * count))
    assert [(pair.first, pair.second) for pair in pairs] == [(place, place + count) for place in range(count)]


def test_groups_are_linked_by_any_of_their_pairs() -> None:
    pairs = [Pair(0, 5, 1.0), Pair(2, 3, 1.0), Pair(5, 9, 1.0), Pair(3, 9, 1.0), Pair(10, 11, 1.0)]
    assert groups(pairs) == [(0, 2, 3, 5, 9), (10, 11)]
    assert groups([]) == []
