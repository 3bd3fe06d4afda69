"""A folder of images that nothing is said of."""

from __future__ import annotations

from pathlib import Path

from headstart.data.dataset import Dataset, Sample
from headstart.data.scan import list_files
from headstart.errors import DataError

# Stands for a label where there is none.
UNLABELLED = "(no label)"


def scan_unlabelled(root: Path, reason: str) -> Dataset:
    """All visible files below a folder, without labels.

    Args:
        root: the folder.
        reason: why they have none, for whoever wonders.

    Raises:
        DataError: there are no files.
    """
    samples = tuple(Sample(path, UNLABELLED) for path in list_files(root))
    if not samples:
        raise DataError(f"{root} holds no files", "give a folder of images")
    return Dataset(root, samples, (UNLABELLED,), choices=(("labels", "none", reason),))
