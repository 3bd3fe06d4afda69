"""Images as a list of pairs, a path and what is said of the image, as Python programs have them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.data.cells import as_text
from headstart.data.dataset import Dataset
from headstart.data.table import AUTO, TableChoice, images_of
from headstart.data.table_file import Table
from headstart.errors import DataError, UsageError

# A path with a class, a number, or a list of labels.
Pair = tuple[str | os.PathLike[str], Any]

_IMAGE, _LABEL = "path", "label"
# What errors call the list, where a table has its name; rows are counted from 1 on.
_NAME = "the list"


def read_pairs(pairs: Iterable[Pair], task: str = AUTO) -> Dataset:
    """The images of a list with what it says of them; no image is opened.

    Args:
        pairs: paths, relative to the working directory or absolute, each with a class, a number (NumPy's too), or a
            list of labels.
        task: as of a table.

    Raises:
        UsageError: something in the list is no pair.
        DataError: the list is empty, a path isn't there or is twice, or a label is none.
    """
    rows = [_row(number, pair) for number, pair in enumerate(pairs, start=1)]
    if not rows:
        raise DataError("the list of images is empty", "give pairs of a path and a label")
    table = Table(Path(_NAME), (_IMAGE, _LABEL), tuple(rows), tuple(range(1, len(rows) + 1)))
    choice = TableChoice(image_column=_IMAGE, label_columns=(_LABEL,), task=task)
    choice.check()
    found = images_of(table, choice)
    root = os.path.commonpath([Path(str(sample.file)).parent for sample in found.samples])
    told = [told for told in found.choices if told[0] == "task"]
    return replace(found, root=Path(root), choices=(("images", f"{len(rows):,} pairs", "given in Python"), *told))


def _row(number: int, pair: Any) -> tuple[str, str]:
    if not isinstance(pair, Sequence) or isinstance(pair, str | bytes) or len(pair) != 2:
        raise UsageError(f"{_NAME}, row {number}: {pair!r:.80} is no pair", "give pairs of a path and a label")
    path, label = pair
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"{_NAME}, row {number}: {path!r:.80} is no path", "give pairs of a path and a label")
    # NumPy's numbers and arrays turn into Python's.
    text = as_text(label.tolist() if hasattr(label, "tolist") else label)
    if text is None:
        raise DataError(
            f"{_NAME}, row {number}: {label!r:.80} is no label", "give a class, a number, or a list of labels"
        )
    return os.fspath(path), text
