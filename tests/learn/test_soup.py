from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headstart.learn.soup import greedy_soup

TARGET = np.array([1.0, 2.0], np.float32)


def distance(weights: list[np.ndarray]) -> float:
    """A loss with one minimum, as in a basin."""
    return float(np.sum((weights[0] - TARGET) ** 2))


def candidate(x: float, y: float) -> list[np.ndarray]:
    return [np.array([x, y], np.float32), np.full(3, 0.1, np.float32)]


def soup_of(candidates: list[list[np.ndarray]]) -> Any:
    return greedy_soup(candidates, [distance(weights) for weights in candidates], distance)


def test_networks_on_both_sides_of_the_best_are_averaged() -> None:
    soup = soup_of([candidate(0.0, 2.0), candidate(1.9, 2.0)])
    assert soup.members == (1, 0)
    np.testing.assert_allclose(soup.weights[0], [0.95, 2.0], rtol=1e-6)
    assert soup.loss == distance(soup.weights)


def test_what_makes_it_worse_or_no_better_stays_out() -> None:
    soup = soup_of([candidate(9.0, 9.0), candidate(1.1, 2.0), candidate(1.1, 2.0)])
    assert soup.members == (1,)
    np.testing.assert_array_equal(soup.weights[0], candidate(1.1, 2.0)[0])


def test_a_third_one_counts_as_much_as_the_first_two() -> None:
    candidates = [candidate(0.0, 2.0), candidate(2.2, 2.0), candidate(1.0, 3.0)]
    soup = soup_of(candidates)
    assert soup.members == (0, 2, 1)
    np.testing.assert_allclose(soup.weights[0], np.mean([weights[0] for weights in candidates], axis=0), rtol=1e-6)


points = st.tuples(st.floats(-5, 5, width=32), st.floats(-5, 5, width=32))


@given(st.lists(points, min_size=1, max_size=6))
def test_a_soup_is_never_worse_than_the_best_and_leaves_shared_weights_alone(places: list[tuple[float, float]]) -> None:
    candidates = [candidate(*place) for place in places]
    soup = soup_of(candidates)
    assert soup.loss <= min(distance(weights) for weights in candidates)
    assert len(set(soup.members)) == len(soup.members)
    np.testing.assert_array_equal(soup.weights[1], candidates[0][1])
