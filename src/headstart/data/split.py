"""The split: which images are trained on, decided by, and tested with.

An image's place depends on its own bytes and on the seed alone, so it doesn't move when other images come or go, and
equal files always share a side. Shares come out right on average; each class is then topped up to have at least one
image everywhere. Where several labels may apply to an image, each label is topped up, the rarest first, since it has
the fewest images to choose among (the order of iterative stratification, Sechidis et al. 2011); which of them moves is
again for its bytes to say. For numbers, chance alone divides: the parts' distributions are alike on average.

Where it is known what images were taken of, a patient say, a group of images is placed whole, by its name, with what
shares a file with it: else a test image would be of somebody whom training has seen. Near-duplicates are placed
together likewise, by the first of their digests. A group may have several labels, so that groups are placed as images
with several labels are.

A new image may still move an old one, by being its near-duplicate with the smaller digest, or where a part that had to
be topped up no longer has to. Where an earlier split is given, what it placed stays, and only the rest is drawn.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from headstart.data.dataset import PARTS, Part, Sample
from headstart.data.labels import Label, Task, names_in, written
from headstart.errors import DataError

Places = dict[str, Part]
Shares = Mapping[Part, float]
IMAGES = "different images"

SHARES: dict[Part, float] = {"train": 0.70, "validation": 0.15, "test": 0.15}
WITHIN: dict[Task, str] = {
    "classes": ", within each class",
    "multi-label": ", each label in every part",
    "regression": "",
}


@dataclass(frozen=True)
class Split:
    """Where each sample is.

    Attributes:
        parts: of the samples, in their order.
        origin: where the division comes from.
        units: what each sample must stay together with wherever images are held out: those of the same name.
    """

    parts: tuple[Part, ...]
    origin: str
    units: tuple[str, ...] = ()

    def indices(self, part: Part) -> list[int]:
        return [index for index, own in enumerate(self.parts) if own == part]

    def counts(self) -> dict[Part, int]:
        return {part: self.parts.count(part) for part in PARTS}


def split(
    samples: Sequence[Sample],
    digests: Sequence[str],
    seed: int,
    task: Task = "classes",
    given_by: Literal["folders", "table"] = "folders",
    alike: Sequence[Sequence[str]] = (),
    earlier: Mapping[str, Part] = MappingProxyType({}),
) -> Split:
    """Divide samples three ways, within each class, keeping parts that were given and groups together.

    A given training part without a validation or a test part gives up some of its images for the missing one.

    Args:
        samples: all usable samples; either each has a part or none has.
        digests: the sha256 of each sample's file.
        seed: another seed is another division.
        task: what their labels say.
        given_by: what gave the parts, for the origin.
        alike: the digests of near-duplicates, group by group.
        earlier: the part of each digest in an earlier split, which it keeps; where that put what belongs together into
            several parts, all of it goes where most of it was.

    Raises:
        DataError: a class or a label has fewer different images, or groups of them, than there are parts to fill.
    """
    given = {sample.part for sample in samples if sample.part is not None}
    missing: tuple[Part, ...] = tuple(part for part in PARTS if part == "train" or part not in given)
    shares = {part: SHARES[part] / sum(SHARES[other] for other in missing) for part in missing}
    parts: list[Part] = [sample.part or "train" for sample in samples]
    drawn = [i for i in range(len(samples)) if parts[i] == "train"]
    units = units_of([(sample.group, digest) for sample, digest in zip(samples, digests, strict=True)], alike)
    by_unit = units != list(digests)  # a unit may then have several labels
    kept = _kept({digests[i]: units[i] for i in drawn}, earlier, shares)
    chance = _Chance(shares, seed, kept)
    places = _place_units([samples[i] for i in drawn], [units[i] for i in drawn], chance, task, by_unit)
    for i in drawn:
        parts[i] = places[units[i]]
    origin = _origin(given, missing, task, given_by) + _of_groups(samples, given) + _of_earlier(kept)
    return Split(tuple(parts), origin, tuple(units))


def units_of(found: Sequence[tuple[str | None, str]], alike: Sequence[Sequence[str]]) -> list[str]:
    """What must stay on one side of a split with each image, by name.

    That is the file's digest, or the first of those of near-duplicates; or, with a group, the group that comes first of
    those that share files, or near-duplicates, with each other.

    Args:
        found: the group and the digest of each image.
        alike: the digests of near-duplicates, group by group.
    """
    links: dict[str, str] = {}

    def first(name: str) -> str:
        while name in links:
            links[name] = links.get(links[name], links[name])  # shorter for the next one
            name = links[name]
        return name

    # A space sorts before every digest, so that a group gives its name to what it is linked with.
    together = [(f" {group}", digest) for group, digest in found if group is not None]
    for linked in (*together, *alike):
        ahead, *behind = sorted({first(name) for name in linked})
        links |= dict.fromkeys(behind, ahead)
    return [first(digest) for _, digest in found]


@dataclass(frozen=True)
class _Chance:
    """What draws a part for each image, or each unit.

    Attributes:
        shares: of the parts.
        seed: another one draws others.
        kept: what isn't drawn, since it has a part.
    """

    shares: Shares
    seed: int
    kept: Places

    def order(self, units: Iterable[str]) -> list[str]:
        """In which they are asked to move: those that have been placed before come last."""
        return sorted(units, key=lambda unit: (unit in self.kept, _draw(unit, self.seed)))

    def part(self, unit: str) -> Part:
        """Test lies lowest, then validation, then train, so that the last share takes up the rounding."""
        if unit in self.kept:
            return self.kept[unit]
        draw, reached = _draw(unit, self.seed), 0.0
        for part in reversed(list(self.shares)):
            reached += self.shares[part]
            if draw < reached:
                return part
        return next(iter(self.shares))


def _kept(units: Mapping[str, str], earlier: Mapping[str, Part], shares: Shares) -> Places:
    """The part of each unit some of which was placed before; `units` has each digest's."""
    found: dict[str, Counter[Part]] = {}
    for digest, unit in units.items():
        if earlier.get(digest) in shares:
            found.setdefault(unit, Counter())[earlier[digest]] += 1
    return {unit: max(PARTS, key=lambda part: parts[part]) for unit, parts in found.items()}


def _place_units(samples: Sequence[Sample], units: Sequence[str], chance: _Chance, task: Task, by_unit: bool) -> Places:
    noun = "groups" if any(sample.group for sample in samples) else IMAGES
    if not by_unit:
        labels = {unit: sample.label for unit, sample in zip(units, samples, strict=True)}
        place = {"classes": _place_classes, "multi-label": _place_labels, "regression": _place_numbers}[task]
        return place(labels, chance)
    if task == "regression":
        return _place("the table", set(units), chance, noun)
    names: dict[str, set[str]] = {unit: set() for unit in units}
    for unit, sample in zip(units, samples, strict=True):
        names[unit].update(names_in(sample.label))
    together = {unit: tuple(sorted(found)) for unit, found in names.items()}
    return _place_labels(together, chance, "class" if task == "classes" else "label", noun)


def _place_classes(labels: Mapping[str, Label], chance: _Chance) -> Places:
    places: Places = {}
    for label in sorted({written(label) for label in labels.values()}):
        places |= _place(f"class {label!r}", {digest for digest in labels if labels[digest] == label}, chance)
    return places


def _place_numbers(labels: Mapping[str, Label], chance: _Chance) -> Places:
    return _place("the table", set(labels), chance)


def _place_labels(labels: Mapping[str, Label], chance: _Chance, noun: str = "label", units: str = IMAGES) -> Places:
    """By chance, and then each label topped up where a part lacks it, without taking another's last image away."""
    order = chance.order(labels)
    places = {digest: chance.part(digest) for digest in order}
    carriers = {name: [digest for digest in order if name in names_in(labels[digest])] for name in _all_names(labels)}
    for name in sorted(carriers, key=lambda name: (len(carriers[name]), name)):
        _check_enough(f"{noun} {name!r}", len(carriers[name]), chance.shares, units)
        for part in chance.shares:
            if all(places[digest] != part for digest in carriers[name]):
                fullest = Counter(places[digest] for digest in carriers[name]).most_common(1)[0][0]
                spare = [
                    digest
                    for digest in carriers[name]
                    if places[digest] == fullest and _leaves_others(digest, labels, carriers, places)
                ]
                if spare:  # or else the part goes without, which the report says
                    places[spare[0]] = part
    return places


def _leaves_others(
    digest: str, labels: Mapping[str, Label], carriers: Mapping[str, Sequence[str]], places: Places
) -> bool:
    """Whether each of an image's labels has another image in its part."""
    return all(
        any(other != digest and places[other] == places[digest] for other in carriers[name])
        for name in names_in(labels[digest])
    )


def _all_names(labels: Mapping[str, Label]) -> set[str]:
    return {name for label in labels.values() for name in names_in(label)}


def _place(what: str, digests: set[str], chance: _Chance, units: str = IMAGES) -> Places:
    """The part of each different image of one class, or of all of them; or of each group."""
    _check_enough(what, len(digests), chance.shares, units)
    order = chance.order(digests)
    places = {digest: chance.part(digest) for digest in order}
    for part in chance.shares:
        if part not in places.values():
            places[_donor(order, places)] = part
    return places


def _check_enough(what: str, count: int, shares: Shares, units: str) -> None:
    if count < len(shares):
        alike = "copies of a file count once" if units == IMAGES else "or let go of groups with --group-column none"
        raise DataError(
            f"{what} has too few {units}: {count}, where {len(shares)} are needed, one a part",
            f"add images of it; {alike}",
        )


def _draw(digest: str, seed: int) -> float:
    """A number in [0, 1) that depends on the image and the seed only."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{digest}".encode()).digest()[:8], "big") / 2**64


def _donor(order: list[str], places: dict[str, Part]) -> str:
    """The first image of the part that has most, to give to a part that has none."""
    fullest = Counter(places.values()).most_common(1)[0][0]
    return next(digest for digest in order if places[digest] == fullest)


def _origin(given: set[Part], missing: tuple[Part, ...], task: Task, given_by: Literal["folders", "table"]) -> str:
    if not given:
        return f"drawn from the images' content and the seed{WITHIN[task]}"
    drawn = [part for part in missing if part != "train"]
    as_given = "as the folders give it" if given_by == "folders" else "as the table gives it"
    if not drawn:
        return as_given
    return f"{as_given}; {' and '.join(drawn)} drawn from the training {'folder' if given_by == 'folders' else 'part'}"


def _of_groups(samples: Sequence[Sample], given: set[Part]) -> str:
    """What became of groups, if there are any."""
    parts: dict[str, set[Part | None]] = {}
    for sample in samples:
        if sample.group is not None:
            parts.setdefault(sample.group, set()).add(sample.part)
    if not parts:
        return ""
    torn = sum(len(found) > 1 for found in parts.values()) if given else 0
    return f"; {torn:,} of {len(parts):,} groups are in several given parts" if torn else "; no group in two parts"


def _of_earlier(kept: Places) -> str:
    return "; what an earlier run placed stays where it was" if kept else ""
