"""The images of a training run, once they are audited and divided."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headstart.data.audit import Audit, check_weights
from headstart.data.dataset import Dataset, Part, Sample
from headstart.data.labels import written
from headstart.data.split import Split
from headstart.images.file import ImageFile, name_within
from headstart.inspection.findings import Finding
from headstart.learn.kinds import KINDS, Kind
from headstart.learn.labelled import Labelled
from headstart.learn.probe import MOST_FOLDS


def from_all_over(files: Sequence[ImageFile], most: int) -> list[ImageFile]:
    """So many files at most, evenly spread: they may be in the order of their classes."""
    places = np.unique(np.linspace(0, len(files) - 1, min(most, len(files)), dtype=int))
    return [files[place] for place in places]


def stratified(strata: np.ndarray, names: Sequence[str], most: int) -> list[int]:
    """Places of so many images with their share of every stratum; fewer ones are among those of more.

    Args:
        strata: int, shape (images,).
        names: of the images, in whose order those of a stratum are taken.
        most: how many are wanted; each stratum has one for each fold of a cross-validation at least, if it has so many.
    """
    share, chosen = min(1.0, most / max(len(strata), 1)), []
    for stratum in np.unique(strata):
        of_it = sorted(np.flatnonzero(strata == stratum).tolist(), key=lambda place: names[place])
        chosen += of_it[: max(MOST_FOLDS, math.ceil(share * len(of_it)))]
    return chosen


def weights_of(samples: Sequence[Sample]) -> np.ndarray | None:
    """How much each counts in learning, float64, shape (samples,); None where nothing is said of that."""
    weights = [sample.weight for sample in samples if sample.weight is not None]
    return np.array(weights, np.float64) if weights else None


@dataclass(frozen=True)
class Images:
    """Usable images with their labels and parts.

    Attributes:
        dataset: the folder they come from.
        audit: the usable samples, and what was wrong with the others.
        split: the part of each usable sample.
        findings: of the audit, in the order in which they are told.
    """

    dataset: Dataset
    audit: Audit
    split: Split
    findings: tuple[Finding, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, the labels, or the number's name alone: what each output of a network stands for."""
        return self.dataset.labels

    @cached_property
    def kind(self) -> Kind:
        """What is to be predicted, as the training part shows it.

        Raises:
            DataError: it can't be learned from these images.
        """
        check_weights(self.dataset, [self.audit.samples[index] for index in self.split.indices("train")])
        return KINDS[self.dataset.task].of(self._targets("train"), self.classes)

    def part(self, part: Part) -> Labelled:
        """The images of a part; training images of weight 0 aren't among them."""
        places = self._places(part)
        digests = [self.audit.digests[place] for place in places]
        units = [self.split.units[place] for place in places] if self.split.units else ()
        return Labelled(digests, self._targets(part), self.kind, units, weights_of(self._samples(part)))

    def _places(self, part: Part) -> list[int]:
        is_left = [part != "train" or sample.is_learned_from for sample in self.audit.samples]
        return [place for place in self.split.indices(part) if is_left[place]]

    def _samples(self, part: Part) -> list[Sample]:
        return [self.audit.samples[place] for place in self._places(part)]

    def _targets(self, part: Part) -> np.ndarray:
        return KINDS[self.dataset.task].encode([sample.label for sample in self._samples(part)], self.classes)

    def absent(self, part: Part) -> list[str]:
        """The classes or labels that no image of a part has."""
        counts = self.dataset.counts(self._samples(part))
        return [name for name, count in counts.items() if not count]

    def files(self, part: Part) -> list[ImageFile]:
        """The files of a part, in the same order."""
        return [sample.file for sample in self._samples(part)]

    def some(self, part: Part, most: int) -> tuple[list[ImageFile], Labelled]:
        """Images of a part with their share of every stratum, drawn by their content: of more images mostly the same.

        Args:
            part: that they are drawn from.
            most: how many are wanted; some more come where strata are small.
        """
        files, labelled = self.files(part), self.part(part)
        chosen = stratified(labelled.kind.strata(labelled.labels), labelled.digests, most)
        return [files[place] for place in chosen], labelled.some(chosen)

    def name(self, file: ImageFile) -> str:
        """What a file is called below the data's root, with forward slashes on every system."""
        return name_within(file, self.dataset.root)

    @property
    def fingerprint(self) -> str:
        """The same for the same images with the same labels, wherever they lie and whatever they are called."""
        lines = sorted(
            f"{digest} {written(sample.label)}"
            for digest, sample in zip(self.audit.digests, self.audit.samples, strict=True)
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
