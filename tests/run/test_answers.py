from __future__ import annotations

import numpy as np
import pytest

from headstart.learn.kinds import CLASSES, Kind, MultiLabel, Regression
from headstart.run import Prediction, answers_of, kind_of

NAMES = ("a", "b", "c")
PROBABILITIES = np.array([0.2, 0.7, 0.1])
LABELS = MultiLabel((0.15, 0.8, 0.05))
NUMBER = Regression(10.0, 2.0, 1.5)


def test_a_class_is_the_most_probable_one() -> None:
    found = answers_of(CLASSES, NAMES).answer("x.png", PROBABILITIES)
    assert found == Prediction("x.png", {"b": 0.7, "a": 0.2, "c": 0.1}, labels=("b",))
    assert (found.label, found.confidence) == ("b", 0.7)


def test_labels_are_those_that_reach_their_thresholds_the_most_probable_first() -> None:
    found = answers_of(LABELS, NAMES).answer("x.png", PROBABILITIES)
    assert list(found.probabilities) == ["b", "a", "c"]
    assert found.labels == ("a", "c")
    assert answers_of(MultiLabel((0.9, 0.9, 0.9)), NAMES).answer("x.png", PROBABILITIES).labels == ()


def test_a_number_comes_with_its_interval() -> None:
    found = answers_of(NUMBER, ("weight",)).answer("x.png", np.float64(12.0))
    assert found == Prediction("x.png", {}, value=12.0, interval=(10.5, 13.5))
    assert (found.label, found.confidence) == (None, None)
    assert answers_of(Regression(), ("weight",)).answer("x.png", np.float64(1.0)).interval is None


@pytest.mark.parametrize("kind", [CLASSES, LABELS, NUMBER, Regression(1.0, 2.0)], ids=repr)
def test_a_kind_comes_back_from_its_record(kind: Kind) -> None:
    assert kind_of(answers_of(kind, NAMES).record) == kind


@pytest.mark.parametrize(
    ("kind", "target", "found", "row"),
    [
        (CLASSES, 0, PROBABILITIES, ("x.png", "a", "b", "0.700000", "0.200000", "0.700000", "0.100000")),
        (LABELS, np.array([0, 1, 1]), PROBABILITIES, ("x.png", "b|c", "a|c", "0.200000", "0.700000", "0.100000")),
        (LABELS, np.zeros(3), np.zeros(3), ("x.png", "", "", "0.000000", "0.000000", "0.000000")),
        (
            NUMBER,
            1 / 3,
            np.float64(2 / 3),
            ("x.png", "0.3333333333333333", "0.666666667", "-0.833333333", "2.16666667"),
        ),
        (Regression(), 1.0, np.float64(2.0), ("x.png", "1.0", "2", "", "")),
    ],
)
def test_a_row_of_the_table_has_a_cell_for_every_column(
    kind: Kind, target: object, found: object, row: tuple[str, ...]
) -> None:
    answers = answers_of(kind, NAMES)
    assert answers.row("x.png", target, found) == row
    assert len(answers.columns) == len(row)
    assert answers.columns[:3] == ("file", "label", "predicted")
