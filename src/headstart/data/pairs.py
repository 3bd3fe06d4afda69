"""Images as a list of pairs, a path or an array and what is said of the image, as Python programs have them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.data.cells import as_text
from headstart.data.dataset import Dataset
from headstart.data.table import AUTO, TableChoice, images_of
from headstart.data.table_file import Table
from headstart.errors import DataError, ImageError, UsageError
from headstart.images.arrays import Arrays, check_array

# A path, or an image as an array, with a class, a number, or a list of labels.
Pair = tuple[str | os.PathLike[str] | np.ndarray, Any]

_IMAGE, _LABEL = "path", "label"
# What errors call the list, where a table has its name; rows are counted from 1 on.
_NAME = "the list"
# Stands for a root where images are arrays.
IN_MEMORY = Path("arrays in memory")


def read_pairs(pairs: Iterable[Pair], task: str = AUTO) -> Dataset:
    """The images of a list with what it says of them; no image is opened.

    Args:
        pairs: paths, relative to the working directory or absolute, or else arrays, uint8 of shape (height, width) or
            (height, width, channels); each with a class, a number (NumPy's too), or a list of labels. Arrays are called
            by their number in the list, from 1 on.
        task: as of a table.

    Raises:
        UsageError: something in the list is no pair, or there are paths and arrays.
        DataError: the list is empty, a path isn't there or is twice, an array is no image, or a label is none.
    """
    listed = [(number, *_pair(number, pair)) for number, pair in enumerate(pairs, start=1)]
    if not listed:
        raise DataError("the list of images is empty", "give pairs of a path and a label")
    digits = len(str(len(listed)))
    rows = [(_called(number, image, digits), _text(number, label)) for number, image, label in listed]
    arrays = _arrays([image for _, image, _ in listed])
    images = {_IMAGE: Arrays(arrays).members([name for name, _ in rows])} if arrays else {}
    table = Table(Path(_NAME), (_IMAGE, _LABEL), tuple(rows), tuple(range(1, len(rows) + 1)), images)
    choice = TableChoice(image_column=_IMAGE, label_columns=(_LABEL,), task=task)
    choice.check()
    found = images_of(table, choice)
    root = IN_MEMORY if arrays else Path(os.path.commonpath([Path(str(one.file)).parent for one in found.samples]))
    told = [told for told in found.choices if told[0] == "task"]
    what = f"{len(rows):,} pairs of {'an array' if arrays else 'a path'} and a label"
    return replace(found, root=root, choices=(("images", what, "given in Python"), *told))


def _pair(number: int, pair: Any) -> tuple[Any, Any]:
    if not isinstance(pair, Sequence) or isinstance(pair, str | bytes) or len(pair) != 2:
        raise UsageError(f"{_NAME}, row {number}: {pair!r:.80} is no pair", "give pairs of a path and a label")
    return pair[0], pair[1]


def _called(number: int, image: Any, digits: int) -> str:
    """The path, or an array's number with as many digits as the last one has, so that names are in the list's order."""
    if isinstance(image, np.ndarray):
        try:
            check_array(image)
        except ImageError as error:
            problem = f"{_NAME}, row {number}: the array is no image: {error.problem}"
            raise DataError(problem, error.mend) from None
        return f"{number:0{digits}}"
    if not isinstance(image, str | os.PathLike):
        raise UsageError(
            f"{_NAME}, row {number}: {image!r:.80} is neither a path nor an array", "give pairs of one and a label"
        )
    return os.fspath(image)


def _arrays(images: Sequence[Any]) -> list[np.ndarray]:
    """All images, where they are arrays; none where they are paths."""
    arrays = [image for image in images if isinstance(image, np.ndarray)]
    if arrays and len(arrays) < len(images):
        first = next(number for number, image in enumerate(images, 1) if isinstance(image, np.ndarray))
        other = next(number for number, image in enumerate(images, 1) if not isinstance(image, np.ndarray))
        raise UsageError(f"{_NAME} has an array in row {first} and a path in row {other}", "give all images alike")
    return arrays


def _text(number: int, label: Any) -> str:
    if isinstance(label, np.ndarray) and label.size > 1 and np.isin(label, (0, 1)).all():
        raise DataError(
            f"{_NAME}, row {number}: the label is an array of 0 and 1, which may be one class or several labels",
            "give classes, y.argmax(axis=1), or lists of names",
        )
    # NumPy's numbers and arrays turn into Python's.
    text = as_text(label.tolist() if hasattr(label, "tolist") else label)
    if text is None:
        raise DataError(
            f"{_NAME}, row {number}: {label!r:.80} is no label", "give a class, a number, or a list of labels"
        )
    return text
