"""What folders say of the images in them: their names are classes, or parts with classes below."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from headstart.data.dataset import PART_NAMES, Dataset, Part, Sample
from headstart.errors import DataError

# What a column of parts is called where there is none to name it after.
PART_COLUMN = "split"
LAYOUT_HINT = "give a folder with one subfolder of images per class"
_JUNK = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


def is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or the litter of a file manager."""
    return name.startswith(".") or name.lower() in _JUNK


def readable(name: str) -> str:
    """A file name as text that can be written anywhere: what isn't valid Unicode in it becomes "�"."""
    return os.fsencode(name).decode("utf-8", "replace")


def are_parts(folders: Collection[str], where: Path) -> bool:
    """Whether folders of these names are for training, validation and testing, rather than classes.

    Raises:
        DataError: some are, and others aren't.
    """
    parts = {folder: part_of(folder) for folder in folders}
    if "train" not in parts.values():
        return False
    others = [folder for folder, part in parts.items() if part is None]
    # One class called "train" is a class; with a folder for validation or testing beside it, it is a part.
    if others and len(set(parts.values()) - {None}) > 1:
        raise DataError(
            f"{where} has folders for training and testing, and others beside them, such as {others[0]!r}",
            "move those elsewhere, or give a folder with class folders only",
        )
    return not others


def part_of(folder: str) -> Part | None:
    """The part that a folder's name stands for."""
    return PART_NAMES.get(folder.lower())


def part_in(name: str) -> Part | None:
    """The part that a name tells by one of its words, as train-00000-of-00004.parquet does."""
    words = re.split(r"[^A-Za-z]+", name)
    return next((part for part in map(part_of, words) if part), None)


def labelled(root: Path, samples: Sequence[Sample], *, has_loose_files: bool) -> Dataset:
    """Samples from class folders, which must be enough to tell classes apart.

    Args:
        root: where they come from.
        samples: with a class each.
        has_loose_files: whether there are others that lie in no class folder.

    Raises:
        DataError: there are none, only of one class, or none of some class to train on.
    """
    labels = tuple(sorted({str(sample.label) for sample in samples}))
    if not samples:
        loose = "its files lie loose, not in class folders"
        where = loose if has_loose_files else "its subfolders are empty or missing"
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
    return Dataset(root, tuple(samples), labels)
