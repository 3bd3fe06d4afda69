"""The probe: a linear head on pooled features, fitted by convex optimisation, so that its answer is the only one.

A linear model with an L2 penalty on standardised features: multinomial logistic regression for classes, one against
the rest for labels, ridge regression for numbers (`learn/linear.py`). The strength of the penalty comes from
stratified cross-validation on the training part, and so does what is done about classes of unequal size.
Standardisation is folded into the weights afterwards, and so is what balances the classes: the result is an ordinary
dense layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from headstart.learn.imbalance import (
    NOT_BALANCED,
    Asked,
    Balance,
    Balancing,
    adjustment,
    choose_balance,
    measuring_weights,
    to_try,
)
from headstart.learn.kinds import CLASSES, Kind
from headstart.learn.labelled import normalised, weights_at
from headstart.learn.linear import LinearFit

STRENGTHS = CLASSES.strengths
MOST_FOLDS = 5
# The strength changes slowly with the number of images, so that a sample suffices to choose it.
MOST_IMAGES_TO_CHOOSE = 5000
# What is fitted in the same way, and differs in what is taken off the logits afterwards.
FITTED_ALIKE: tuple[tuple[Balance, ...], ...] = (("none", "logits"), ("weights", "sampling"))


@dataclass(frozen=True)
class Probe:
    """A fitted linear head: scores = features @ weights + bias; for classes and labels they are logits.

    Attributes:
        weights: float32, shape (features, outputs); an output is a class, a label or the number.
        bias: float32, shape (outputs,).
        mean: of each feature over the training images, float32, shape (features,).
        deviation: likewise, the standard deviation; 1 where a feature never varies.
        strength: the inverse L2 strength that cross-validation chose.
        folds: of the cross-validation.
        cross_validated: mean loss of every strength tried; every class counts alike in it where they are balanced.
        balancing: what was done about classes of unequal size.
        kind: what it predicts.
    """

    weights: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    strength: float
    folds: int
    cross_validated: dict[float, float]
    balancing: Balancing = NOT_BALANCED
    kind: Kind = CLASSES

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Scores of pooled features: (images, features) to (images, outputs), float32."""
        return np.asarray(features @ self.weights + self.bias)

    @property
    def share_of_guessing(self) -> float | None:
        """The cross-validated log loss as a share of that of guessing.

        None where it isn't classes that are predicted, or there was no cross-validation.
        """
        if self.kind.task != "classes" or not self.cross_validated:
            return None
        return min(self.cross_validated.values()) / math.log(self.bias.size)


def fit_probe(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    seed: int,
    advance: Callable[[int], None] = lambda count: None,
    balance: Asked = "none",
    kind: Kind = CLASSES,
    units: Sequence[str] = (),
    weights: np.ndarray | None = None,
) -> Probe:
    """Fit a probe on training images.

    Args:
        features: pooled, float32, shape (images, features).
        labels: targets of the kind. Of classes int, shape (images,), values in 0…classes − 1; every class occurs.
        classes: how many there are, or labels; 1 for a number.
        seed: shuffles the folds.
        advance: called with the number of fits done since the last call; there are at most `most_fits(labels)`.
        balance: what to do about classes of unequal size; "auto" for what cross-validation finds best.
        kind: what is predicted.
        units: of each image, what stays on one side of a fold, by name; by default each image is on its own.
        weights: how much each image counts where it is learned from, above 0, shape (images,); None for all alike.
            Where it is held out, it counts once.
    """
    balancing, tried = cross_validate(features, labels, classes, seed, advance, balance, kind, units, weights)
    fit = kind.linear_fit(features, labels, classes, balancing.kind, normalised(weights))
    del features  # the caller may have kept none either
    coefficients, bias = fit.fit(tried.strength)
    advance(1)
    folds = len(tried.held_out)
    return Probe(coefficients, bias, fit.mean, fit.deviation, tried.strength, folds, tried.losses, balancing, kind)


def refit_probe(probe: Probe, features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> Probe:
    """The probe fitted to other images of the same classes, with the strength and the balance that it has.

    Args:
        probe: says what is predicted, how strong the penalty is, and how the classes are balanced.
        features: pooled, float32, shape (images, features).
        labels: targets of the kind, as for `fit_probe`.
        weights: likewise.
    """
    fit = probe.kind.linear_fit(features, labels, probe.bias.size, probe.balancing.kind, normalised(weights))
    del features  # the caller may have kept none either
    coefficients, bias = fit.fit(probe.strength)
    return replace(probe, weights=coefficients, bias=bias, mean=fit.mean, deviation=fit.deviation)


def loss_of_views(
    probe: Probe,
    features: np.ndarray,
    labels: np.ndarray,
    seed: int,
    units: Sequence[str] = (),
    weights: np.ndarray | None = None,
) -> float:
    """The cross-validated loss, on images as they are, of the probe fitted to several views of the others.

    Args:
        probe: says what is predicted, how strong the penalty is, and how the classes are balanced.
        features: pooled, float32, shape (views, images, features), the plain view first.
        labels: targets of the kind, one an image.
        seed: shuffles the folds, which are those that `fit_probe` chooses the strength by.
        units: of each image, as for `fit_probe`.
        weights: likewise.
    """
    strata = probe.kind.strata(labels)
    losses = []
    for fitted, held_out in fold_places(strata, seed, units):
        taught = refit_to_views(probe, features[:, fitted], labels[fitted], weights_at(fitted, weights))
        measured_by = measuring_weights(labels[held_out], probe.balancing.kind)
        losses.append(probe.kind.loss(taught.logits(features[0, held_out]), labels[held_out], measured_by))
    return float(np.mean(losses))


def refit_to_views(probe: Probe, features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> Probe:
    """The probe fitted to several views of each image; the strength that it has stays that for one view.

    Views of an image are alike: together they count as more than one image, but not as so many. With the penalty as it
    is for one view divided by the root of their number, the log loss on the solar cells, averaged over as many views,
    was smallest: on six divisions, with eight views, 0.288, as against 0.289 with each view counted as an image, and
    0.296 with all counted as one (with two, 0.304, 0.306 and 0.303; by hand, in no committed benchmark).

    Args:
        probe: says what is predicted, how strong the penalty is, and how the classes are balanced.
        features: pooled, float32, shape (views, images, features).
        labels: targets of the kind, one an image.
        weights: of each image, as for `fit_probe`.
    """
    views = len(features)
    weaker = replace(probe, strength=probe.strength / math.sqrt(views))
    stacked = features.reshape(-1, features.shape[-1])
    repeated = None if weights is None else np.tile(weights, views)
    return replace(refit_probe(weaker, stacked, np.concatenate([labels] * views), repeated), strength=probe.strength)


def most_fits(labels: np.ndarray, balance: Asked = "none", kind: Kind = CLASSES) -> int:
    """How many models `fit_probe` will fit at most."""
    searches = sum(not set(kinds).isdisjoint(_to_try(labels, balance, kind)) for kinds in FITTED_ALIKE)
    return folds_for(kind.strata(labels)) * len(kind.strengths) * searches + 1


def _to_try(labels: np.ndarray, asked: Asked, kind: Kind) -> tuple[Balance, ...]:
    """The remedies to compare; only classes can be of unequal size."""
    return to_try(labels, asked) if kind.task == "classes" else ("none",)


def folds_for(labels: np.ndarray) -> int:
    """Folds of the cross-validation: five, or fewer where a class has fewer images; 0 where one has a single image.

    Args:
        labels: of classes, or else strata; int, shape (images,).
    """
    fewest = fewest_units(labels, ())
    return min(MOST_FOLDS, fewest) if fewest > 1 else 0


def fewest_units(strata: np.ndarray, units: Sequence[str]) -> int:
    """How many different units the stratum has that has fewest; each image is one where none are named."""
    if not units:
        return int(np.bincount(strata)[np.unique(strata)].min())
    return min(len({units[place] for place in np.flatnonzero(strata == each).tolist()}) for each in np.unique(strata))


def fold_places(strata: np.ndarray, seed: int, units: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Places of the images to fit and of those held out, fold by fold; none where there are too few for two folds.

    Args:
        strata: int, shape (images,); each fold has its share of each.
        seed: shuffles them.
        units: of each image, what stays on one side, by name; empty where each is on its own.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if len(set(units)) == len(units):
        folds = folds_for(strata)
        return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(strata, strata)) if folds else []
    folds = min(MOST_FOLDS, fewest_units(strata, units))
    if folds < 2:
        return []
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    divisions = [found for found in splitter.split(strata, strata, units) if len(found[1])]
    # Groups of a class may come to lie in one fold, and the class couldn't be learned from the others.
    learned = [found for found in divisions if set(strata[found[0]]) == set(strata)]
    return learned if len(learned) > 1 else []


@dataclass(frozen=True)
class _Fold:
    """Held-out images, and a fit to all others, which have the labels `fitted` and count by `weights`."""

    fit: LinearFit
    fitted: np.ndarray
    weights: np.ndarray | None
    features: np.ndarray
    labels: np.ndarray

    def logits(self, strength: float) -> np.ndarray:
        """Of the held-out images, before any adjustment."""
        weights, bias = self.fit.fit(strength)
        return np.asarray(self.features @ weights + bias)


@dataclass
class Tried:
    """The strengths tried so far with one way to balance the classes, from the most cautious on.

    Attributes:
        balance: the way.
        kind: what is predicted.
        held_out: places of the images that each fold of the cross-validation holds out.
        losses: the mean loss on held-out folds, by strength.
        logits: of the images that each fold holds out, with the best strength.
    """

    balance: Balance
    kind: Kind
    held_out: Sequence[np.ndarray] = ()
    losses: dict[float, float] = field(default_factory=dict)
    logits: list[np.ndarray] = field(default_factory=list)

    @property
    def strength(self) -> float:
        return min(self.losses, key=lambda tried: self.losses[tried]) if self.losses else self.kind.strengths[0]

    @property
    def has_risen(self) -> bool:
        """Whether a bolder strength has done worse than the best."""
        return bool(self.losses) and list(self.losses.values())[-1] > min(self.losses.values())

    def see(self, strength: float, folds: Sequence[_Fold], logits: Sequence[np.ndarray]) -> None:
        """Take in what was said of the held-out images of each fold."""
        adjusted = [
            found - adjustment(fold.fitted, found.shape[1], self.balance, fold.weights)
            for fold, found in zip(folds, logits, strict=True)
        ]
        losses = [
            self.kind.loss(found, fold.labels, measuring_weights(fold.labels, self.balance))
            for fold, found in zip(folds, adjusted, strict=True)
        ]
        self.losses[strength] = float(np.mean(losses))
        self.logits = adjusted if self.strength == strength else self.logits


def cross_validate(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    seed: int,
    advance: Callable[[int], None],
    balance: Asked,
    kind: Kind,
    units: Sequence[str],
    weights: np.ndarray | None,
) -> tuple[Balancing, Tried]:
    """How to balance the classes, and the strengths that were tried with that; arguments are those of `fit_probe`."""
    strata, remedies = kind.strata(labels), _to_try(labels, balance, kind)
    chosen = sample_places(strata, max(folds_for(strata), 1), seed)
    some, some_labels, some_weights = features[chosen], labels[chosen], weights_at(chosen, weights)
    divisions = fold_places(strata[chosen], seed, [units[place] for place in chosen.tolist()] if units else ())
    if not divisions:
        balancing = _choose_balance({}, labels[:0], labels, balance, seed, kind)
        return balancing, Tried(balancing.kind, kind)
    places = [chosen[held_out] for _, held_out in divisions]
    tried = {remedy: Tried(remedy, kind, places) for remedy in remedies}
    for alike in FITTED_ALIKE:
        wanted = [tried[remedy] for remedy in alike if remedy in tried]
        if wanted:
            folds = _folds(some, some_labels, classes, divisions, alike[0], kind, some_weights)
            _search(folds, wanted, advance)
    held_out = {remedy: np.concatenate(found.logits) for remedy, found in tried.items()}
    held_out_labels = labels[np.concatenate(places)]
    balancing = _choose_balance(held_out, held_out_labels, labels, balance, seed, kind)
    return balancing, tried[balancing.kind]


def _choose_balance(
    held_out: dict[Balance, np.ndarray],
    held_out_labels: np.ndarray,
    labels: np.ndarray,
    asked: Asked,
    seed: int,
    kind: Kind,
) -> Balancing:
    return choose_balance(held_out, held_out_labels, labels, asked, seed) if kind.task == "classes" else NOT_BALANCED


def _folds(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    divisions: Sequence[tuple[np.ndarray, np.ndarray]],
    balance: Balance,
    kind: Kind,
    weights: np.ndarray | None,
) -> list[_Fold]:
    return [
        _Fold(
            kind.linear_fit(
                features[fitted], labels[fitted], classes, balance, normalised(weights_at(fitted, weights))
            ),
            labels[fitted],
            weights_at(fitted, weights),
            features[held_out],
            labels[held_out],
        )
        for fitted, held_out in divisions
    ]


def _search(folds: Sequence[_Fold], tried: Sequence[Tried], advance: Callable[[int], None]) -> None:
    """Try strengths from the most cautious on, each until its loss rises again."""
    for strength in tried[0].kind.strengths:
        logits = []
        for fold in folds:
            logits.append(fold.logits(strength))
            advance(1)
        for found in tried:
            if not found.has_risen:
                found.see(strength, folds, logits)
        if all(found.has_risen for found in tried):
            break


def sample_places(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
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
