"""Near-duplicates among the images of a data set, found once and kept in the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from headstart.data.audit import Audit
from headstart.features.extract import FeatureSet
from headstart.features.looks import Looks, looks_beside
from headstart.images.file import ImageFile
from headstart.images.views import PLAIN
from headstart.inspection.near_duplicates import Pair, linked, near_duplicates
from headstart.workflow.session import Session


def note_near_duplicates(session: Session, audited: Audit, alike: Sequence[Sequence[str]]) -> None:
    """Say in the manifest how many there are and what becomes of them, where there are any."""
    if not alike:
        return
    parts: dict[str, set[str | None]] = {}
    for sample, digest in zip(audited.samples, audited.digests, strict=True):
        parts.setdefault(digest, set()).add(sample.part)
    images = f"{sum(map(len, alike)):,} images in {len(alike):,} group{'s' * (len(alike) > 1)}"
    torn = sum(len(set().union(*(parts[digest] for digest in group))) > 1 for group in alike)
    kept = "each group is on one side wherever images are drawn or held out"
    if torn:
        kept = f"{torn:,} of the groups lie in several given parts, so that testing flatters"
    reason = f"the same picture, saved again, resized, cut or brightened; {kept}; headstart audit shows them"
    session.choose("near-duplicates", images, reason)


def look_at(session: Session, digests: Sequence[str], files: Sequence[ImageFile], pooled: FeatureSet) -> Looks:
    """What images look like, from the store; where features were computed without it, it is made up for.

    Args:
        session: in which this is done.
        digests: of different images.
        files: that have them, in the same order.
        pooled: features of the images.
    """
    kept, wanted = looks_beside(pooled), [(digest, PLAIN) for digest in digests]
    missing = set(kept.missing(wanted))
    if missing:
        without = [file for file, one in zip(files, wanted, strict=True) if one in missing]
        session.extract("features", "Looking at images", without, kept)
    return Looks.of(kept.load(wanted))


def find_near_duplicates(session: Session, digests: Sequence[str], looks: Looks, pooled: FeatureSet) -> list[Pair]:
    """All pairs of near-duplicates, by place; arguments as for `look_at`."""

    def compute() -> np.ndarray:
        with session.watch.stage("inspect", "Looking for near-duplicates", len(digests)) as advance:
            pairs = near_duplicates(looks.thumbnails, looks.contrast, advance)
        return np.array([(pair.first, pair.second, pair.likeness) for pair in pairs], np.float64).reshape(-1, 3)

    rows = once(session, ("near-duplicates-2", looks_beside(pooled), *digests), compute)
    return [Pair(int(first), int(second), float(likeness)) for first, second, likeness in rows]


def alike_among(session: Session, audited: Audit, pooled: FeatureSet) -> list[tuple[str, ...]]:
    """The digests of near-duplicates among usable images, group by group.

    Args:
        session: in which this is done.
        audited: the images.
        pooled: features of them.
    """
    places = audited.different()
    different, files = list(places), [audited.samples[place].file for place in places.values()]
    looks = look_at(session, different, files, pooled)
    return linked(different, find_near_duplicates(session, different, looks, pooled))


def once(session: Session, of: Sequence[str | FeatureSet], compute: Callable[[], np.ndarray]) -> np.ndarray:
    """What was computed of the same before, from the store; or else computed now and kept there.

    Args:
        session: that has the store.
        of: all that it depends on; of features, their kind.
        compute: gives it.
    """
    words = [word if isinstance(word, str) else word.key("", PLAIN).hex() for word in of]
    key = hashlib.sha256("\n".join(words).encode()).digest()
    found = session.store.get([key])[0]
    if found is None:
        found = compute()
        session.store.put(key, found)
    return found
