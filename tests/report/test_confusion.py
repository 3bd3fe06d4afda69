from __future__ import annotations

import numpy as np

from headstart.report.confusion import MOST_CLASSES_IN_MATRIX, Cell, Pair, confused_pairs, matrix

COUNTS = np.array([[8, 2, 0], [1, 5, 4], [0, 0, 0]])


def test_cells_have_their_share_of_the_row() -> None:
    found = matrix(("a", "b", "c"), COUNTS)
    assert found is not None
    assert found.headings == ["a", "b", "c"]
    assert found.rows[0] == [Cell(8, 0.8, True), Cell(2, 0.2, False), Cell(0, 0.0, False)]
    assert found.rows[2] == [Cell(0, 0.0, False), Cell(0, 0.0, False), Cell(0, 0.0, True)]


def test_too_many_classes_have_no_matrix() -> None:
    most = MOST_CLASSES_IN_MATRIX
    labels = [str(number) for number in range(most + 1)]
    assert matrix(labels[:most], np.eye(most, dtype=int)) is not None
    assert matrix(labels, np.eye(most + 1, dtype=int)) is None


def test_pairs_come_by_their_mistakes() -> None:
    pairs = confused_pairs(("a", "b", "c"), COUNTS)
    assert pairs == [Pair("b", "c", 4, 0.4), Pair("a", "b", 2, 0.2), Pair("b", "a", 1, 0.1)]


def test_no_mistakes_no_pairs() -> None:
    assert confused_pairs(("a", "b"), np.eye(2, dtype=int)) == []
