"""The probe: a linear head on pooled features, fitted by convex optimisation, so that its answer is the only one.

Multinomial logistic regression with an L2 penalty on standardised features. The strength of the penalty comes from
stratified cross-validation on the training part. Standardisation is folded into the weights afterwards, so that the
result is an ordinary dense layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from headstart.evaluation.calibration import softmax
from headstart.evaluation.metrics import log_loss

# Inverse L2 strengths tried, from the most cautious on: half-decades over what pooled features of networks ask for.
STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
MOST_FOLDS = 5
# The strength changes slowly with the number of images, so that a sample suffices to choose it.
MOST_IMAGES_TO_CHOOSE = 5000
# Of the gradient; below it, accuracy no longer changes.
TOLERANCE = 1e-3
MAX_ITERATIONS = 2000


@dataclass(frozen=True)
class Probe:
    """A fitted linear head: logits = features @ weights + bias.

    Attributes:
        weights: float32, shape (features, classes).
        bias: float32, shape (classes,).
        mean: of each feature over the training images, float32, shape (features,).
        deviation: likewise, the standard deviation; 1 where a feature never varies.
        strength: the inverse L2 strength that cross-validation chose.
        folds: of the cross-validation.
        cross_validated: mean log loss of every strength tried.
    """

    weights: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    strength: float
    folds: int
    cross_validated: dict[float, float]

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Logits of pooled features: (images, features) to (images, classes), float32."""
        return np.asarray(features @ self.weights + self.bias)


def fit_probe(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    seed: int,
    advance: Callable[[int], None] = lambda count: None,
) -> Probe:
    """Fit a probe on training images.

    Args:
        features: pooled, float32, shape (images, features).
        labels: int, shape (images,), values in 0…classes − 1; every class occurs.
        classes: how many there are.
        seed: shuffles the folds.
        advance: called with the number of fits done since the last call; there are at most `most_fits(labels)`.
    """
    folds = folds_for(labels)
    losses = _cross_validate(features, labels, classes, folds, seed, advance) if folds else {}
    strength = min(losses, key=lambda tried: losses[tried]) if losses else STRENGTHS[0]
    regression = _Regression(features, labels, classes)
    del features  # the caller may have kept none either
    weights, bias = regression.fit(strength)
    advance(1)
    return Probe(weights, bias, regression.mean, regression.deviation, strength, folds, losses)


def refit_probe(probe: Probe, features: np.ndarray, labels: np.ndarray) -> Probe:
    """The probe fitted to other images of the same classes, with the strength that it has.

    Args:
        probe: says how strong the penalty is.
        features: pooled, float32, shape (images, features).
        labels: int, shape (images,), values in 0…classes − 1; every class occurs.
    """
    regression = _Regression(features, labels, probe.bias.size)
    del features  # the caller may have kept none either
    weights, bias = regression.fit(probe.strength)
    return replace(probe, weights=weights, bias=bias, mean=regression.mean, deviation=regression.deviation)


def most_fits(labels: np.ndarray) -> int:
    """How many regressions `fit_probe` will fit at most."""
    return folds_for(labels) * len(STRENGTHS) + 1


def folds_for(labels: np.ndarray) -> int:
    """Folds of the cross-validation: five, or fewer where a class has fewer images; 0 where one has a single image."""
    fewest = int(np.bincount(labels)[np.unique(labels)].min())
    return min(MOST_FOLDS, fewest) if fewest > 1 else 0


def _cross_validate(
    features: np.ndarray, labels: np.ndarray, classes: int, folds: int, seed: int, advance: Callable[[int], None]
) -> dict[float, float]:
    """The mean log loss on held-out folds, by strength, from the most cautious strength on until it rises again."""
    from sklearn.model_selection import StratifiedKFold

    chosen = _sample(labels, folds, seed)
    features, labels = features[chosen], labels[chosen]
    divisions = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)
    regressions = [
        (_Regression(features[train], labels[train], classes), features[held_out], labels[held_out])
        for train, held_out in divisions
    ]
    losses: dict[float, float] = {}
    for strength in STRENGTHS:
        found = []
        for regression, held_out_features, held_out_labels in regressions:
            weights, bias = regression.fit(strength)
            found.append(log_loss(softmax(held_out_features @ weights + bias), held_out_labels))
            advance(1)
        losses[strength] = float(np.mean(found))
        if losses[strength] > min(losses.values()):
            break
    return losses


def _sample(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Indices of all images, or of a stratified sample where there are more than the choice needs.

    Every fold must hold an image of every class, so that a rare one keeps as many as there are folds.
    """
    if len(labels) <= MOST_IMAGES_TO_CHOOSE:
        return np.arange(len(labels))
    rng = np.random.default_rng(seed)
    share = MOST_IMAGES_TO_CHOOSE / len(labels)
    of_classes = (np.flatnonzero(labels == label) for label in np.unique(labels))
    return np.concatenate(
        [rng.choice(images, max(folds, round(share * len(images))), replace=False) for images in of_classes]
    )


class _Regression:
    """A logistic regression on one set of images, for one strength after another."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, classes: int) -> None:
        from sklearn.linear_model import LogisticRegression

        # Summed in float64: float32 would miss the mean of what never varies, and take that for a deviation.
        self.mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = features - self.mean
        deviation = np.sqrt(np.square(centred).mean(axis=0, dtype=np.float64)).astype(np.float32)
        # What never varies is left at zero by subtracting the mean, and so gets no say.
        self.deviation = np.where(deviation > 1e-6, deviation, np.float32(1))
        centred /= self.deviation  # in place: with many images, a copy is what memory runs out on
        self._standardised = centred
        self._labels = labels
        self._classes = classes
        # Each strength starts from the solution of the one before, which lies near.
        self._model = LogisticRegression(max_iter=MAX_ITERATIONS, tol=TOLERANCE, warm_start=True)

    def fit(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights and bias for features that aren't standardised, float32."""
        self._model.set_params(C=strength).fit(self._standardised, self._labels)
        coefficients, intercepts = self._model.coef_, self._model.intercept_
        if self._classes == 2:  # one column stands for both classes there
            coefficients = np.concatenate([-coefficients, coefficients]) / 2
            intercepts = np.concatenate([-intercepts, intercepts]) / 2
        weights = coefficients.T / self.deviation[:, None]
        return weights.astype(np.float32), (intercepts - self.mean @ weights).astype(np.float32)
