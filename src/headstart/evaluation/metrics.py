"""Measures of a classifier on labelled images, in NumPy.

Throughout, `probabilities` is float, shape (images, classes), rows summing to one, and `labels` is int, shape
(images,), values in 0…classes − 1. `weights`, where there are any, say how much each image counts: float, shape
(images,). With those of `equal_class_weights` every class counts alike, however many images it has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ECE_BINS = 15
RESAMPLES = 2000
# Keeps the logarithm finite where a classifier was certain and wrong.
SMALLEST_PROBABILITY = 1e-12


def equal_class_weights(labels: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Weights with which every class present counts alike, 1 on average: images / (classes × images of the class).

    Where images have weights already, it is these that are counted, and what comes out is to be multiplied with them.
    """
    counts = np.bincount(labels, weights)
    return np.asarray(counts.sum() / (np.count_nonzero(counts) * counts[labels]))


def accuracy(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Share of images whose most probable class is the right one."""
    return float(np.average(probabilities.argmax(axis=1) == labels, weights=weights))


def balanced_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes present of the share of their images that are recognised (recall)."""
    return _mean_recall(confusion_matrix(probabilities, labels))


def macro_f1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes, present or predicted, of the harmonic mean of precision and recall."""
    return _mean_f1(confusion_matrix(probabilities, labels))


def log_loss(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean negative logarithm of the probability given to the right class, in nats."""
    return float(np.average(log_losses(probabilities, labels), weights=weights))


def balanced_log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The log loss with every class present counting alike: that of a world where all are equally common."""
    return log_loss(probabilities, labels, equal_class_weights(labels))


def log_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each image's negative logarithm of the probability given to its right class, in nats, shape (images,)."""
    given = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(given, SMALLEST_PROBABILITY)))


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Mean gap between confidence and accuracy over 15 equally wide bins of confidence, weighted by their images.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599.
    """
    bins = reliability(probabilities, labels, weights)
    total = sum(found.weight for found in bins)
    return sum(found.weight * abs(found.accuracy - found.confidence) for found in bins) / total


def balanced_calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The expected calibration error with every class present counting alike."""
    return expected_calibration_error(probabilities, labels, equal_class_weights(labels))


@dataclass(frozen=True)
class ReliabilityBin:
    """Images of similar confidence.

    Attributes:
        images: how many.
        confidence: their mean confidence, 0 to 1.
        accuracy: how many of them are right, 0 to 1.
        weight: how much they count together; their number where all count alike.
        effective: how many images that count alike would leave as much to chance (Kish 1965).
    """

    images: int
    confidence: float
    accuracy: float
    weight: float
    effective: float


def reliability(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> list[ReliabilityBin]:
    """The non-empty bins of the reliability curve, by rising confidence."""
    weights = np.ones(len(labels)) if weights is None else weights
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    numbers = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    return [
        _bin(confidence[inside], correct[inside], weights[inside])
        for inside in (numbers == number for number in range(ECE_BINS))
        if inside.any()
    ]


def _bin(confidence: np.ndarray, correct: np.ndarray, weights: np.ndarray) -> ReliabilityBin:
    return ReliabilityBin(
        images=len(weights),
        confidence=float(np.average(confidence, weights=weights)),
        accuracy=float(np.average(correct, weights=weights)),
        weight=float(weights.sum()),
        effective=float(weights.sum() ** 2 / np.square(weights).sum()),
    )


def confusion_matrix(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts, int, shape (classes, classes): rows are the true classes, columns the predicted ones."""
    return _confusion(_cells(probabilities, labels), probabilities.shape[1])


def _cells(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The cell of the confusion matrix that each image falls into, counted row by row."""
    return np.asarray(labels * probabilities.shape[1] + probabilities.argmax(axis=1))


def _confusion(cells: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def _mean_recall(confusion: np.ndarray) -> float:
    return _class_mean(confusion.diagonal(), confusion)


def _class_mean(sums: np.ndarray, confusion: np.ndarray) -> float:
    """Of sums over each class's images, the mean of the classes' means."""
    true = confusion.sum(axis=1)
    return float(np.mean(sums[true > 0] / true[true > 0]))


def _mean_f1(confusion: np.ndarray) -> float:
    either = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float(np.mean(2 * confusion.diagonal()[either > 0] / either[either > 0]))


@dataclass(frozen=True)
class ClassScore:
    """One class: its images, and precision, recall and F1, each 0 to 1 and 0 where there is nothing to count."""

    images: int
    precision: float
    recall: float
    f1: float


def class_scores(probabilities: np.ndarray, labels: np.ndarray) -> list[ClassScore]:
    """The scores of each class, in the order of the classes."""
    confusion = confusion_matrix(probabilities, labels)
    right, true, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    return [
        ClassScore(int(t), _share(r, p), _share(r, t), _share(2 * r, t + p))
        for r, t, p in zip(right.tolist(), true.tolist(), predicted.tolist(), strict=True)
    ]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


Metric = Callable[[np.ndarray, np.ndarray], float]

# Every measure that is reported, by the name it is reported under.
METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "log_loss": log_loss,
    "balanced_log_loss": balanced_log_loss,
    "ece": expected_calibration_error,
    "balanced_ece": balanced_calibration_error,
}


def score(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Every measure in `METRICS`, by name."""
    return {name: metric(probabilities, labels) for name, metric in METRICS.items()}


def confidence_intervals(probabilities: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, tuple[float, float]]:
    """95 % intervals of every measure, by the percentile bootstrap over images (Efron 1979), 2,000 resamples.

    The calibration errors have none: resampling biases them upwards.
    """
    rng = np.random.default_rng(seed)
    losses = log_losses(probabilities, labels)
    classes = probabilities.shape[1]
    cells = _cells(probabilities, labels)
    draws = np.empty((RESAMPLES, 5))
    for draw in draws:
        chosen = rng.integers(0, len(labels), len(labels))
        confusion = _confusion(cells[chosen], classes)
        right = confusion.trace() / len(labels)
        lost = losses[chosen]
        by_class = np.bincount(labels[chosen], lost, classes)
        draw[:] = right, _mean_recall(confusion), _mean_f1(confusion), lost.mean(), _class_mean(by_class, confusion)
    low, high = np.percentile(draws, [2.5, 97.5], axis=0).tolist()
    names = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "balanced_log_loss")
    return {name: (lo, hi) for name, lo, hi in zip(names, low, high, strict=True)}
