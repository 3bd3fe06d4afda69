"""What is measured about the images of a data set, from which an audit's findings are made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from headstart.data.audit import Audit
from headstart.data.dataset import Dataset, Sample
from headstart.data.split import units_of
from headstart.data.unlabelled import UNLABELLED
from headstart.errors import DataError, ImageError
from headstart.features.extract import FeatureSet, cpu_cores
from headstart.images.decode import Header, header_of
from headstart.images.file import ImageFile, read_file
from headstart.images.views import PLAIN
from headstart.inspection.near_duplicates import linked
from headstart.inspection.odd_ones import OddOne, odd_ones
from headstart.learn.kinds import KINDS, Kind
from headstart.learn.labelled import weights_at
from headstart.learn.out_of_fold import fits_of, out_of_fold
from headstart.learn.probe import MOST_FOLDS
from headstart.progress import Advance
from headstart.workflow.audit_findings import Examined
from headstart.workflow.images import weights_of
from headstart.workflow.near import find_near_duplicates, look_at, once
from headstart.workflow.session import Session


def examine(session: Session, dataset: Dataset, left: Audit, pooled: FeatureSet) -> Examined:
    """Measure everything that findings are made of; what was measured of the same images before comes from the store.

    Args:
        session: in which this is done.
        dataset: as it was read.
        left: what of it can be used, which is at least one image.
        pooled: features of the images.
    """
    places = left.different()
    different, first = list(places), tuple(places.values())
    samples = [left.samples[place] for place in first]
    looks = look_at(session, different, [sample.file for sample in samples], pooled)
    pairs = find_near_duplicates(session, different, looks, pooled)
    looks = looks.measures_alone()  # before features fill the memory, where there are very many images
    features = pooled.load([(digest, PLAIN) for digest in different])
    odd = _odd_ones(session, different, pooled, features)
    grouped = [(sample.group, digest) for sample, digest in zip(samples, different, strict=True)]
    units = units_of(grouped, linked(different, pairs))
    kind, targets = _kind(dataset, samples)
    scores = None
    if kind is not None and targets is not None:
        said = Labelling(kind, targets, len(dataset.labels), units, weights_of(samples))
        scores = _scores(session, different, pooled, features, said)
    headers = _headers(session, [sample.file for sample in samples])
    return Examined(dataset, left, first, looks, tuple(headers), tuple(pairs), tuple(odd), kind, targets, scores)


@dataclass(frozen=True)
class Labelling:
    """What is said of images.

    Attributes:
        kind: what it is.
        targets: of the kind.
        outputs: how many classes or labels there are, or 1.
        units: of each image, what is held out together, by name.
        weights: how much each counts in learning; None for all alike.
    """

    kind: Kind
    targets: np.ndarray
    outputs: int
    units: Sequence[str]
    weights: np.ndarray | None = None

    def checkable(self) -> np.ndarray:
        """Places of the images whose labels can be checked: those of classes that have an image for each fold.

        Images of weight 0 are nothing to learn from, and whoever gives that weight has judged them already.
        """
        learned_from = np.arange(len(self.targets)) if self.weights is None else np.flatnonzero(self.weights)
        if self.kind.task != "classes":
            return learned_from
        units: dict[int, set[str]] = {}
        for place in learned_from.tolist():
            units.setdefault(int(self.targets[place]), set()).add(self.units[place])
        return np.array(
            [place for place in learned_from if len(units[int(self.targets[place])]) >= MOST_FOLDS], np.intp
        )


def _odd_ones(session: Session, digests: Sequence[str], pooled: FeatureSet, features: np.ndarray) -> list[OddOne]:
    def compute() -> np.ndarray:
        with session.watch.stage("inspect", "Looking for odd ones", len(digests)) as advance:
            found = odd_ones(features, session.seed, advance)
        return np.array([(one.place, one.times) for one in found], np.float64).reshape(-1, 2)

    of = "odd-ones-1", pooled, str(session.seed)
    return [OddOne(int(place), float(times)) for place, times in once(session, (*of, *digests), compute)]


def _scores(
    session: Session, digests: Sequence[str], pooled: FeatureSet, features: np.ndarray, said: Labelling
) -> np.ndarray:
    """Of each image when held out, shape (images, outputs); NaN for those whose labels can't be checked."""

    def compute() -> np.ndarray:
        with session.watch.stage(
            "inspect", "Checking labels", fits_of(said.targets, said.kind), unit="fits"
        ) as advance:
            return _held_out(features, said, session.seed, advance)

    of = "out-of-fold-1", pooled, str(session.seed)
    targets = hashlib.sha256(said.targets.tobytes()).hexdigest()
    weights = [] if said.weights is None else [f"weights {hashlib.sha256(said.weights.tobytes()).hexdigest()}"]
    return once(session, (*of, said.kind.task, targets, *weights, *said.units, *digests), compute)


def _held_out(features: np.ndarray, said: Labelling, seed: int, advance: Advance) -> np.ndarray:
    places = said.checkable()
    targets, columns = said.targets[places], np.arange(said.outputs)
    if said.kind.task == "classes":  # those that are left, numbered anew
        columns, targets = np.unique(targets, return_inverse=True)
    scores = np.full((len(features), said.outputs), np.nan, np.float32)
    if len(places) and len(columns) > (said.kind.task == "classes"):
        units = [said.units[place] for place in places.tolist()]
        weights = weights_at(places, said.weights)
        some = features if len(places) == len(features) else features[places]  # a copy, which may be large
        found = out_of_fold(some, targets, len(columns), seed, said.kind, units, advance, weights)
        scores[places] = np.where(np.isnan(found[:, :1]), np.nan, -np.inf)
        scores[np.ix_(places, columns)] = found
    return scores


def _kind(dataset: Dataset, samples: Sequence[Sample]) -> tuple[Kind | None, np.ndarray | None]:
    """What labels say, as far as anything can be learned from them."""
    if dataset.labels == (UNLABELLED,):
        return None, None
    targets = KINDS[dataset.task].encode([sample.label for sample in samples], dataset.labels)
    try:
        return KINDS[dataset.task].of(targets, dataset.labels), targets
    except DataError:
        return None, None


def _headers(session: Session, files: Sequence[ImageFile]) -> list[Header | None]:
    """What files say of themselves; None for one that is gone by now."""
    found = []
    with (
        session.watch.stage("inspect", "Reading headers", len(files)) as advance,
        ThreadPoolExecutor(cpu_cores()) as pool,
    ):
        for header in pool.map(_header, files):
            found.append(header)
            advance(1)
    return found


def _header(file: ImageFile) -> Header | None:
    try:
        return header_of(read_file(file))
    except ImageError:
        return None
