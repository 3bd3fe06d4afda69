"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.report.wording import tidy

# A larger table can't be read; the pairs that are confused most say more.
MOST_CLASSES_IN_MATRIX = 25
MOST_PAIRS = 20
LONGEST_HEADING = 22


@dataclass(frozen=True)
class Cell:
    """Images of the row's class that were taken for the column's: their number and their share of the row."""

    images: int
    share: float
    is_right: bool


@dataclass(frozen=True)
class Matrix:
    """The confusion matrix: the classes' names, and a row of cells for each true class."""

    headings: list[str]
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Pair:
    """A class that was taken for another: how many images, and their share of the true class's."""

    label: str
    predicted: str
    images: int
    share: float


def matrix(labels: Sequence[str], counts: np.ndarray) -> Matrix | None:
    """The matrix as a table; None where there are too many classes for one.

    Args:
        labels: the classes.
        counts: int, shape (classes, classes); rows are the true classes.
    """
    if len(labels) > MOST_CLASSES_IN_MATRIX:
        return None
    shares = _shares(counts)
    rows = [
        [Cell(int(counts[i, j]), float(shares[i, j]), i == j) for j in range(len(labels))] for i in range(len(labels))
    ]
    return Matrix([tidy(label, LONGEST_HEADING) for label in labels], rows)


def confused_pairs(labels: Sequence[str], counts: np.ndarray) -> list[Pair]:
    """The pairs with the most mistakes, the worst first; arguments as those of `matrix`."""
    mistakes, shares = counts * ~np.eye(len(labels), dtype=bool), _shares(counts)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:MOST_PAIRS]
    cells = [divmod(int(cell), len(labels)) for cell in order]
    return [
        Pair(tidy(labels[i]), tidy(labels[j]), int(mistakes[i, j]), float(shares[i, j]))
        for i, j in cells
        if mistakes[i, j]
    ]


def _shares(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
