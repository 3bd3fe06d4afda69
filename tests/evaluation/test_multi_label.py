from __future__ import annotations

import numpy as np
import pytest

from headstart.evaluation.multi_label import (
    FEWEST_POSITIVES,
    average_precisions,
    choose_thresholds,
    confidence_intervals,
    label_scores,
    log_losses,
    mean_average_precision,
    precision_recall,
    score,
)

HALF = np.full(3, 0.5)


def problem(images: int = 60, labels: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that say something of targets, rounded so that some are equal."""
    rng = np.random.default_rng(seed)
    targets = (rng.uniform(size=(images, labels)) < np.linspace(0.2, 0.7, labels)).astype(np.float32)
    probabilities = np.clip(0.5 + 0.2 * (targets - 0.5) + rng.normal(0, 0.2, (images, labels)), 0.01, 0.99)
    return probabilities.round(2), targets


def test_average_precision_is_that_of_scikit_learn_also_where_probabilities_are_equal() -> None:
    from sklearn.metrics import average_precision_score

    probabilities, targets = problem()
    expected = [average_precision_score(targets[:, label], probabilities[:, label]) for label in range(3)]
    np.testing.assert_allclose(average_precisions(probabilities, targets), expected, rtol=1e-12)
    assert mean_average_precision(probabilities, targets) == pytest.approx(np.mean(expected))


def test_a_label_that_no_image_has_is_left_out_of_the_mean() -> None:
    probabilities, targets = problem()
    targets[:, 1] = 0
    found = average_precisions(probabilities, targets)
    assert np.isnan(found[1])
    assert mean_average_precision(probabilities, targets) == pytest.approx((found[0] + found[2]) / 2)
    assert mean_average_precision(probabilities, np.zeros_like(targets)) == 0


def test_the_measures_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, f1_score, hamming_loss, log_loss

    probabilities, targets = problem()
    thresholds = np.array([0.4, 0.5, 0.6])
    given = probabilities >= thresholds
    found = score(probabilities, targets, thresholds)
    assert found["micro_f1"] == pytest.approx(f1_score(targets, given, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(targets, given, average="macro"))
    assert found["exact_match"] == pytest.approx(accuracy_score(targets, given))
    assert found["hamming_loss"] == pytest.approx(hamming_loss(targets, given))
    expected = np.mean([log_loss(targets[:, label], probabilities[:, label]) for label in range(3)])
    assert found["log_loss"] == pytest.approx(expected)


def test_the_log_loss_of_an_image_is_the_mean_over_its_labels() -> None:
    found = log_losses(np.array([[0.5, 0.25], [1.0, 0.0]]), np.array([[1, 0], [0, 0]]))
    np.testing.assert_allclose(found, [-(np.log(0.5) + np.log(0.75)) / 2, -np.log(1e-12) / 2])


def test_the_threshold_has_the_largest_f1_of_all() -> None:
    from sklearn.metrics import f1_score

    probabilities, targets = problem(images=200)
    chosen = choose_thresholds(probabilities, targets)
    for label in range(3):
        best = max(f1_score(targets[:, label], probabilities[:, label] >= t) for t in np.linspace(0, 1, 1001))
        found = f1_score(targets[:, label], probabilities[:, label] >= chosen[label])
        assert found == pytest.approx(best)
    assert np.all((chosen > 0) & (chosen < 1))
    assert not np.allclose(chosen, 0.5, atol=0.02)


def test_a_label_with_too_few_images_keeps_the_usual_threshold() -> None:
    probabilities = np.linspace(0, 0.3, 100)[:, None]
    targets = np.zeros((100, 1))
    targets[-(FEWEST_POSITIVES - 1) :] = 1
    assert choose_thresholds(probabilities, targets) == [0.5]
    targets[-FEWEST_POSITIVES:] = 1
    (found,) = choose_thresholds(probabilities, targets)
    assert probabilities[-FEWEST_POSITIVES - 1, 0] < found < probabilities[-FEWEST_POSITIVES, 0]


def test_of_thresholds_that_are_as_good_the_nearest_to_half_is_taken() -> None:
    """Between 0.2 and 0.9 nothing lies, so that every threshold there has an F1 of 1."""
    targets = np.repeat([0, 1], 20)[:, None]
    (found,) = choose_thresholds(np.where(targets, 0.9, 0.2), targets)
    assert found == pytest.approx(0.55)


def test_each_label_has_its_scores() -> None:
    probabilities = np.array([[0.9, 0.1, 0.1], [0.8, 0.6, 0.1], [0.3, 0.2, 0.2], [0.1, 0.7, 0.3]])
    targets = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]])
    first, second, third = label_scores(probabilities, targets, HALF)
    assert (first.images, first.precision, first.recall, first.f1) == (2, 0.5, 0.5, 0.5)
    assert first.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert (second.images, second.precision, second.recall) == (1, 0.5, 1.0)
    assert (third.images, third.average_precision, third.precision, third.recall, third.f1) == (0, None, 0, 0, 0)
    assert [found.threshold for found in (first, second, third)] == [0.5] * 3


def test_the_curve_of_precision_and_recall_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import precision_recall_curve

    probabilities, targets = problem()
    precision, recall = precision_recall(probabilities[:, 0], targets[:, 0])
    expected_precision, expected_recall, _ = precision_recall_curve(targets[:, 0], probabilities[:, 0])
    np.testing.assert_allclose(precision, expected_precision[:-1][::-1])
    np.testing.assert_allclose(recall, expected_recall[:-1][::-1])


def test_intervals_hold_the_measures_and_narrow_with_more_images() -> None:
    widths = []
    for images in (50, 800):
        probabilities, targets = problem(images)
        found = confidence_intervals(probabilities, targets, HALF, seed=0)
        values = score(probabilities, targets, HALF)
        assert found.keys() == values.keys()
        assert all(low <= values[name] <= high for name, (low, high) in found.items())
        widths.append({name: high - low for name, (low, high) in found.items()})
    assert all(widths[1][name] < 0.5 * widths[0][name] for name in widths[0])


def test_intervals_are_those_of_resampled_images() -> None:
    """The share of images with all answers right is a share like any other: its interval is known."""
    probabilities, targets = problem(400)
    low, high = confidence_intervals(probabilities, targets, HALF, seed=0)["exact_match"]
    share = score(probabilities, targets, HALF)["exact_match"]
    half = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert (low, high) == pytest.approx((share - half, share + half), abs=0.01)
    again = confidence_intervals(probabilities, targets, HALF, seed=0)["exact_match"]
    assert again == (low, high) != confidence_intervals(probabilities, targets, HALF, seed=1)["exact_match"]
