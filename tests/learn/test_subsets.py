from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.learn.labelled import Labelled
from headstart.learn.subsets import draw_subset


def images(*counts: int, units: tuple[str, ...] = ()) -> Labelled:
    labels = np.repeat(np.arange(len(counts)), counts)
    return Labelled([f"{number:04}" for number in range(len(labels))], labels, units=units)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_smaller_shares_lie_within_larger_ones(seed: int) -> None:
    shares = [draw_subset(images(80, 40), share, seed) for share in (0.05, 0.1, 0.25, 0.5, 1.0)]
    drawn = [set(subset.whole.digests) for subset in shares]
    assert all(smaller < larger for smaller, larger in pairwise(drawn))
    assert [len(subset.whole.digests) for subset in shares] == [6, 12, 30, 60, 120]
    assert [list(np.bincount(subset.whole.labels)) for subset in shares[:2]] == [[4, 2], [8, 4]]


def test_another_seed_draws_others_and_the_order_of_images_draws_none() -> None:
    one, other = (draw_subset(images(80, 40), 0.1, seed).whole.digests for seed in (0, 1))
    assert set(one) != set(other)
    turned = images(80, 40).some(range(119, -1, -1))
    assert set(draw_subset(turned, 0.1, 0).whole.digests) == set(one)


def test_about_a_fifth_of_each_class_judges_and_is_not_learned_from() -> None:
    subset = draw_subset(images(80, 40), 1.0, 0)
    assert list(np.bincount(subset.held_out.labels)) == [16, 8]
    assert set(subset.fitted.digests) | set(subset.held_out.digests) == set(subset.whole.digests)
    assert set(subset.fitted.digests).isdisjoint(subset.held_out.digests)


def test_a_class_has_two_images_at_least_one_to_learn_from_and_one_to_judge_by() -> None:
    subset = draw_subset(images(100, 3), 0.05, 0)
    assert list(np.bincount(subset.whole.labels)) == [5, 2]
    assert list(np.bincount(subset.fitted.labels)) == [4, 1]


def test_near_duplicates_are_never_learned_from_and_judged_by() -> None:
    units = tuple(str(number // 4) for number in range(80))
    subset = draw_subset(images(40, 40, units=units), 0.5, 0)
    assert subset.held_out.digests
    assert set(subset.fitted.together).isdisjoint(subset.held_out.together)


def test_too_few_images_are_an_error() -> None:
    with pytest.raises(DataError, match="too few different images to learn from some and judge by others; add images"):
        draw_subset(images(1, 1), 1.0, 0)
