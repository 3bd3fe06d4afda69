from __future__ import annotations

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.learn.kinds import MultiLabel


def test_labels_are_ones_in_their_columns() -> None:
    found = MultiLabel.encode([("a", "c"), (), ("b",)], ("a", "b", "c"))
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert MultiLabel.encode([], ("a", "b")).shape == (0, 2)


@pytest.mark.parametrize(("targets", "has"), [([[1, 0], [0, 0]], "no"), ([[1, 1], [0, 1]], "every")])
def test_a_label_that_all_or_no_training_images_have_cant_be_learned(targets: list[list[int]], has: str) -> None:
    with pytest.raises(DataError) as caught:
        MultiLabel.of(np.array(targets), ("a", "b"))
    assert str(caught.value) == (
        f"{has} training image has the label 'b', so it can't be learned; "
        "add images with it and without it to the training part, or leave it out"
    )


def test_labels_are_given_from_their_thresholds_on() -> None:
    probabilities = np.array([[0.5, 0.5], [0.3, 0.7]])
    assert MultiLabel().given(probabilities).tolist() == [[True, True], [False, True]]
    assert MultiLabel((0.3, 0.6)).given(probabilities).tolist() == [[True, False], [True, True]]


def test_thresholds_are_settled_by_images_and_judge_from_then_on() -> None:
    targets = np.repeat([[1.0], [0.0]], 20, axis=0)
    probabilities = np.where(targets > 0, 0.3, 0.1)
    kind = MultiLabel()
    settled = kind.settle(probabilities, targets)
    assert settled.thresholds == (pytest.approx(0.2),)
    assert kind.score(probabilities, targets)["exact_match"] == 0.5
    assert settled.score(probabilities, targets)["exact_match"] == 1


def test_strata_go_by_the_rarest_label() -> None:
    targets = np.array([[1, 0]] * 20 + [[1, 1]] * 6 + [[0, 0]] * 7)
    strata = MultiLabel().strata(targets)
    assert [len(set(strata[places])) for places in (slice(0, 20), slice(20, 26), slice(26, 33))] == [1, 1, 1]
    assert len(set(strata)) == 3


def test_labels_share_out_what_they_are_on() -> None:
    targets = np.array([[1, 0], [1, 1], [1, 0]])
    assert MultiLabel().images_an_output(targets, 2) == (2, "2 training images a label")
