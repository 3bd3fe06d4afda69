from __future__ import annotations

import numpy as np

from headstart.inspection.confusable import confusable


def test_pairs_that_are_told_apart_hardly_better_than_by_guessing_are_named_the_worst_first() -> None:
    labels = np.repeat([0, 1, 2, 3], 50)
    scores = np.random.default_rng(0).normal(0, 1, (200, 4))
    scores[:, 3] += np.where(labels == 3, 8, -8)  # the last is known, the others aren't
    scores[labels == 2, 2] += 0.5
    found = confusable(scores, labels)
    assert {(pair.first, pair.second) for pair in found} == {(0, 1), (0, 2), (1, 2)}
    assert (found[0].first, found[0].second) == (0, 1)
    assert all(0.35 < pair.right < 0.75 for pair in found)
    assert [pair.right for pair in found] == sorted(pair.right for pair in found)


def test_a_large_class_doesnt_hide_that_a_small_one_is_never_found() -> None:
    labels = np.repeat([0, 1], [190, 10])
    scores = np.tile([1.0, 0.0], (200, 1))
    assert [pair.right for pair in confusable(scores, labels)] == [0.5]


def test_too_few_images_say_nothing_and_neither_do_those_never_held_out() -> None:
    labels = np.repeat([0, 1], [20, 9])
    assert confusable(np.zeros((29, 2)), labels) == []
    assert confusable(np.full((40, 2), np.nan), np.repeat([0, 1], 20)) == []
