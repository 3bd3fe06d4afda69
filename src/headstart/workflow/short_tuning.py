"""Short fine-tunings of the candidates that are left at the end of a ranking, where a time was given that has room.

A probe says what a base knows, not how well it learns. A few epochs above a high stage tell something of that too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.catalog.base import Base
from headstart.features.extract import FeatureSet
from headstart.images.file import ImageFile
from headstart.images.views import PLAIN
from headstart.learn.base_features import BaseFeatures
from headstart.learn.finetune import Recipe, finetune
from headstart.learn.labelled import Labelled
from headstart.learn.probe import fit_probe, fold_places
from headstart.workflow.session import Session

EPOCHS = 4
# Stages at the top that are trained, as far as a base has them.
STAGES_TRAINED = 2
# With fewer images a class than this, fine-tuning gains too little to tell bases apart by it.
FEWEST_IMAGES_A_CLASS = 50
# Loading a base into Keras, its features at the cut and a first epoch take about so long.
LEAST_SECONDS = 30.0


@dataclass(frozen=True)
class ShortTuning:
    """What a short fine-tuning came to on images that it didn't learn from.

    They chose the best epoch, so that it is a little flattered, as that of every other candidate is.

    Attributes:
        before: the loss of each under the probe from which it started, float64, shape (images,).
        after: likewise, when it was over.
        goodness_before, goodness_after: what people judge by.
    """

    before: np.ndarray
    after: np.ndarray
    goodness_before: float
    goodness_after: float


def has_room(seconds: float, candidates: int, part: Labelled, outputs: int) -> bool:
    """Whether there is time for short fine-tunings, and images enough."""
    a_class, _ = part.kind.images_an_output(part.labels, outputs)
    return seconds >= LEAST_SECONDS * candidates and a_class >= FEWEST_IMAGES_A_CLASS


def tune_briefly(
    session: Session,
    base: Base,
    pooled: FeatureSet,
    files: Sequence[ImageFile],
    part: Labelled,
    outputs: int,
    seconds: float,
) -> ShortTuning | None:
    """Fine-tune the top of a base on four fifths of some images, and look at the last fifth.

    Args:
        session: in which this is done; its checkpoints let an interrupted one go on.
        base: of which all above a high stage is trained.
        pooled: its features of these images, stored.
        files: the images.
        part: what is said of them.
        outputs: classes or labels, or 1.
        seconds: that it may take.

    Returns:
        None where the base has too few stages, or there are too few images to hold any out.
    """
    folds = fold_places(part.kind.strata(part.labels), session.seed, part.together)
    if not folds or len(base.stages) <= STAGES_TRAINED:
        return None
    deadline = time.monotonic() + seconds
    learned, held_out = (part.some(places) for places in folds[0])
    features = BaseFeatures(base, session.store)
    recipe = Recipe(
        base.stages[-1 - STAGES_TRAINED], (PLAIN,), EPOCHS, base.detail, seed=session.seed, test_views=(PLAIN,)
    )
    with session.watch.stage("prepare", f"Loading {base.name} into Keras", total=None, unit="steps"):
        at_cut = features.at(recipe.cut, pooled.precision)
    session.extract("features", "Features to train from", files, at_cut)
    with session.watch.stage("finetune", f"Fine-tuning {base.name}", EPOCHS * len(learned.digests)) as advance:
        rows = pooled.load([(digest, PLAIN) for digest in learned.digests])
        settings = outputs, session.seed
        probe = fit_probe(
            rows, learned.labels, *settings, kind=part.kind, units=learned.together, weights=learned.weights
        )
        tuned = finetune(
            features.model, recipe, at_cut, probe, learned, held_out, advance, session.checkpoints, deadline
        )
    return _judged(held_out, tuned.start_logits[0], tuned.validation_logits[0])


def _judged(held_out: Labelled, before: np.ndarray, after: np.ndarray) -> ShortTuning:
    kind, targets = held_out.kind, held_out.labels
    first, last = kind.predict(before), kind.predict(after)
    losses = kind.losses(first, targets), kind.losses(last, targets)
    return ShortTuning(*losses, kind.goodness(first, targets), kind.goodness(last, targets))
