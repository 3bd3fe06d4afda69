"""What a folder of labelled images holds, from its names alone: no file is opened here."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headstart.data.labels import Label, Task, names_in
from headstart.errors import DataError, UsageError

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
_JUNK = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
LAYOUT_HINT = "give a folder with one subfolder of images per class"


@dataclass(frozen=True)
class Sample:
    """A file that may be an image, what is said of it, and the part it was put into, if any.

    The label is the class whose folder it lies in, or what a table says of it.
    """

    path: Path
    label: Label
    part: Part | None = None


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


def scan(root: Path) -> Dataset:
    """The files of a folder that has one subfolder per class, or train/validation/test folders of such subfolders.

    Every visible file counts, whatever its suffix: whether it is an image is for its bytes to say. Hidden files and
    folders and the litter of file managers (``Thumbs.db``, ``desktop.ini``, ``__MACOSX``) don't.

    Raises:
        UsageError: there is no such folder.
        DataError: it has no class folders, only one class, or no files; or it mixes both layouts.
    """
    if not root.is_dir():
        problem = f"{root} is a file, not a folder" if root.exists() else f"there is no folder {root}"
        raise UsageError(problem, LAYOUT_HINT)
    samples = tuple(_divided(root) if _is_divided(root) else _class_folders(root, part=None))
    labels = tuple(sorted({str(sample.label) for sample in samples}))
    _check(root, samples, labels)
    return Dataset(root, samples, labels)


def list_files(folder: Path) -> Iterator[Path]:
    """All visible files below a folder, by path, without following links to folders (they may lead in circles)."""
    for directory, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not _is_junk(name))
        for file in sorted(files):
            if not _is_junk(file):
                yield Path(directory, file)


def _is_divided(root: Path) -> bool:
    parts = {folder.name: PART_NAMES.get(folder.name.lower()) for folder in _folders(root)}
    if "train" not in parts.values():
        return False
    others = [name for name, part in parts.items() if part is None]
    # One class called "train" is a class; with a folder for validation or testing beside it, it is a part.
    if others and len(set(parts.values()) - {None}) > 1:
        raise DataError(
            f"{root} has folders for training and testing, and others beside them, such as {others[0]!r}",
            "move those elsewhere, or give a folder with class folders only",
        )
    return not others


def _divided(root: Path) -> Iterator[Sample]:
    for folder in _folders(root):
        yield from _class_folders(folder, part=PART_NAMES[folder.name.lower()])


def _class_folders(root: Path, part: Part | None) -> Iterator[Sample]:
    for folder in _folders(root):
        for path in list_files(folder):
            yield Sample(path, readable(folder.name), part)


def readable(name: str) -> str:
    """A file name as text that can be written anywhere: what isn't valid Unicode in it becomes "�"."""
    return os.fsencode(name).decode("utf-8", "replace")


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not _is_junk(path.name))


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _check(root: Path, samples: tuple[Sample, ...], labels: tuple[str, ...]) -> None:
    if not samples:
        lying_loose = any(path.is_file() and not _is_junk(path.name) for path in root.iterdir())
        where = "its files lie loose, not in class folders" if lying_loose else "its subfolders are empty or missing"
        raise DataError(f"{root} holds no labelled images: {where}", LAYOUT_HINT)
    if len(labels) < 2:
        raise DataError(
            f"{root} holds one class only, {labels[0]!r}; a classifier needs at least two", "add a folder for another"
        )
    trained = {sample.label for sample in samples if sample.part in (None, "train")}
    if untrained := sorted(set(labels) - trained):
        raise DataError(
            f"class {untrained[0]!r} has images to validate or test on, but none to train on",
            f"add a folder {untrained[0]!r} to the training folder, or take it out of the others",
        )
