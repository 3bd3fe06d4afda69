"""What a folder of labelled images holds, from its names alone: no file is opened here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from headstart.data.dataset import Dataset, Part, Sample
from headstart.data.layout import LAYOUT_HINT, are_parts, is_junk, labelled, part_of, readable
from headstart.errors import UsageError


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
    is_divided = are_parts([folder.name for folder in _folders(root)], root)
    samples = list(_divided(root) if is_divided else _class_folders(root, part=None))
    loose = any(path.is_file() and not is_junk(path.name) for path in root.iterdir())
    return labelled(root, samples, has_loose_files=loose)


def list_files(folder: Path) -> Iterator[Path]:
    """All visible files below a folder, by path, without following links to folders (they may lead in circles)."""
    for directory, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not is_junk(name))
        for file in sorted(files):
            if not is_junk(file):
                yield Path(directory, file)


def _divided(root: Path) -> Iterator[Sample]:
    for folder in _folders(root):
        yield from _class_folders(folder, part=part_of(folder.name))


def _class_folders(root: Path, part: Part | None) -> Iterator[Sample]:
    for folder in _folders(root):
        for path in list_files(folder):
            yield Sample(path, readable(folder.name), part)


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not is_junk(path.name))
