"""Measures where any number of labels may apply to an image, in NumPy.

Throughout, `probabilities` is float, shape (images, labels), each entry between 0 and 1, and `targets` is 0 or 1, of
the same shape. `thresholds`, float, shape (labels,), say from which probability on a label is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.evaluation.metrics import RESAMPLES, SMALLEST_PROBABILITY

# Validation images with a label that its threshold can be chosen by; with fewer, what looks best is mostly luck.
FEWEST_POSITIVES = 10
USUAL_THRESHOLD = 0.5
RESAMPLES_AT_ONCE = 100


def log_losses(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Each image's binary log loss in nats, the mean over labels, shape (images,)."""
    given = np.where(targets > 0, probabilities, 1 - probabilities)
    return np.asarray(-np.log(np.maximum(given, SMALLEST_PROBABILITY)).mean(axis=1))


def average_precisions(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Each label's average precision, shape (labels,); NaN where no image has the label.

    The mean, over the images with the label, of the precision among all that are at least as probable as the image:
    sum over thresholds of (gain in recall) × precision, as scikit-learn's `average_precision_score`.
    """
    return np.asarray(_average_precisions(probabilities, targets, np.ones((1, len(targets))))[0])


def mean_average_precision(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean of the average precisions of the labels that some image has (macro mAP)."""
    return float(_mean_of_present(average_precisions(probabilities, targets)[None])[0])


def _average_precisions(probabilities: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Likewise with each image counted so often, for several such counts: (draws, images) to (draws, labels)."""
    found = np.empty((len(counts), probabilities.shape[1]))
    for label in range(probabilities.shape[1]):
        order = np.argsort(-probabilities[:, label], kind="stable")
        # Images that are equally probable pass a threshold together, so only the last of them counts.
        ends = np.flatnonzero(np.append(np.diff(probabilities[order, label]) != 0, True))
        drawn = counts[:, order]
        hits = (drawn * targets[order, label]).cumsum(axis=1)[:, ends]
        precision = hits / np.maximum(drawn.cumsum(axis=1)[:, ends], 1)
        gains = np.diff(hits, axis=1, prepend=0)
        positives = hits[:, -1]
        found[:, label] = np.where(positives > 0, (gains * precision).sum(axis=1) / np.maximum(positives, 1), np.nan)
    return found


def _mean_of_present(values: np.ndarray) -> np.ndarray:
    """Row by row the mean of what isn't NaN; 0 where all is."""
    present = ~np.isnan(values)
    return np.asarray(np.where(present, values, 0).sum(axis=1) / np.maximum(present.sum(axis=1), 1))


def choose_thresholds(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Each label's threshold with the largest F1; 0.5 for a label that fewer than ten images have.

    It lies half way between two probabilities. Of thresholds that are as good, the one nearest to 0.5 is taken.
    """
    chosen = [_best_threshold(*column) for column in zip(probabilities.T, targets.T, strict=True)]
    return np.array(chosen)


def _best_threshold(probabilities: np.ndarray, targets: np.ndarray) -> float:
    if targets.sum() < FEWEST_POSITIVES:
        return USUAL_THRESHOLD
    values, places = np.unique(probabilities, return_inverse=True)
    given = np.bincount(places)[::-1].cumsum()[::-1]
    hits = np.bincount(places, targets)[::-1].cumsum()[::-1]
    f1 = 2 * hits / (given + targets.sum())
    between = np.concatenate([[values[0] / 2], (values[1:] + values[:-1]) / 2])
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(between[best[np.abs(between[best] - USUAL_THRESHOLD).argmin()]])


@dataclass(frozen=True)
class LabelScore:
    """One label.

    Attributes:
        images: that have it.
        average_precision: None where no image has it.
        threshold: from which probability on it is given.
        precision: share of the images that it was given to that have it; 0 where it was given to none.
        recall: share of the images with it that it was given to; 0 where there are none.
        f1: their harmonic mean.
    """

    images: int
    average_precision: float | None
    threshold: float
    precision: float
    recall: float
    f1: float


def label_scores(probabilities: np.ndarray, targets: np.ndarray, thresholds: np.ndarray) -> list[LabelScore]:
    """The scores of each label, in the order of the labels."""
    given = probabilities >= thresholds
    hits, said, true = (given * targets).sum(axis=0), given.sum(axis=0), targets.sum(axis=0)
    columns = zip(average_precisions(probabilities, targets), thresholds, hits, said, true, strict=True)
    return [
        LabelScore(
            images=int(t),
            average_precision=None if np.isnan(precision) else float(precision),
            threshold=float(threshold),
            precision=float(h / max(s, 1)),
            recall=float(h / max(t, 1)),
            f1=float(2 * h / max(s + t, 1)),
        )
        for precision, threshold, h, s, t in columns
    ]


def score(probabilities: np.ndarray, targets: np.ndarray, thresholds: np.ndarray) -> dict[str, float]:
    """Every measure that is reported, by its name.

    Mean average precision; micro F1, over all labels' answers together; macro F1, the mean over the labels that are
    there or were given; the share of images whose labels are all right; the share of wrong answers (Hamming loss); and
    the log loss.
    """
    values = _scores(probabilities, targets, thresholds, np.ones((1, len(targets))))
    return {name: float(value[0]) for name, value in values.items()}


def confidence_intervals(
    probabilities: np.ndarray, targets: np.ndarray, thresholds: np.ndarray, seed: int
) -> dict[str, tuple[float, float]]:
    """95 % intervals of every measure, by the percentile bootstrap over images (Efron 1979), 2,000 resamples."""
    rng = np.random.default_rng(seed)
    images = len(targets)
    draws = []
    for _ in range(RESAMPLES // RESAMPLES_AT_ONCE):
        counts = rng.multinomial(images, np.full(images, 1 / images), RESAMPLES_AT_ONCE).astype(float)
        draws.append(_scores(probabilities, targets, thresholds, counts))
    bounds = {name: np.percentile(np.concatenate([draw[name] for draw in draws]), [2.5, 97.5]) for name in draws[0]}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}


def _scores(
    probabilities: np.ndarray, targets: np.ndarray, thresholds: np.ndarray, counts: np.ndarray
) -> dict[str, np.ndarray]:
    """Every measure for several ways to count the images, counts (draws, images); each shape (draws,)."""
    given = probabilities >= thresholds
    wrong = given != (targets > 0)
    hits, said, true = counts @ (given * targets), counts @ given.astype(float), counts @ targets
    images = counts.sum(axis=1)
    f1 = np.where(said + true > 0, 2 * hits / np.maximum(said + true, 1), np.nan)
    return {
        "mean_average_precision": _mean_of_present(_average_precisions(probabilities, targets, counts)),
        "micro_f1": 2 * hits.sum(axis=1) / np.maximum((said + true).sum(axis=1), 1),
        "macro_f1": _mean_of_present(f1),
        "exact_match": counts @ ~wrong.any(axis=1) / images,
        "hamming_loss": counts @ wrong.mean(axis=1) / images,
        "log_loss": counts @ log_losses(probabilities, targets) / images,
    }


def precision_recall(probabilities: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall of one label at every threshold, from the highest on; some image has the label.

    Args:
        probabilities: shape (images,).
        targets: 0 or 1, shape (images,).
    """
    order = np.argsort(-probabilities, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(probabilities[order]) != 0, True))
    hits = targets[order].cumsum()[ends]
    return hits / (ends + 1), hits / targets.sum()
