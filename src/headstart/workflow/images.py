"""The images of a training run, once they are audited and divided."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.data.audit import Audit
from headstart.data.scan import Dataset, Part
from headstart.data.split import Split
from headstart.learn.finetune import Labelled


@dataclass(frozen=True)
class Images:
    """Usable images with their labels and parts.

    Attributes:
        dataset: the folder they come from.
        audit: the usable samples, and what was wrong with the others.
        split: the part of each usable sample.
    """

    dataset: Dataset
    audit: Audit
    split: Split

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.labels

    def part(self, part: Part) -> Labelled:
        """The images of a part."""
        chosen = self.split.indices(part)
        numbers = {label: number for number, label in enumerate(self.classes)}
        labels = np.array([numbers[self.audit.samples[index].label] for index in chosen], np.int64)
        return Labelled([self.audit.digests[index] for index in chosen], labels)

    def paths(self, part: Part) -> list[Path]:
        """The files of a part, in the same order."""
        return [self.audit.samples[index].path for index in self.split.indices(part)]

    def relative(self, path: Path) -> str:
        """A file's path below the data folder, with forward slashes on every system."""
        return path.relative_to(self.dataset.root).as_posix()

    @property
    def fingerprint(self) -> str:
        """The same for the same images with the same labels, wherever they lie and whatever they are called."""
        lines = sorted(
            f"{digest} {sample.label}" for digest, sample in zip(self.audit.digests, self.audit.samples, strict=True)
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
