from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.evaluation.calibration import softmax
from headstart.evaluation.metrics import balanced_accuracy
from headstart.learn.imbalance import (
    BALANCES,
    TRIED,
    adjustment,
    balanced_draw,
    choose_balance,
    drawn_weights,
    fitting_weights,
    is_skewed,
    measuring_weights,
    skew_of,
    to_try,
)

RARE = np.array([0] * 360 + [1] * 40)

each_class_occurs = st.lists(st.integers(1, 30), min_size=2, max_size=5).map(
    lambda counts: np.repeat(np.arange(len(counts)), counts)
)


def answers(recall_of_common: float, recall_of_rare: float, start: int = 0) -> np.ndarray:
    """Logits that find these shares of the two classes of `RARE`; of the rare one those from `start` on."""
    right = np.zeros(len(RARE), bool)
    right[: round(360 * recall_of_common)] = True
    right[360 + start : 360 + start + round(40 * recall_of_rare)] = True
    return np.eye(2)[np.where(right, RARE, 1 - RARE)]


def test_the_skew_is_that_of_the_largest_class_to_the_smallest_present() -> None:
    assert skew_of(np.array([0, 0, 0, 2, 2, 2, 2, 2, 2])) == 2
    assert skew_of(RARE) == 9


@pytest.mark.parametrize(("largest", "is_too_much"), [(30, False), (31, True)])
def test_three_to_one_is_no_skew_yet(largest: int, is_too_much: bool) -> None:
    labels = np.array([0] * largest + [1] * 10)
    assert is_skewed(skew_of(labels)) == is_too_much
    assert to_try(labels, "auto") == (TRIED if is_too_much else ("none",))


@pytest.mark.parametrize("asked", BALANCES)
def test_what_is_asked_for_is_done_whatever_the_skew(asked: str) -> None:
    for labels in (RARE, np.arange(10) % 2):
        assert to_try(labels, asked) == (asked,)
        found = choose_balance({asked: answers(0.9, 0.1)}, RARE, labels, asked, seed=0)
        assert (found.kind, found.reason, found.skew) == (asked, "as asked", skew_of(labels))


def test_below_the_skew_nothing_is_done_and_a_few_words_say_so() -> None:
    found = choose_balance({"none": answers(0.5, 0.5)}, RARE, np.array([0] * 14 + [1] * 10), "auto", seed=0)
    assert found.kind == "none"
    assert found.reason == "the largest class has 1.4 times the images of the smallest; up to 3 times nothing is done"


def test_too_few_images_to_measure_are_left_as_they_are() -> None:
    found = choose_balance({}, RARE[:0], np.array([0] * 9 + [1]), "auto", seed=0)
    assert (found.kind, found.balanced_accuracy) == ("none", {})
    assert (
        found.reason
        == "the largest class has 9.0 times the images of the smallest, and too few to measure what would help"
    )


def test_a_clear_gain_in_balanced_accuracy_is_taken_though_accuracy_falls() -> None:
    held_out = {"none": answers(1.0, 0.2), "logits": answers(0.8, 0.8), "weights": answers(0.8, 0.8)}
    found = choose_balance(held_out, RARE, RARE, "auto", seed=0)
    assert found.kind == "logits"
    assert found.balanced_accuracy == {
        kind: pytest.approx(balanced_accuracy(softmax(logits), RARE)) for kind, logits in held_out.items()
    }
    assert re.fullmatch(
        "the largest class has 9.0 times the images of the smallest; balanced accuracy in cross-validation is 60.0% as "
        r"they are, 80.0% with logit adjustment \(p = 0\.000\d\), 80.0% with class weights \(p = 1\)",
        found.reason,
    )


def test_a_gain_that_could_be_chance_is_not_taken() -> None:
    held_out = {"none": answers(1.0, 0.5), "logits": answers(0.99, 0.575), "weights": answers(0.99, 0.55)}
    found = choose_balance(held_out, RARE, RARE, "auto", seed=0)
    assert found.kind == "none"
    assert found.reason.endswith("; what is more could be chance")


def test_class_weights_are_taken_only_where_they_beat_logit_adjustment() -> None:
    better = {"none": answers(1.0, 0.2), "logits": answers(0.9, 0.5), "weights": answers(0.9, 0.8)}
    assert choose_balance(better, RARE, RARE, "auto", seed=0).kind == "weights"
    only = {"none": answers(1.0, 0.2), "logits": answers(1.0, 0.2), "weights": answers(0.9, 0.8)}
    assert choose_balance(only, RARE, RARE, "auto", seed=0).kind == "weights"
    hardly = {"none": answers(1.0, 0.2), "logits": answers(0.9, 0.8), "weights": answers(0.9, 0.825)}
    assert choose_balance(hardly, RARE, RARE, "auto", seed=0).kind == "logits"


def test_images_count_for_what_their_class_lacks_where_that_is_the_remedy() -> None:
    for balance in ("weights", "sampling"):
        weights = fitting_weights(RARE, balance)
        assert weights is not None
        assert weights[-1] / weights[0] == pytest.approx(9)
    assert fitting_weights(RARE, "none") is fitting_weights(RARE, "logits") is measuring_weights(RARE, "none") is None
    for balance in ("weights", "sampling", "logits"):
        weights = measuring_weights(RARE, balance)
        assert weights is not None
        assert weights[RARE == 0].sum() == pytest.approx(weights[RARE == 1].sum())


@given(each_class_occurs, st.integers(0, 99))
def test_adjusting_turns_the_datas_probabilities_into_those_of_equal_classes(labels: np.ndarray, seed: int) -> None:
    """Bayes: divided by the classes' shares and scaled to sum to one again."""
    shares = np.bincount(labels) / len(labels)
    likelihoods = np.random.default_rng(seed).uniform(0.1, 1, (5, len(shares)))
    logits = np.log(likelihoods * shares)
    found = softmax(logits - adjustment(labels, len(shares), "logits"))
    np.testing.assert_allclose(found, likelihoods / likelihoods.sum(axis=1, keepdims=True), atol=1e-5)


@given(each_class_occurs)
def test_the_adjustment_moves_no_logit_on_average(labels: np.ndarray) -> None:
    classes = labels[-1] + 1
    assert adjustment(labels, classes, "logits").sum() == pytest.approx(0, abs=1e-5)
    for balance in ("none", "weights", "sampling"):
        np.testing.assert_array_equal(adjustment(labels, classes, balance), np.zeros(classes))


@given(each_class_occurs, st.integers(0, 9))
def test_a_balanced_draw_has_as_many_images_of_each_class_and_repeats_none_early(labels: np.ndarray, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(labels))
    labels = labels[order]
    drawn = balanced_draw(np.random.default_rng(seed), labels)
    assert len(drawn) == len(labels)
    of_classes = np.bincount(labels[drawn], minlength=labels.max() + 1)
    assert of_classes.max() - of_classes.min() <= 1
    times = np.bincount(drawn, minlength=len(labels))
    for label in np.unique(labels):
        assert np.ptp(times[labels == label]) <= 1


def test_a_balanced_draw_depends_on_its_generator_alone_and_is_mixed() -> None:
    one, two, other = (balanced_draw(np.random.default_rng(seed), RARE) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()
    assert 60 < RARE[one][:200].sum() < 140


def test_over_epochs_every_image_is_drawn() -> None:
    seen = {int(image) for seed in range(8) for image in balanced_draw(np.random.default_rng(seed), RARE)}
    assert seen == set(range(len(RARE)))


def test_balanced_classes_count_alike_by_the_weights_that_images_have_besides() -> None:
    labels, weights = np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 2.0, 3.0])
    for balance in ("weights", "sampling"):
        found = fitting_weights(labels, balance, weights)
        assert found is not None
        assert found[labels == 0].sum() == pytest.approx(found[labels == 1].sum())
        assert found[2] / found[0] == pytest.approx(2)
        assert found.sum() == pytest.approx(weights.sum())
    for balance in ("none", "logits"):
        assert fitting_weights(labels, balance, weights) is weights


def test_the_adjustment_takes_off_the_shares_that_were_learned() -> None:
    labels, weights = np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 2.0, 1.0])
    repeated = adjustment(np.repeat(labels, weights.astype(int)), 2, "logits")
    np.testing.assert_allclose(adjustment(labels, 2, "logits", weights), repeated, atol=1e-6)


def test_what_was_drawn_as_often_of_each_class_has_weights_within_its_class() -> None:
    """Over many epochs an image then counts for what class weights would make of it."""
    labels, weights = np.array([0, 0, 0, 1, 1]), np.array([1.0, 1.0, 4.0, 3.0, 9.0])
    found = drawn_weights(labels, weights)
    assert found is not None
    np.testing.assert_allclose(found, [0.5, 0.5, 2, 0.5, 1.5])
    often = len(labels) / (2 * np.bincount(labels)[labels])
    at_once = fitting_weights(labels, "weights", weights / weights.mean())
    np.testing.assert_allclose(often * found, at_once)
    assert drawn_weights(labels, None) is None
