"""Classes that the base can't tell apart, going by what a probe says of held-out images."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

# The share of a pair's images that a probe of the two must get right, each class counting alike, to tell them apart.
TOLD_APART = 0.75
FEWEST_IMAGES = 10


@dataclass(frozen=True)
class Confusable:
    """Two classes, by number, and the share of their images that is right between the two, 0 to 1."""

    first: int
    second: int
    right: float


def confusable(scores: np.ndarray, labels: np.ndarray) -> list[Confusable]:
    """Pairs of classes that are hardly told apart, the worst first.

    Args:
        scores: logits of held-out images, shape (images, classes); NaN for those that weren't held out.
        labels: int, shape (images,).
    """
    known = ~np.isnan(scores[:, 0])
    of_class = [np.flatnonzero(known & (labels == each)) for each in range(scores.shape[1])]
    found = []
    for first, second in combinations(range(scores.shape[1]), 2):
        if min(len(of_class[first]), len(of_class[second])) < FEWEST_IMAGES:
            continue
        wins = [
            float((scores[of_class[one], one] > scores[of_class[one], other]).mean())
            for one, other in ((first, second), (second, first))
        ]
        found.append(Confusable(first, second, sum(wins) / 2))
    return sorted((pair for pair in found if pair.right < TOLD_APART), key=lambda pair: pair.right)
