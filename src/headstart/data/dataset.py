"""Images with what is said of them, wherever they come from; no file is opened here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headstart.data.labels import Label, Task, names_in
from headstart.images.file import ImageFile

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")

PART_NAMES: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Sample:
    """A file that may be an image, with what is said of it.

    Attributes:
        file: the image.
        label: the class whose folder it lies in, or what a table says of it.
        part: that it was put into, if any.
        group: what it was taken of, such as a patient, if that is known; no group is both learned from and tested with.
        weight: how much it counts in learning, compared with others; None where nothing is said of that.
    """

    file: ImageFile
    label: Label
    part: Part | None = None
    group: str | None = None
    weight: float | None = None

    @property
    def is_learned_from(self) -> bool:
        """Whether it is, where it lies in the training part."""
        return self.weight != 0


@dataclass(frozen=True)
class Dataset:
    """Files with what is said of them.

    Attributes:
        root: a folder that they all lie in.
        samples: in a fixed order, by path.
        labels: the classes, or the labels of which several may apply, in alphabetical order, or the name of the number
            alone; a place here is its place everywhere.
        task: what is to be predicted.
        origin: where labels and parts come from.
        choices: what was decided while reading, each as its name, its value and the reason.
    """

    root: Path
    samples: tuple[Sample, ...]
    labels: tuple[str, ...]
    task: Task = "classes"
    origin: Literal["folders", "table"] = "folders"
    choices: tuple[tuple[str, str, str], ...] = ()

    @property
    def is_divided(self) -> bool:
        return any(sample.part is not None for sample in self.samples)

    def counts(self, samples: Sequence[Sample] | None = None) -> dict[str, int]:
        """Files a class, a label or, of numbers, in all; of some samples, or of all there are."""
        counted_from = self.samples if samples is None else samples
        counted = Counter(name for sample in counted_from for name in self.names_of(sample.label))
        return {label: counted[label] for label in self.labels}

    def names_of(self, label: Label) -> tuple[str, ...]:
        """Those of `labels` that a label counts for."""
        return self.labels if isinstance(label, float) else names_in(label)
