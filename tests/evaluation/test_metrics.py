from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from headstart.evaluation import metrics
from headstart.evaluation.metrics import (
    METRICS,
    ClassScore,
    ReliabilityBin,
    accuracy,
    balanced_accuracy,
    balanced_log_loss,
    class_scores,
    confidence_intervals,
    confusion_matrix,
    equal_class_weights,
    expected_calibration_error,
    log_loss,
    log_losses,
    macro_f1,
    reliability,
    score,
)

CLASSES = 5


@pytest.fixture(params=range(4))
def judged(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels of unevenly frequent classes, some recognised better than others."""
    rng = np.random.default_rng(request.param)
    labels = rng.choice(CLASSES, size=300, p=[0.5, 0.2, 0.15, 0.1, 0.05])
    logits = rng.normal(0, 1, (300, CLASSES))
    logits[np.arange(300), labels] += labels / 2
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True), labels


def certain(predicted: list[int], classes: int) -> np.ndarray:
    """Probabilities of a classifier that is always sure."""
    return np.eye(classes)[predicted]


def test_the_measures_agree_with_scikit_learn(judged: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = judged
    predicted = probabilities.argmax(axis=1)
    assert accuracy(probabilities, labels) == pytest.approx(sklearn_metrics.accuracy_score(labels, predicted))
    assert balanced_accuracy(probabilities, labels) == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(labels, predicted)
    )
    assert macro_f1(probabilities, labels) == pytest.approx(
        sklearn_metrics.f1_score(labels, predicted, average="macro")
    )
    assert log_loss(probabilities, labels) == pytest.approx(
        sklearn_metrics.log_loss(labels, probabilities, labels=range(CLASSES))
    )
    np.testing.assert_array_equal(
        confusion_matrix(probabilities, labels), sklearn_metrics.confusion_matrix(labels, predicted)
    )


def test_class_scores_agree_with_scikit_learn(judged: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = judged
    precision, recall, f1, images = sklearn_metrics.precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1)
    )
    found = class_scores(probabilities, labels)
    np.testing.assert_allclose([row.precision for row in found], precision)
    np.testing.assert_allclose([row.recall for row in found], recall)
    np.testing.assert_allclose([row.f1 for row in found], f1)
    assert [row.images for row in found] == images.tolist()


def test_absent_classes_count_as_scikit_learn_counts_them() -> None:
    """Class 2 has images and is never predicted, class 3 is predicted and has none, class 4 is neither."""
    labels, predicted = np.array([0, 0, 1, 1, 2, 2]), [0, 1, 1, 3, 0, 3]
    probabilities = certain(predicted, 5)
    assert macro_f1(probabilities, labels) == pytest.approx(
        sklearn_metrics.f1_score(labels, predicted, average="macro")
    )
    # There, balanced accuracy warns of class 3 and leaves it out, as here.
    assert balanced_accuracy(probabilities, labels) == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)


def test_rows_of_a_confusion_matrix_are_the_true_classes() -> None:
    confusion = confusion_matrix(certain([1, 1, 0], 3), np.array([0, 1, 2]))
    assert confusion.tolist() == [[0, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_scores_of_absent_classes_are_zero_and_not_a_division_by_zero() -> None:
    found = class_scores(certain([0, 3, 3, 0], 5), np.array([0, 0, 2, 2]))
    assert found == [
        ClassScore(images=2, precision=0.5, recall=0.5, f1=0.5),
        ClassScore(images=0, precision=0.0, recall=0.0, f1=0.0),
        ClassScore(images=2, precision=0.0, recall=0.0, f1=0.0),
        ClassScore(images=0, precision=0.0, recall=0.0, f1=0.0),
        ClassScore(images=0, precision=0.0, recall=0.0, f1=0.0),
    ]


def test_log_loss_is_in_nats_and_each_image_has_its_own() -> None:
    probabilities, labels = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]]), np.array([0, 0, 0])
    np.testing.assert_allclose(log_losses(probabilities, labels), [math.log(2), math.log(4), 0], atol=1e-12)
    assert log_loss(probabilities, labels) == pytest.approx(math.log(8) / 3)


def test_log_loss_of_a_certain_mistake_is_large_but_finite() -> None:
    assert log_loss(certain([1], 2), np.array([0])) == pytest.approx(-math.log(1e-12))


# Four images at 0.9 of which three are right, and two at 0.6 of which none is.
HAND_MADE = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 2)
HAND_MADE_LABELS = np.array([0, 0, 0, 1, 0, 0])


def test_calibration_error_of_an_example_made_by_hand() -> None:
    expected = (4 * abs(0.75 - 0.9) + 2 * abs(0 - 0.6)) / 6
    assert expected_calibration_error(HAND_MADE, HAND_MADE_LABELS) == pytest.approx(expected)


def test_reliability_bins_hold_images_confidence_and_accuracy() -> None:
    low, high = reliability(HAND_MADE, HAND_MADE_LABELS)
    assert low == ReliabilityBin(2, pytest.approx(0.6), 0.0, 2, 2)
    assert high == ReliabilityBin(4, pytest.approx(0.9), 0.75, 4, 4)


def test_the_last_reliability_bin_takes_certainty_in() -> None:
    (only,) = reliability(np.array([[1.0, 0.0], [0.99, 0.01]]), np.array([0, 1]))
    assert only == ReliabilityBin(2, pytest.approx(0.995), 0.5, 2, 2)


def test_reliability_bins_are_fifteen_equal_steps_and_lose_no_image() -> None:
    confidence = np.linspace(0.501, 0.999, 400)
    bins = reliability(np.stack([confidence, 1 - confidence], axis=1), np.zeros(400, int))
    assert len(bins) == 8  # from 7/15 to 15/15
    assert sum(found.images for found in bins) == 400
    assert [math.floor(found.confidence * 15) for found in bins] == list(range(7, 15))


def test_a_classifier_that_is_as_right_as_it_is_sure_has_no_calibration_error() -> None:
    probabilities = np.tile([0.8, 0.2], (10, 1))
    assert expected_calibration_error(probabilities, np.array([0] * 8 + [1] * 2)) == pytest.approx(0)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_with_equal_class_weights_every_class_present_counts_alike(labels: list[int]) -> None:
    numbers = np.array(labels)
    weights = equal_class_weights(numbers)
    assert weights.mean() == pytest.approx(1)
    of_classes = [weights[numbers == label].sum() for label in np.unique(numbers)]
    assert of_classes == pytest.approx([len(labels) / len(of_classes)] * len(of_classes))


def test_with_equal_class_weights_classes_count_alike_whatever_weights_their_images_have() -> None:
    labels, weights = np.array([0, 0, 0, 2]), np.array([1.0, 2.0, 1.0, 0.5])
    found = equal_class_weights(labels, weights)
    assert (found * weights).sum() == pytest.approx(weights.sum())
    assert (found * weights)[labels == 0].sum() == pytest.approx((found * weights)[labels == 2].sum())
    assert found[0] == found[1] == found[2]


def test_weighted_measures_are_those_of_images_repeated_as_often() -> None:
    repeated = np.repeat(np.arange(6), weights := np.array([1, 3, 2, 1, 2, 4]))
    twice = HAND_MADE[repeated], HAND_MADE_LABELS[repeated]
    for measure in (accuracy, log_loss, expected_calibration_error):
        assert measure(HAND_MADE, HAND_MADE_LABELS, weights) == pytest.approx(measure(*twice))


def test_balanced_measures_are_means_over_the_classes(judged: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = judged
    of_classes = [labels == label for label in np.unique(labels)]
    assert balanced_accuracy(probabilities, labels) == pytest.approx(
        accuracy(probabilities, labels, equal_class_weights(labels))
    )
    assert balanced_log_loss(probabilities, labels) == pytest.approx(
        np.mean([log_loss(probabilities[some], labels[some]) for some in of_classes])
    )


def test_a_bin_of_unequal_weights_leaves_as_much_to_chance_as_fewer_images() -> None:
    (only,) = reliability(np.tile([0.9, 0.1], (5, 1)), np.array([0, 0, 0, 0, 1]), np.array([1, 1, 1, 1, 4]))
    assert (only.images, only.weight, only.accuracy) == (5, 8, 0.5)
    assert only.effective == pytest.approx(8**2 / (4 + 16))


def test_a_score_holds_every_measure_by_name(judged: tuple[np.ndarray, np.ndarray]) -> None:
    found = score(*judged)
    names = ["accuracy", "balanced_accuracy", "macro_f1", "log_loss", "balanced_log_loss", "ece", "balanced_ece"]
    assert list(found) == names
    assert all(found[name] == metric(*judged) for name, metric in METRICS.items())
    assert all(type(value) is float for value in found.values())


def test_intervals_lie_around_the_measures(judged: tuple[np.ndarray, np.ndarray]) -> None:
    found, intervals = score(*judged), confidence_intervals(*judged, seed=0)
    assert set(intervals) == set(METRICS) - {"ece", "balanced_ece"}
    for name, (low, high) in intervals.items():
        assert low < found[name] < high


def test_intervals_are_the_same_for_the_same_seed(
    judged: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "RESAMPLES", 50)
    assert confidence_intervals(*judged, seed=1) == confidence_intervals(*judged, seed=1)
    assert confidence_intervals(*judged, seed=1) != confidence_intervals(*judged, seed=2)


def test_an_interval_of_accuracy_is_as_wide_as_the_binomial_says() -> None:
    labels = np.zeros(400, int)
    low, high = confidence_intervals(certain([0] * 320 + [1] * 80, 2), labels, seed=0)["accuracy"]
    half = 1.96 * math.sqrt(0.8 * 0.2 / 400)
    assert (low, high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.008)


def test_intervals_of_a_perfect_classifier_are_points() -> None:
    intervals = confidence_intervals(certain([0, 1] * 20, 2), np.array([0, 1] * 20), seed=0)
    assert intervals["accuracy"] == intervals["macro_f1"] == (1.0, 1.0)


def test_nineteen_of_twenty_intervals_hold_the_true_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "RESAMPLES", 300)
    monkeypatch.setattr(metrics, "METRICS", {"accuracy": accuracy})
    rng = np.random.default_rng(0)
    repetitions, covered = 120, 0
    for seed in range(repetitions):
        right = rng.random(200) < 0.8
        intervals = confidence_intervals(certain(np.where(right, 0, 1).tolist(), 2), np.zeros(200, int), seed)
        low, high = intervals["accuracy"]
        covered += low <= 0.8 <= high
    assert 0.88 <= covered / repetitions <= 0.995
