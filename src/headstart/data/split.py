"""The split: which images are trained on, decided by, and tested with.

An image's place depends on its own bytes and on the seed alone, so it doesn't move when other images come or go, and
equal files always share a side. Shares come out right on average; each class is then topped up to have at least one
image everywhere.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.data.scan import PARTS, Part, Sample
from headstart.errors import DataError

SHARES: dict[Part, float] = {"train": 0.70, "validation": 0.15, "test": 0.15}


@dataclass(frozen=True)
class Split:
    """The part of each sample, in the samples' order, and where the division comes from."""

    parts: tuple[Part, ...]
    origin: str

    def indices(self, part: Part) -> list[int]:
        return [index for index, own in enumerate(self.parts) if own == part]

    def counts(self) -> dict[Part, int]:
        return {part: self.parts.count(part) for part in PARTS}


def split(samples: Sequence[Sample], digests: Sequence[str], seed: int) -> Split:
    """Divide samples three ways, within each class, keeping parts that were given.

    A given training part without a validation or a test part gives up some of its images for the missing one.

    Args:
        samples: all usable samples; either each has a part or none has.
        digests: the sha256 of each sample's file.
        seed: another seed is another division.

    Raises:
        DataError: a class has fewer different images than there are parts to fill.
    """
    given = {sample.part for sample in samples if sample.part is not None}
    missing: tuple[Part, ...] = tuple(part for part in PARTS if part == "train" or part not in given)
    shares = {part: SHARES[part] / sum(SHARES[other] for other in missing) for part in missing}
    parts: list[Part] = [sample.part or "train" for sample in samples]
    for label in sorted({sample.label for sample in samples}):
        members = [i for i, sample in enumerate(samples) if sample.label == label and parts[i] == "train"]
        places = _place(label, {digests[i] for i in members}, shares, seed)
        for i in members:
            parts[i] = places[digests[i]]
    return Split(tuple(parts), _origin(given, missing))


def _place(label: str, digests: set[str], shares: dict[Part, float], seed: int) -> dict[str, Part]:
    """The part of each different image of one class."""
    if len(digests) < len(shares):
        raise DataError(
            f"class {label!r} has too few different images: {len(digests)}, where {len(shares)} are needed, one a part",
            "add images of it; copies of a file count once",
        )
    order = sorted(digests, key=lambda digest: _draw(digest, seed))
    places = {digest: _part_at(_draw(digest, seed), shares) for digest in order}
    for part in shares:
        if part not in places.values():
            places[_donor(order, places)] = part
    return places


def _draw(digest: str, seed: int) -> float:
    """A number in [0, 1) that depends on the image and the seed only."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{digest}".encode()).digest()[:8], "big") / 2**64


def _part_at(draw: float, shares: dict[Part, float]) -> Part:
    """Test lies lowest, then validation, then train, so that the last share takes up the rounding."""
    reached = 0.0
    for part in reversed(list(shares)):
        reached += shares[part]
        if draw < reached:
            return part
    return next(iter(shares))


def _donor(order: list[str], places: dict[str, Part]) -> str:
    """The first image of the part that has most, to give to a part that has none."""
    fullest = Counter(places.values()).most_common(1)[0][0]
    return next(digest for digest in order if places[digest] == fullest)


def _origin(given: set[Part], missing: tuple[Part, ...]) -> str:
    if not given:
        return "drawn from the images' content and the seed, within each class"
    drawn = [part for part in missing if part != "train"]
    if not drawn:
        return "as the folders give it"
    return f"as the folders give it; {' and '.join(drawn)} drawn from the training folder"
