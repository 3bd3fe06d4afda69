"""Parts of the labels: nested, so that more labels are the same ones and others, and each with images to judge by."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.errors import DataError
from headstart.learn.labelled import Labelled

# One is learned from, one judges.
FEWEST_A_STRATUM = 2
HELD_OUT_SHARE = 0.2


@dataclass(frozen=True)
class Subset:
    """Some of the labelled images.

    Attributes:
        fraction: of all of them, above 0 and up to 1.
        seed: that drew them.
        whole: all images of the subset.
        fitted: those that are learned from.
        held_out: about a fifth, which settings and epochs are chosen by.
    """

    fraction: float
    seed: int
    whole: Labelled
    fitted: Labelled
    held_out: Labelled


def draw_subset(images: Labelled, fraction: float, seed: int) -> Subset:
    """A stratified share of labelled images; with the same seed, a smaller one lies within each larger one.

    Which images these are is drawn from the seed and their digests, so that it doesn't depend on their order. A class
    has at least two, or what it has. Near-duplicates and images of a group are never learned from and judged by both.

    Args:
        images: all there are to learn from.
        fraction: of them, above 0 and up to 1.
        seed: another one draws others.

    Raises:
        DataError: no image is left to judge by.
    """
    strata = images.kind.strata(images.labels)
    chosen: list[int] = []
    for stratum in np.unique(strata):
        ordered = _drawn(np.flatnonzero(strata == stratum).tolist(), images.together, f"subset {seed}")
        chosen += ordered[: max(FEWEST_A_STRATUM, math.ceil(fraction * len(ordered) - 1e-9))]
    chosen.sort()
    whole = images.some(chosen)
    held_out = _held_out(strata[chosen], whole.together, seed)
    if not held_out:
        raise DataError(
            "there are too few different images to learn from some and judge by others", "add images of each class"
        )
    fitted = [place for place in range(len(chosen)) if place not in held_out]
    return Subset(fraction, seed, whole, whole.some(fitted), whole.some(sorted(held_out)))


def _held_out(strata: np.ndarray, units: Sequence[str], seed: int) -> set[int]:
    """Places of about a fifth of each stratum, whole units at a time; each stratum keeps a unit to learn from."""
    taken: set[str] = set()
    for stratum in np.unique(strata):
        of_it = np.flatnonzero(strata == stratum).tolist()
        ordered = list(dict.fromkeys(units[place] for place in _drawn(of_it, units, f"held out {seed}")))
        counts = Counter(units[place] for place in of_it)
        wanted, held = max(1, round(HELD_OUT_SHARE * len(of_it))), sum(counts[unit] for unit in counts if unit in taken)
        for unit in ordered[:-1]:
            if held >= wanted:
                break
            held += 0 if unit in taken else counts[unit]
            taken.add(unit)
    return {place for place in range(len(units)) if units[place] in taken}


def _drawn(places: Sequence[int], units: Sequence[str], how: str) -> list[int]:
    """Places in an order that chance gives to their units."""
    return sorted(places, key=lambda place: (hashlib.sha256(f"{how}:{units[place]}".encode()).digest(), place))
