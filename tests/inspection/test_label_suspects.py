from __future__ import annotations

import numpy as np
import pytest

from headstart.inspection.label_suspects import suspect_classes, suspect_labels, suspect_numbers


def test_suspects_are_those_that_another_class_is_as_sure_of_as_of_its_own() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    sure = np.array([0.9, 0.8, 0.1, 0.2, 0.1, 0.45])  # of class 0
    found = suspect_classes(np.stack([sure, 1 - sure], axis=1), labels)
    # The third is surely the other; the last is in doubt, but leans to its own label.
    assert [(suspect.place, suspect.output) for suspect in found] == [(2, 1)]
    assert found[0].margin == pytest.approx(0.8)


def test_a_class_that_is_never_sure_may_take_an_image_that_one_that_is_may_not() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    probabilities = np.array(
        [[0.95, 0.03, 0.02], [0.95, 0.03, 0.02], [0.5, 0.4, 0.1], [0.3, 0.4, 0.3], [0.1, 0.6, 0.3]]
    )
    # Class 0 is usually 0.95 sure, so that half isn't enough; class 1 is usually 0.4 sure, and 0.6 is.
    assert [(suspect.place, suspect.output) for suspect in suspect_classes(probabilities, labels)] == [(4, 1)]


def test_the_likeliest_come_first_and_what_wasnt_held_out_stays_out() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 1])
    sure = np.array([0.9, 0.2, 0.05, 0.1, 0.1, 0.1, np.nan])
    found = suspect_classes(np.stack([sure, 1 - sure], axis=1), labels)
    assert [suspect.place for suspect in found] == [2]
    assert suspect_classes(np.full((3, 2), np.nan), np.array([0, 1, 0])) == []


def test_of_several_labels_the_one_most_in_doubt_is_told() -> None:
    targets = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [0, 0]])
    probabilities = np.where(targets == 1, 0.9, 0.1)
    probabilities[4] = [0.05, 0.08]
    found = suspect_labels(probabilities, targets)
    assert [(suspect.place, suspect.output) for suspect in found] == [(4, 0)]


def test_numbers_far_from_what_is_predicted_are_suspects() -> None:
    targets = np.arange(20, dtype=np.float64)
    predicted = targets + np.tile([0.5, -0.5], 10)
    targets[7] = 40
    predicted[9] = np.nan
    assert [suspect.place for suspect in suspect_numbers(predicted, targets)] == [7]
    assert suspect_numbers(np.full(3, np.nan), np.zeros(3)) == []
    assert suspect_numbers(np.zeros(3), np.zeros(3)) == []
