"""What a run stands on once its images are divided, where that is measured: the base, or the size of its input.

Both are chosen by training images alone, which takes a split, which takes near-duplicates, which takes a first look at
all images. So a run sets out with a cheap choice, and changes to another where that does better.
"""

from __future__ import annotations

import math

from headstart.catalog.base import Base
from headstart.errors import UsageError
from headstart.features.boundary import INPUT
from headstart.features.extract import FeatureSet
from headstart.learn.base_features import BaseFeatures
from headstart.learn.ranking import Ranked
from headstart.workflow.base_choice import BaseChoice
from headstart.workflow.candidates import CandidateChoice
from headstart.workflow.halving import Pool, compare_candidates
from headstart.workflow.images import Images
from headstart.workflow.input_size import settle_size
from headstart.workflow.preparing import prepare
from headstart.workflow.session import Session

# What ``--base`` says for a base that is chosen by measurement.
BY_MEASUREMENT = "auto"
# Training images that bases are compared on at most. On the solar cells, the standard error of the difference between
# two bases' losses is then about a hundredth.
SAMPLE = 1000
# Of the time that is left, what choosing the base may take.
SHARE_FOR_CHOOSING = 0.25


def candidates_of(choice: BaseChoice, stage: str | None) -> CandidateChoice:
    """The bases to compare where the user leaves the choice to measurement.

    Args:
        choice: what they say about the base besides.
        stage: above which they want fine-tuning, if they say so.

    Raises:
        UsageError: something is said that is about one base alone.
    """
    if choice.scaling is not None or choice.trust_model_file:
        raise UsageError(
            "--scaling and --trust-model-file are about a model file", f"name it in place of {BY_MEASUREMENT}"
        )
    if stage not in (None, INPUT):
        raise UsageError(
            f"stages differ from base to base, and --base is {BY_MEASUREMENT}",
            "leave --finetune-from out, or name a base",
        )
    sizes = () if choice.image_size is None else (choice.image_size,)
    return CandidateChoice((), sizes, choice.weights, choice.offline)


def base_by_measurement(
    session: Session, images: Images, candidates: CandidateChoice, bases: list[Base], precision: str
) -> FeatureSet:
    """Stand on the base that suits the training images best, and give the features of all images.

    Args:
        session: the training run.
        images: audited and divided.
        candidates: says at which sizes bases are compared.
        bases: to compare.
        precision: of features, as asked for.
    """
    pool = Pool(*images.some("train", SAMPLE), len(images.classes))
    left = session.budget - session.watch.total()
    seconds = left if math.isinf(left) else SHARE_FOR_CHOOSING * left
    compared = compare_candidates(session, pool, candidates.sized(bases, images.dataset), precision, seconds=seconds)
    pooled = _stand_on(session, images, compared.taken, precision)
    session.choose("base", compared.taken.name, f"{compared.reason}; {_runners_up(images, compared.rows)}")
    spec = compared.taken.spec
    session.choose("image size", f"{spec.height}×{spec.width}", "taken along with the base")
    if compared.left_out:
        session.choose("time for choosing the base", "short", compared.left_out)
    return pooled


def size_by_measurement(session: Session, images: Images, pooled: FeatureSet, own: Base, precision: str) -> FeatureSet:
    """Stand on the smallest size that is large enough, and give the features of all images.

    Args:
        session: the training run, whose base has a smaller input than its own.
        images: audited and divided.
        pooled: features at the smaller size.
        own: the base with the input that it was trained with.
        precision: of features, as asked for.
    """
    small = session.features.base
    chosen, reason = settle_size(session, images, pooled, own)
    if chosen is small:
        session.stand_on(BaseFeatures(chosen, session.store))
    else:
        pooled = _stand_on(session, images, chosen, precision)
    session.choose("image size", f"{chosen.spec.height}×{chosen.spec.width}", reason)
    return pooled


def _stand_on(session: Session, images: Images, base: Base, precision: str) -> FeatureSet:
    session.stand_on(BaseFeatures(base, session.store))
    pooled = prepare(session, images.dataset, precision)
    session.extract("features", "Computing features", [sample.file for sample in images.audit.samples], pooled)
    return pooled


def _runners_up(images: Images, rows: tuple[Ranked, ...]) -> str:
    show = images.kind.show
    told = [f"{row.name} {show(row.goodness)}" for row in rows if row.shortfall is not None]
    return f"cross-validated {images.kind.goodness_name} of the probe: {', '.join(told)}"
