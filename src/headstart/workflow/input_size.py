"""The size of the base's input, where images are far smaller than what it was trained with.

Enlarging a digit of 28 pixels to 224 shows nothing that enlarging it to 64 doesn't, and takes twelve times as long to
run and to train. So such a run begins with a smaller input. Once images are divided, the probe on either size is
cross-validated on training images, and the base's own size is taken where that has a clearly smaller loss.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from headstart.catalog.base import Base
from headstart.data.dataset import Dataset
from headstart.errors import ImageError
from headstart.features.extract import FeatureSet
from headstart.images.decode import size_of
from headstart.images.file import ImageFile, read_file
from headstart.images.views import PLAIN
from headstart.learn.base_features import BaseFeatures
from headstart.learn.finetune import Labelled
from headstart.learn.probe import MOST_FOLDS, fit_probe
from headstart.workflow.images import Images, from_all_over
from headstart.workflow.session import Session

# Files whose size is looked at, from all over the data set.
LOOKED_AT = 50
# Images are far smaller where the base's input has at least so many times their larger side.
FAR_SMALLER = 3
# The smaller input: twice the images' larger side, in steps of what bases shrink their input by, and at least this.
ENLARGED, STEP, SMALLEST = 2, 32, 64
# Training images that sizes are compared on.
COMPARED_ON = 1000
# The base's own size is taken where the loss at the smaller one is so many times as large, or more.
CLEARLY_LARGER = 1.1


def smaller_input(base: Base, dataset: Dataset) -> Base | None:
    """The base with a smaller input, if images are so small that this may do."""
    side = _usual_side([sample.file for sample in dataset.samples])
    own = min(base.spec.height, base.spec.width)
    if side is None or not base.is_pretrained or own < FAR_SMALLER * side:
        return None
    small = max(SMALLEST, base.smallest, -(-ENLARGED * side // STEP) * STEP)
    return base.with_size(small, small) if small < own else None


def settle_size(session: Session, images: Images, pooled: FeatureSet, own: Base) -> tuple[Base, str]:
    """The base that the session has, with a smaller input, or the one with its own, and the reason.

    Args:
        session: the training run.
        images: audited and divided.
        pooled: features at the smaller size, of all images.
        own: the base with the input that it was trained with.
    """
    small, at_own = session.features.base, BaseFeatures(own, session.store).pooled(pooled.precision)
    files, part = _some(images)
    session.extract("features", f"Trying {own.spec.height} pixels", files, at_own)
    losses: list[float] = []
    with session.watch.stage("probe", "Fitting the probe at two sizes", total=2, unit="sizes") as advance:
        for features in (pooled, at_own):
            losses.append(_loss(features, part, len(images.classes), session.seed))
            advance(1)
    smaller, larger = losses
    if math.isinf(larger):
        return own, "the base's own; images are far smaller, but too few to tell whether less would do"
    is_enough = smaller < CLEARLY_LARGER * larger
    measured = f"{smaller:.3f} at {small.spec.height} pixels and {larger:.3f} at {own.spec.height}"
    on = f"cross-validated {images.kind.loss_name} of the probe on {len(part.digests):,} training images"
    verdict = f"which takes {_times(own, small):.0f} times as long" if is_enough else "which is clearly less"
    reason = f"images are far smaller than the base's own; {on}: {measured}, {verdict}"
    return small if is_enough else own, reason


def _loss(features: FeatureSet, part: Labelled, outputs: int, seed: int) -> float:
    """Of the best strength; infinite where there are too few images to tell."""
    rows = features.load([(digest, PLAIN) for digest in part.digests])
    probe = fit_probe(rows, part.labels, outputs, seed, kind=part.kind, units=part.together)
    return min(probe.cross_validated.values(), default=math.inf)


def _times(larger: Base, smaller: Base) -> float:
    return larger.spec.height * larger.spec.width / (smaller.spec.height * smaller.spec.width)


def _usual_side(files: Sequence[ImageFile]) -> int | None:
    """The median of the larger sides of some images, in pixels."""
    sides = []
    for file in from_all_over(files, LOOKED_AT):
        with suppress(ImageError):
            sides.append(max(size_of(read_file(file))))
    return int(statistics.median(sides)) if sides else None


def _some(images: Images) -> tuple[list[ImageFile], Labelled]:
    """Training images with their share of every stratum, drawn by their content: of more images mostly the same."""
    files, part = images.files("train"), images.part("train")
    strata = part.kind.strata(part.labels)
    share = min(1.0, COMPARED_ON / len(files))
    chosen: list[int] = []
    for stratum in np.unique(strata):
        of_it = sorted(np.flatnonzero(strata == stratum).tolist(), key=lambda place: part.digests[place])
        chosen += of_it[: max(MOST_FOLDS, math.ceil(share * len(of_it)))]
    return [files[place] for place in chosen], part.some(chosen)
