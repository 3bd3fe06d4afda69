"""Shortcuts: what gives a class away without showing it, such as one class saved as PNG and the other as JPEG.

A network learns whatever tells classes apart (Geirhos et al. 2020, arXiv:2004.07780). Where the format, the size or the
kind of pixels of a file says which class it has, a good figure may mean just that, and new images bring no such sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# By how much guessing from the trait must beat guessing the largest class, and how unlikely that must be by chance.
GAIN, CHANCE = 0.1, 1e-4
FEWEST_IMAGES = 20
# Sizes and brightness fall into so many bins of equal count.
BINS = 8


@dataclass(frozen=True)
class Shortcut:
    """A trait of files that gives classes away.

    Attributes:
        trait: its name.
        right: the share of images whose class is guessed from it, 0 to 1; `guessing` is that of the largest class.
        values: for each class, its commonest value and the share of its images that have it.
    """

    trait: str
    right: float
    guessing: float
    values: Mapping[int, tuple[str, float]]


def shortcuts(traits: Mapping[str, Sequence[str]], labels: np.ndarray) -> list[Shortcut]:
    """Traits that give classes away, the clearest first.

    Args:
        traits: the value of each image, by trait.
        labels: int, shape (images,).
    """
    if len(labels) < FEWEST_IMAGES:
        return []
    found = [shortcut for trait, values in traits.items() if (shortcut := _of_trait(trait, values, labels))]
    return sorted(found, key=lambda shortcut: shortcut.guessing - shortcut.right)


def in_bins(values: np.ndarray) -> list[str]:
    """Numbers as the range of the bin that they fall into."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    if len(edges) < 3:
        return [f"{value:g}" for value in values.tolist()]
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return [f"{edges[number]:.3g} to {edges[number + 1]:.3g}" for number in bins.tolist()]


def _of_trait(trait: str, values: Sequence[str], labels: np.ndarray) -> Shortcut | None:
    from scipy.stats import chi2_contingency

    names, rows = np.unique(np.asarray(values), return_inverse=True)
    classes, columns = np.unique(labels, return_inverse=True)
    if len(names) < 2 or len(classes) < 2:
        return None
    table = np.zeros((len(names), len(classes)), np.int64)
    np.add.at(table, (rows, columns), 1)
    # Each image is guessed from the others, so that a value of its own says nothing.
    right = sum(_right_in(row, table.sum(axis=0)) for row in table) / len(labels)
    guessing = float(table.sum(axis=0).max()) / len(labels)
    if right - guessing < GAIN or chi2_contingency(table).pvalue > CHANCE:
        return None
    commonest = table.argmax(axis=0)
    shares = table.max(axis=0) / table.sum(axis=0)
    of_class = zip(classes.tolist(), commonest.tolist(), shares.tolist(), strict=True)
    return Shortcut(trait, right, guessing, {each: (str(names[value]), share) for each, value, share in of_class})


def _right_in(row: np.ndarray, totals: np.ndarray) -> float:
    """How many images of one value are guessed rightly, each from the others; the largest class where there is none."""
    right = 0.0
    for each in np.flatnonzero(row):
        others = row.copy()
        others[each] -= 1
        guess = others.argmax() if others.any() else totals.argmax()
        right += float(row[each]) * (guess == each)
    return right
