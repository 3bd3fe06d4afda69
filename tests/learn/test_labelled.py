from __future__ import annotations

import numpy as np
import pytest

from headstart.learn.labelled import Labelled, joined, normalised, weights_at

PART = Labelled(["a", "b", "c"], np.array([0, 1, 1]), units=["x", "y", "y"], weights=np.array([0.5, 0.0, 3.0]))


def test_some_images_keep_all_that_is_said_of_them() -> None:
    found = PART.some([2, 0])
    assert (found.digests, found.units, found.kind) == (["c", "a"], ["y", "x"], PART.kind)
    np.testing.assert_array_equal(found.labels, [1, 0])
    np.testing.assert_array_equal(found.weights, [3, 0.5])
    plain = Labelled(["a", "b"], np.array([0, 1])).some(np.array([1]))
    assert (plain.digests, plain.units, plain.weights) == (["b"], (), None)


def test_images_are_together_with_their_copies_or_their_unit() -> None:
    assert PART.together == ["x", "y", "y"]
    assert Labelled(["a", "a"], np.array([0, 0])).together == ["a", "a"]


def test_images_of_weight_0_are_not_learned_from() -> None:
    assert PART.learned_from.digests == ["a", "c"]
    for all_count in (Labelled(["a"], np.array([0])), PART.learned_from):
        assert all_count.learned_from is all_count


def test_parts_are_joined_with_all_that_is_said_of_them() -> None:
    other = Labelled(["d"], np.array([0]), weights=np.array([2.0]))
    found = joined(PART, other)
    assert found.digests == ["a", "b", "c", "d"]
    assert found.together == ["x", "y", "y", "d"]
    np.testing.assert_array_equal(found.labels, [0, 1, 1, 0])
    np.testing.assert_array_equal(found.weights, [0.5, 0, 3, 2])
    assert joined(Labelled(["a"], np.array([0])), Labelled(["b"], np.array([1]))).weights is None


@pytest.mark.parametrize("size", [1e-300, 1.0, 1e308])
def test_weights_are_1_on_average_whatever_their_size(size: float) -> None:
    found = normalised(size * np.array([0.25, 1.0, 1.0]))
    assert found is not None
    assert found.mean() == pytest.approx(1)
    assert found[1] / found[0] == pytest.approx(4)
    np.testing.assert_array_equal(normalised(np.full(3, size)), np.ones(3))


def test_where_nothing_is_said_all_count_alike() -> None:
    assert normalised(None) is None
    assert weights_at([0], None) is None
    np.testing.assert_array_equal(weights_at(np.array([2, 0]), np.arange(3.0)), [2, 0])
