"""The probe: a linear head on pooled features, fitted by convex optimisation, so that its answer is the only one.

Multinomial logistic regression with an L2 penalty on standardised features. The strength of the penalty comes from
stratified cross-validation on the training part, and so does what is done about classes of unequal size.
Standardisation is folded into the weights afterwards, and so is what balances the classes: the result is an ordinary
dense layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from headstart.evaluation.calibration import softmax
from headstart.evaluation.metrics import log_loss
from headstart.learn.imbalance import (
    NOT_BALANCED,
    Asked,
    Balance,
    Balancing,
    adjustment,
    choose_balance,
    fitting_weights,
    measuring_weights,
    to_try,
)

# Inverse L2 strengths tried, from the most cautious on: half-decades over what pooled features of networks ask for.
STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
MOST_FOLDS = 5
# The strength changes slowly with the number of images, so that a sample suffices to choose it.
MOST_IMAGES_TO_CHOOSE = 5000
# Of the gradient; below it, accuracy no longer changes.
TOLERANCE = 1e-3
MAX_ITERATIONS = 2000
# What is fitted in the same way, and differs in what is taken off the logits afterwards.
FITTED_ALIKE: tuple[tuple[Balance, ...], ...] = (("none", "logits"), ("weights", "sampling"))


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
        cross_validated: mean log loss of every strength tried; every class counts alike in it where they are balanced.
        balancing: what was done about classes of unequal size.
    """

    weights: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    strength: float
    folds: int
    cross_validated: dict[float, float]
    balancing: Balancing = NOT_BALANCED

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Logits of pooled features: (images, features) to (images, classes), float32."""
        return np.asarray(features @ self.weights + self.bias)


def fit_probe(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    seed: int,
    advance: Callable[[int], None] = lambda count: None,
    balance: Asked = "none",
) -> Probe:
    """Fit a probe on training images.

    Args:
        features: pooled, float32, shape (images, features).
        labels: int, shape (images,), values in 0…classes − 1; every class occurs.
        classes: how many there are.
        seed: shuffles the folds.
        advance: called with the number of fits done since the last call; there are at most `most_fits(labels)`.
        balance: what to do about classes of unequal size; "auto" for what cross-validation finds best.
    """
    balancing, tried = _compare(features, labels, classes, seed, balance, advance)
    regression = _Regression(features, labels, classes, balancing.kind)
    del features  # the caller may have kept none either
    weights, bias = regression.fit(tried.strength)
    advance(1)
    mean, deviation = regression.mean, regression.deviation
    return Probe(weights, bias, mean, deviation, tried.strength, folds_for(labels), tried.losses, balancing)


def refit_probe(probe: Probe, features: np.ndarray, labels: np.ndarray) -> Probe:
    """The probe fitted to other images of the same classes, with the strength and the balance that it has.

    Args:
        probe: says how strong the penalty is, and how the classes are balanced.
        features: pooled, float32, shape (images, features).
        labels: int, shape (images,), values in 0…classes − 1; every class occurs.
    """
    regression = _Regression(features, labels, probe.bias.size, probe.balancing.kind)
    del features  # the caller may have kept none either
    weights, bias = regression.fit(probe.strength)
    return replace(probe, weights=weights, bias=bias, mean=regression.mean, deviation=regression.deviation)


def most_fits(labels: np.ndarray, balance: Asked = "none") -> int:
    """How many regressions `fit_probe` will fit at most."""
    searches = sum(not set(kinds).isdisjoint(to_try(labels, balance)) for kinds in FITTED_ALIKE)
    return folds_for(labels) * len(STRENGTHS) * searches + 1


def folds_for(labels: np.ndarray) -> int:
    """Folds of the cross-validation: five, or fewer where a class has fewer images; 0 where one has a single image."""
    fewest = int(np.bincount(labels)[np.unique(labels)].min())
    return min(MOST_FOLDS, fewest) if fewest > 1 else 0


@dataclass(frozen=True)
class _Fold:
    """Held-out images, and a regression on all others, which have the labels `fitted`."""

    regression: _Regression
    fitted: np.ndarray
    features: np.ndarray
    labels: np.ndarray

    def logits(self, strength: float) -> np.ndarray:
        """Of the held-out images, before any adjustment."""
        weights, bias = self.regression.fit(strength)
        return np.asarray(self.features @ weights + bias)


@dataclass
class _Tried:
    """The strengths tried so far with one way to balance the classes, from the most cautious on.

    Attributes:
        balance: the way.
        losses: the mean log loss on held-out folds, by strength.
        logits: of all held-out images with the best strength, one fold after the other.
    """

    balance: Balance
    losses: dict[float, float] = field(default_factory=dict)
    logits: list[np.ndarray] = field(default_factory=list)

    @property
    def strength(self) -> float:
        return min(self.losses, key=lambda tried: self.losses[tried]) if self.losses else STRENGTHS[0]

    @property
    def has_risen(self) -> bool:
        """Whether a bolder strength has done worse than the best."""
        return bool(self.losses) and list(self.losses.values())[-1] > min(self.losses.values())

    def see(self, strength: float, folds: Sequence[_Fold], logits: Sequence[np.ndarray]) -> None:
        """Take in what was said of the held-out images of each fold."""
        adjusted = [
            found - adjustment(fold.fitted, found.shape[1], self.balance)
            for fold, found in zip(folds, logits, strict=True)
        ]
        losses = [
            log_loss(softmax(found), fold.labels, measuring_weights(fold.labels, self.balance))
            for fold, found in zip(folds, adjusted, strict=True)
        ]
        self.losses[strength] = float(np.mean(losses))
        self.logits = adjusted if self.strength == strength else self.logits


def _compare(
    features: np.ndarray, labels: np.ndarray, classes: int, seed: int, asked: Asked, advance: Callable[[int], None]
) -> tuple[Balancing, _Tried]:
    """How to balance the classes, and the strengths that were tried with that."""
    from sklearn.model_selection import StratifiedKFold

    folds, kinds = folds_for(labels), to_try(labels, asked)
    if not folds:
        balancing = choose_balance({}, labels[:0], labels, asked, seed)
        return balancing, _Tried(balancing.kind)
    chosen = _sample(labels, folds, seed)
    some, some_labels = features[chosen], labels[chosen]
    divisions = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(some_labels, some_labels))
    tried = {kind: _Tried(kind) for kind in kinds}
    for alike in FITTED_ALIKE:
        wanted = [tried[kind] for kind in alike if kind in tried]
        if wanted:
            _search(_folds(some, some_labels, classes, divisions, alike[0]), wanted, advance)
    held_out = {kind: np.concatenate(found.logits) for kind, found in tried.items()}
    held_out_labels = np.concatenate([some_labels[held_out] for _, held_out in divisions])
    balancing = choose_balance(held_out, held_out_labels, labels, asked, seed)
    return balancing, tried[balancing.kind]


def _folds(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    divisions: Sequence[tuple[np.ndarray, np.ndarray]],
    balance: Balance,
) -> list[_Fold]:
    return [
        _Fold(
            _Regression(features[fitted], labels[fitted], classes, balance),
            labels[fitted],
            features[held_out],
            labels[held_out],
        )
        for fitted, held_out in divisions
    ]


def _search(folds: Sequence[_Fold], tried: Sequence[_Tried], advance: Callable[[int], None]) -> None:
    """Try strengths from the most cautious on, each until its loss rises again."""
    for strength in STRENGTHS:
        logits = []
        for fold in folds:
            logits.append(fold.logits(strength))
            advance(1)
        for found in tried:
            if not found.has_risen:
                found.see(strength, folds, logits)
        if all(found.has_risen for found in tried):
            break


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
    """A logistic regression on one set of images, for one strength after another, with its classes balanced."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, classes: int, balance: Balance) -> None:
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
        self._sample_weights = fitting_weights(labels, balance)
        self._adjustment = adjustment(labels, classes, balance)
        # Each strength starts from the solution of the one before, which lies near.
        self._model = LogisticRegression(max_iter=MAX_ITERATIONS, tol=TOLERANCE, warm_start=True)

    def fit(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights and bias for features that aren't standardised, float32."""
        self._model.set_params(C=strength).fit(self._standardised, self._labels, self._sample_weights)
        coefficients, intercepts = self._model.coef_, self._model.intercept_
        if self._classes == 2:  # one column stands for both classes there
            coefficients = np.concatenate([-coefficients, coefficients]) / 2
            intercepts = np.concatenate([-intercepts, intercepts]) / 2
        weights = coefficients.T / self.deviation[:, None]
        bias = intercepts - self.mean @ weights - self._adjustment
        return weights.astype(np.float32), bias.astype(np.float32)
