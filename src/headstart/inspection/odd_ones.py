"""Images that are far from all others: a foreign photograph, a test card, the camera's lens cap.

How far an image is from the others is its distance to the third nearest of them in standardised features (Ramaswamy,
Rastogi and Shim 2000). It is odd where that lies far outside of what is usual, by the median and the median deviation
of the distances' logarithms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

NEIGHBOUR = 3
# Robust deviations of the logarithm above the median.
FAR = 5.0
# With more images, a sample is what distances are measured to.
MOST_NEIGHBOURS = 4000
ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class OddOne:
    """An image far from all others.

    Attributes:
        place: of the image.
        times: how many times as far as the median image.
    """

    place: int
    times: float


def odd_ones(features: np.ndarray, seed: int, advance: Callable[[int], None] = lambda count: None) -> list[OddOne]:
    """The odd ones, the farthest first.

    Args:
        features: pooled, float32, shape (images, features).
        seed: draws the sample.
        advance: called with the number of images done since the last call.
    """
    if len(features) <= 2 * NEIGHBOUR:
        return []
    logarithms = np.log(np.maximum(_distances(features, seed, advance), 1e-6))
    middle = float(np.median(logarithms))
    deviation = 1.4826 * float(np.median(np.abs(logarithms - middle)))
    found = np.flatnonzero(logarithms > middle + FAR * max(deviation, 1e-3))
    odd = [OddOne(int(place), float(np.exp(logarithms[place] - middle))) for place in found]
    return sorted(odd, key=lambda one: (-one.times, one.place))


@dataclass(frozen=True)
class _Scale:
    """Standardises features: in deviations, but of none so small that a rare feature alone would make an image odd."""

    mean: np.ndarray
    divisor: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> _Scale:
        mean = features.mean(axis=0, dtype=np.float64)
        squares = np.zeros_like(mean)
        for start in range(0, len(features), ROWS_AT_ONCE):  # in float64 a part at a time, not a copy of all
            squares += np.square(features[start : start + ROWS_AT_ONCE] - mean).sum(axis=0)
        deviation = np.sqrt(squares / len(features))
        divisor = np.maximum(np.maximum(deviation, 0.3 * np.median(deviation)), 1e-6)
        return cls(mean.astype(np.float32), divisor.astype(np.float32))

    def apply(self, features: np.ndarray) -> np.ndarray:
        return np.asarray((features - self.mean) / self.divisor)


def _distances(features: np.ndarray, seed: int, advance: Callable[[int], None]) -> np.ndarray:
    """Of each image, to the third nearest other one of a sample."""
    sample = np.arange(len(features))
    if len(features) > MOST_NEIGHBOURS:
        sample = np.sort(np.random.default_rng(seed).choice(len(features), MOST_NEIGHBOURS, replace=False))
    scale = _Scale.of(features)
    others = scale.apply(features[sample])
    lengths = np.einsum("ij,ij->i", others, others)
    found = np.empty(len(features), np.float32)
    for start in range(0, len(features), ROWS_AT_ONCE):
        some = scale.apply(features[start : start + ROWS_AT_ONCE])
        squares = lengths + np.einsum("ij,ij->i", some, some)[:, None] - 2 * some @ others.T
        squares[sample == (start + np.arange(len(some)))[:, None]] = np.inf  # itself
        nearest = np.partition(squares, NEIGHBOUR - 1, axis=1)[:, NEIGHBOUR - 1]
        found[start : start + len(some)] = np.sqrt(np.maximum(nearest, 0))
        advance(len(some))
    return found
