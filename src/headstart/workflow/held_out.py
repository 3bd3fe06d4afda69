"""Probe or fine-tuned network, where the validation part is too small to tell: by images that are held out in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from headstart.features.extract import FeatureSet
from headstart.images.views import View
from headstart.learn.decide import Candidate
from headstart.learn.finetune import Recipe, logits_in_views
from headstart.learn.imbalance import measuring_weights
from headstart.learn.labelled import Labelled, joined
from headstart.learn.probe import Probe, fewest_units
from headstart.workflow.classifiers import HeldOut, logits_over_views, refit_in_views
from headstart.workflow.images import Images

if TYPE_CHECKING:
    import keras

FOLDS = 4
# One in so many of the images that a fold learns from judges its epochs.
JUDGING = 2 * FOLDS
# Of all images, those that a fold trains on.
SHARE_TRAINED = (1 - 1 / FOLDS) * (1 - 1 / JUDGING)
# With fewer validation images, a gain of two points can hardly be told from chance, even by their log loss in several
# views. Folds take four times as long again, so that within a given time less could be trained in each.
ENOUGH_TO_DECIDE = 100

# Trains with a fold's images, judging epochs by others of them, from a probe; gives the network from images to logits.
TrainAgain = Callable[[Labelled, Labelled, Probe], "keras.Model"]


def is_too_small(images: Images) -> bool:
    """Whether the validation part leaves much to chance, and each fold could have its share of every stratum."""
    train, validation = images.part("train"), images.part("validation")
    is_short = len(validation.digests) < ENOUGH_TO_DECIDE
    return is_short and fewest_units(train.kind.strata(train.labels), train.units) >= 2 * JUDGING


def hold_out(
    images: Images,
    pooled: FeatureSet,
    probe: Probe,
    taught: tuple[View, ...],
    recipe: Recipe,
    at_cut: FeatureSet,
    train_again: TrainAgain,
) -> HeldOut:
    """Ask both about the training and validation images, in four folds.

    In each a probe is fitted and a network fine-tuned without the images that are held out, and as in the run itself a
    part of the others judges the epochs: what is compared is the whole procedure, and no image has had a say in what
    answers for it. Copies of a file and images of a group stay together.

    Args:
        images: audited and divided.
        pooled: features of all these images in the test views, and those that the probe learns from.
        probe: whose strength and balance are taken.
        taught: the views that the probe learns from.
        recipe: how to fine-tune.
        at_cut: features of all these images at the recipe's cut, in its views.
        train_again: fine-tunes from the pretrained weights.
    """
    everything = joined(images.part("train"), images.part("validation"))
    places, of_probe, of_tuned = [], [], []
    for fitted, held in _folds(everything, FOLDS, recipe.seed):
        rest, some = everything.some(fitted), everything.some(held)
        learned, judging = next(_folds(rest, JUDGING, recipe.seed))
        train, validation = rest.some(learned), rest.some(judging)
        fold_probe = refit_in_views(probe, pooled, taught, train)
        model = train_again(train, validation, fold_probe)
        places.append(held)
        of_probe.append(logits_over_views(fold_probe, pooled, recipe.test_views, some))
        in_views = logits_in_views(model, recipe.cut, at_cut, some, recipe.test_views)
        of_tuned.append(np.asarray(in_views.mean(axis=0)))
    asked = everything.some(np.concatenate(places))
    weights = measuring_weights(asked.labels, recipe.balance)
    probe_logits, tuned_logits = np.concatenate(of_probe), np.concatenate(of_tuned)
    return HeldOut(
        Candidate.of(probe_logits, asked.labels, (), weights, asked.kind),
        Candidate.of(tuned_logits, asked.labels, (), weights, asked.kind),
    )


def _folds(part: Labelled, folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of the images to learn from and of those held out, fold by fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    yield from splitter.split(np.zeros(len(part.labels)), part.kind.strata(part.labels), part.together)
