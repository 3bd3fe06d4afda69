from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from headstart.inspection.alignment import Overlay, coarsened, correlation, lay_coarsely, lay_finely

SIDE = 48


def pictures(count: int, seed: int = 0, side: int = SIDE) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (count, side, side))
    smooth = gaussian_filter(noise, (0, side / 24, side / 24))
    return (smooth / smooth.std(axis=(1, 2), keepdims=True)).astype(np.float32)


def cut(large: np.ndarray, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The part of pictures between these shares of their sides, in as many pixels."""
    rows = np.array([[bottom - top - 1, (top + bottom) / 2 - 0.5]] * len(large), np.float32)
    columns = np.array([[right - left - 1, (left + right) / 2 - 0.5]] * len(large), np.float32)
    return Overlay(rows, columns).lay(large)


def likeness(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Coarse pictures first, then the fine ones."""
    overlay, found = lay_coarsely(coarsened(first), coarsened(second))
    return np.where(found >= 0.95, lay_finely(first, second, overlay), found)


def test_laid_over_without_a_change_a_picture_stays_as_it_is() -> None:
    found = pictures(3)
    assert np.allclose(Overlay.none(3).lay(found), found, atol=1e-5)


def test_an_overlay_shifts_and_turned_round_shifts_back() -> None:
    step = Overlay(np.array([[0.0, 2 / SIDE]], np.float32), np.array([[0.0, -1 / SIDE]], np.float32))
    found = pictures(1)
    moved = step.lay(found)
    assert np.allclose(moved[0, 5:40, 5:40], found[0, 7:42, 4:39], atol=1e-4)
    back = step.turned_round().lay(moved)
    assert np.allclose(back[0, 8:40, 8:40], found[0, 8:40, 8:40], atol=1e-4)


def test_an_enlarging_overlay_turned_round_shrinks() -> None:
    overlay = Overlay(np.array([[0.1, 0.02]], np.float32), np.array([[0.05, 0.0]], np.float32))
    assert overlay.enlarges.tolist() == [True]
    assert overlay.turned_round().enlarges.tolist() == [False]
    again = overlay.turned_round().turned_round()
    assert np.allclose(again.rows, overlay.rows, atol=1e-6)
    assert np.allclose(again.columns, overlay.columns, atol=1e-6)


def test_brighter_and_paler_is_the_same_picture_and_another_is_not() -> None:
    one, other = pictures(4), pictures(4, seed=1)
    assert np.allclose(correlation(one, 0.5 * one + 3), 1, atol=1e-5)
    assert np.abs(correlation(one, other)).max() < 0.5
    assert correlation(one, np.ones_like(one)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("box", [(0.03, 0.02, 0.99, 0.96), (0, 0, 0.93, 1), (0.04, 0.04, 0.96, 0.96)])
def test_a_copy_that_was_cut_is_found_from_either_side(box: tuple[float, float, float, float]) -> None:
    originals = pictures(6)
    copies = 0.8 * cut(originals, *box) + 0.1
    for found in (likeness(originals, copies), likeness(copies, originals)):
        assert found.min() > 0.99999


def test_different_pictures_are_not_made_alike() -> None:
    assert likeness(pictures(20), pictures(20, seed=1)).max() < 0.95


def test_what_is_alike_in_its_broad_shading_alone_is_not_the_same() -> None:
    shade = 20 * np.linspace(0, 1, SIDE, dtype=np.float32)[None, :, None]
    first, second = shade + pictures(5), shade + pictures(5, seed=1)
    assert correlation(first, second).min() > 0.9
    assert likeness(first, second).max() < 0.9
