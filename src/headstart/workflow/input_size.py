"""The size of the base's input, where images are far smaller than what it was trained with.

Enlarging a digit of 28 pixels to 224 shows nothing that enlarging it to 64 doesn't, and takes twelve times as long to
run and to train. So such a run begins with a smaller input. Once images are divided, the probe is cross-validated on
training images at that size, at the base's own and, where the smaller one does clearly worse, at one between them; the
smallest that does about as well as the base's own is taken.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from contextlib import suppress

from headstart.catalog.base import Base
from headstart.data.dataset import Dataset
from headstart.errors import ImageError
from headstart.features.extract import FeatureSet
from headstart.features.openvino import Precision
from headstart.images.decode import header_of
from headstart.images.file import ImageFile, read_file
from headstart.images.views import PLAIN
from headstart.learn.base_features import BaseFeatures
from headstart.learn.labelled import Labelled
from headstart.learn.probe import fit_probe
from headstart.workflow.images import Images, from_all_over
from headstart.workflow.session import Session

# Files whose size is looked at, from all over the data set.
LOOKED_AT = 50
# Images are far smaller where the base's input has at least so many times their larger side.
FAR_SMALLER = 3
# The smaller input: twice the images' larger side, in steps of what bases shrink their input by, and at least this.
ENLARGED, STEP, SMALLEST = 2, 32, 64
# The one between, as a multiple of the smaller one's side: the digits of scikit-learn are known at 96 pixels as well as
# at 224, in a fifth of the time, and less well at 64.
BETWEEN = 1.5
# Training images that sizes are compared on.
COMPARED_ON = 1000
# A smaller size does clearly worse where its loss is so many times as large as at the base's own, or more.
CLEARLY_LARGER = 1.1


def smaller_input(base: Base, dataset: Dataset) -> Base | None:
    """The base with a smaller input, if images are so small that this may do."""
    side = _usual_side([sample.file for sample in dataset.samples])
    own = _pixels(base)
    if side is None or not base.is_pretrained or own < FAR_SMALLER * side:
        return None
    small = max(SMALLEST, base.smallest, -(-ENLARGED * side // STEP) * STEP)
    return base.with_size(small, small) if small < own else None


def settle_size(session: Session, images: Images, pooled: FeatureSet, own: Base) -> tuple[Base, str]:
    """The smallest input that is large enough, and the reason: the session's, one somewhat larger, or the base's own.

    Args:
        session: the training run, whose base has the smaller input.
        images: audited and divided.
        pooled: features at the smaller size, of all images.
        own: the base with the input that it was trained with.
    """
    files, part = images.some("train", COMPARED_ON)

    def loss_at(base: Base) -> float:
        features = pooled
        if base is not session.features.base:
            features = _prepared(session, base, pooled.precision)
            session.extract("features", f"Trying {_pixels(base)} pixels", files, features)
        with session.watch.stage("probe", f"Fitting the probe at {_pixels(base)} pixels", 1, unit="probes") as advance:
            loss = _loss(features, part, len(images.classes), session.seed)
            advance(1)
        return loss

    at_own, losses = loss_at(own), []
    if math.isinf(at_own):
        return own, "the base's own; images are far smaller, but too few to tell whether less would do"
    chosen = own
    for base in _smaller_sizes(session.features.base, own):
        losses.append((base, loss_at(base)))
        if losses[-1][1] < CLEARLY_LARGER * at_own:
            chosen = base
            break
    measured = ", ".join(f"{loss:.3f} at {_pixels(base)} pixels" for base, loss in losses)
    on = f"cross-validated {images.kind.loss_name} of the probe on {len(part.digests):,} training images"
    verdict = "which is clearly less" if chosen is own else f"which takes {_times(own, chosen):.0f} times as long"
    reason = (
        f"images are far smaller than the base's own; {on}: {measured} and {at_own:.3f} at {_pixels(own)}, {verdict}"
    )
    return chosen, reason


def _smaller_sizes(small: Base, own: Base) -> list[Base]:
    """The smaller input, and one between it and the base's own; each further one would take seconds to prepare."""
    between = -(-int(BETWEEN * _pixels(small)) // STEP) * STEP
    return [small] + ([own.with_size(between, between)] if between < _pixels(own) else [])


def _prepared(session: Session, base: Base, precision: Precision) -> FeatureSet:
    with session.watch.stage("prepare", f"Preparing {_pixels(base)} pixels", total=None, unit="steps"):
        return BaseFeatures(base, session.store).pooled(precision)


def _pixels(base: Base) -> int:
    return min(base.spec.height, base.spec.width)


def _loss(features: FeatureSet, part: Labelled, outputs: int, seed: int) -> float:
    """Of the best strength; infinite where there are too few images to tell."""
    rows = features.load([(digest, PLAIN) for digest in part.digests])
    probe = fit_probe(rows, part.labels, outputs, seed, kind=part.kind, units=part.together, weights=part.weights)
    return min(probe.cross_validated.values(), default=math.inf)


def _times(larger: Base, smaller: Base) -> float:
    return larger.spec.height * larger.spec.width / (smaller.spec.height * smaller.spec.width)


def _usual_side(files: Sequence[ImageFile]) -> int | None:
    """The median of the larger sides of some images, in pixels."""
    sides = []
    for file in from_all_over(files, LOOKED_AT):
        with suppress(ImageError):
            header = header_of(read_file(file))
            sides.append(max(header.width, header.height))
    return int(statistics.median(sides)) if sides else None
