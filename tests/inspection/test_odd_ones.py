from __future__ import annotations

import numpy as np
import pytest

from headstart.inspection import odd_ones as module
from headstart.inspection.odd_ones import odd_ones


def features(count: int = 200) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (count, 40)).astype(np.float32)


def test_images_far_from_all_others_are_odd_the_farthest_first() -> None:
    rows = features()
    rows[17] += 20
    rows[50] -= 40
    found = odd_ones(rows, 0)
    assert [one.place for one in found] == [50, 17]
    assert found[0].times > found[1].times > 2


def test_nothing_is_odd_among_what_is_alike_and_a_small_group_is_no_oddity() -> None:
    rows = features()
    assert odd_ones(rows, 0) == []
    rows[:6] += 20
    assert odd_ones(rows, 0) == []
    assert odd_ones(features(5), 0) == []
    assert odd_ones(np.zeros((50, 4), np.float32), 0) == []


def test_a_feature_that_hardly_any_image_has_makes_it_no_oddity_by_itself() -> None:
    rows = features()
    rows[:, 7] = 0
    rows[40, 7] = 0.5  # fourteen deviations of that feature, and half of one of the others
    assert odd_ones(rows, 0) == []


@pytest.mark.parametrize(("alike", "odd"), [(3, 3), (4, 0)])
def test_up_to_three_that_are_alike_are_odd_all_the_same(alike: int, odd: int) -> None:
    rows = features()
    rows[:alike] = 20 + 0.01 * rows[:alike]
    assert len(odd_ones(rows, 0)) == odd


def test_of_many_images_a_sample_is_what_distances_are_measured_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NEIGHBOURS", 50)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 64)
    rows, done = features(), []
    rows[17] += 20
    assert [one.place for one in odd_ones(rows, 3, done.append)] == [17]
    assert sum(done) == 200
