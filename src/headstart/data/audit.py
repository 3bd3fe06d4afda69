"""What is wrong with the images, found before anything is learned from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart.data.dataset import PARTS, Dataset, Sample
from headstart.data.labels import Task, in_words, written
from headstart.errors import DataError
from headstart.images.file import ImageFile, byte_size

# One image for each part, or there is nothing to train on, to decide by, or to test with.
FEWEST_IMAGES = 3
NOUNS: dict[Task, str] = {"classes": "class", "multi-label": "label", "regression": "the number"}


@dataclass(frozen=True)
class Quarantined:
    """A file that is left out.

    Attributes:
        file: the file.
        reason: why, in words.
        byte_size: of the file.
        is_image: whether it can be read, and is left out for what another file with its bytes says.
    """

    file: ImageFile
    reason: str
    byte_size: int
    is_image: bool = False


@dataclass(frozen=True)
class Audit:
    """The samples that are fit to use, and what was found about the others.

    Attributes:
        samples: readable, without contradictions and without leaks between given parts.
        digests: the sha256 of each sample's file, in the same order.
        quarantined: what was left out, each with its reason.
        duplicates: files whose bytes another usable file has too; they stay, on the same side of the split.
    """

    samples: tuple[Sample, ...]
    digests: tuple[str, ...]
    quarantined: tuple[Quarantined, ...]
    duplicates: int

    def different(self) -> dict[str, int]:
        """The digest of each different image, and the place of the first sample that has it."""
        places: dict[str, int] = {}
        for place, digest in enumerate(self.digests):
            places.setdefault(digest, place)
        return places


def audit(dataset: Dataset, digests: Mapping[ImageFile, str], unreadable: Mapping[ImageFile, str]) -> Audit:
    """Leave out what can't or mustn't be learned from, and see to it that enough is left.

    Args:
        dataset: the scanned files.
        digests: the sha256 of every file whose bytes could be read.
        unreadable: the reason for every file that didn't become an image.

    Raises:
        DataError: too few images of a class are left.
    """
    left = leave_out(dataset, digests, unreadable)
    _check_counts(dataset, left.samples, {found.file: found.reason for found in left.quarantined})
    return left


def leave_out(dataset: Dataset, digests: Mapping[ImageFile, str], unreadable: Mapping[ImageFile, str]) -> Audit:
    """Leave out what can't or mustn't be learned from, be what is left enough or not; arguments as for `audit`."""
    reasons = dict(unreadable)
    readable = [sample for sample in dataset.samples if sample.file not in reasons]
    copies = defaultdict(list)
    for sample in readable:
        copies[digests[sample.file]].append(sample)
    for same in copies.values():
        reasons |= _contradictions(same) or _leaks(same)
    kept = tuple(sample for sample in readable if sample.file not in reasons)
    kept_digests = tuple(digests[sample.file] for sample in kept)
    quarantined = tuple(
        Quarantined(file, reasons[file], byte_size(file), is_image=file not in unreadable) for file in sorted(reasons)
    )
    return Audit(kept, kept_digests, quarantined, duplicates=len(kept) - len(set(kept_digests)))


def _contradictions(same: Sequence[Sample]) -> dict[ImageFile, str]:
    """Files with the same bytes under two labels: at least one label is wrong, and nobody can tell which."""
    labels = sorted({sample.label for sample in same}, key=written)
    if len(labels) == 1:
        return {}
    return {sample.file: f"the same image is labelled {' and '.join(map(in_words, labels))}" for sample in same}


def _leaks(same: Sequence[Sample]) -> dict[ImageFile, str]:
    """Files of a given training or validation part that a later part has too: they would flatter the result."""
    present = [part for part in PARTS if any(sample.part == part for sample in same)]
    if len(present) < 2:
        return {}
    keeper = present[-1]
    return {
        sample.file: f"the same image is in the {keeper} part, which it would give away"
        for sample in same
        if sample.part != keeper
    }


def _check_counts(dataset: Dataset, kept: Sequence[Sample], reasons: Mapping[ImageFile, str]) -> None:
    """Each class or label, or else all images together, must have what the three parts need."""
    usable = dataset.counts(kept)
    for name, found in dataset.counts().items():
        if found and not usable[name]:
            file = next(sample.file for sample in dataset.samples if name in dataset.names_of(sample.label))
            raise DataError(
                f"no image of {_whose(dataset, name)} can be used: {file.name}: {reasons[file]}",
                f"mend these files{_or_take_away(dataset)}",
            )
        if usable[name] < FEWEST_IMAGES:
            raise DataError(
                f"{_whose(dataset, name)} has {usable[name]} usable image{'s' * (usable[name] != 1)}; "
                f"at least {FEWEST_IMAGES} are needed: one each to train, to validate and to test",
                f"add images of it{_or_take_away(dataset)}",
            )


def check_weights(dataset: Dataset, trained: Sequence[Sample]) -> None:
    """Refuses weights that leave nothing to learn a class or a label from, or a number.

    Args:
        dataset: that they are of.
        trained: the samples of its training part.

    Raises:
        DataError: all training images of one have a weight of 0.
    """
    learned = dataset.counts([sample for sample in trained if sample.is_learned_from])
    for name, found in dataset.counts(trained).items():
        if found and not learned[name]:
            raise DataError(
                f"{_whose(dataset, name)}: none of its {found:,} training images has a weight above 0",
                "give one of them more, or leave weights alone with --weight-column none",
            )


def _whose(dataset: Dataset, name: str) -> str:
    return f"{NOUNS[dataset.task]} {name!r}"


def _or_take_away(dataset: Dataset) -> str:
    if dataset.task == "regression":
        return ""
    return ", or take the class's folder away" if dataset.origin == "folders" else ", or take it out of the table"
