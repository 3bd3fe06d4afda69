"""What a probe says of each image when it hasn't learned from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from headstart.learn.kinds import Kind
from headstart.learn.labelled import weights_at
from headstart.learn.probe import (
    MOST_FOLDS,
    cross_validate,
    fit_probe,
    fold_places,
    most_fits,
    refit_probe,
    sample_places,
)


def out_of_fold(
    features: np.ndarray,
    labels: np.ndarray,
    outputs: int,
    seed: int,
    kind: Kind,
    units: Sequence[str] = (),
    advance: Callable[[int], None] = lambda count: None,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Scores of all images, each from a probe that was fitted without it and without those of its unit.

    The probes share the strength that cross-validation chooses. Of very many images each learns from a stratified
    sample.

    Args:
        features: pooled, float32, shape (images, features).
        labels: targets of the kind.
        outputs: classes or labels; 1 for a number.
        seed: shuffles the folds.
        kind: what is predicted.
        units: of each image, what is held out together, by name; by default each image is on its own.
        advance: called with the number of fits done since the last call; there are at most `fits_of(labels, kind)`.
        weights: how much each image counts where it is learned from, above 0, shape (images,); None for all alike.

    Returns:
        Float32, shape (images, outputs); NaN for those that were never held out, which are all of them where there are
        too few for two folds.
    """
    scores = np.full((len(features), outputs), np.nan, np.float32)
    strata = kind.strata(labels)
    some = sample_places(strata, MOST_FOLDS, seed)
    if len(some) == len(labels):  # then the choice of the strength has held each of them out
        _, tried = cross_validate(features, labels, outputs, seed, advance, "none", kind, units, weights)
        for held_out, logits in zip(tried.held_out, tried.logits, strict=True):
            scores[held_out] = logits
        return scores
    folds = fold_places(strata, seed, units)
    if not folds:
        return scores
    some_units = [units[place] for place in some.tolist()] if units else ()
    counted = weights_at(some, weights)
    probe = fit_probe(features[some], labels[some], outputs, seed, advance, "none", kind, some_units, counted)
    for fitted, held_out in folds:
        learned = fitted[sample_places(strata[fitted], 1, seed)]
        refitted = refit_probe(probe, features[learned], labels[learned], weights_at(learned, weights))
        scores[held_out] = refitted.logits(features[held_out])
        advance(1)
    return scores


def fits_of(labels: np.ndarray, kind: Kind) -> int:
    """How many probes are fitted at most."""
    return most_fits(labels, "none", kind) + MOST_FOLDS
