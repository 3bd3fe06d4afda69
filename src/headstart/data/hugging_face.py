"""Where the Hugging Face libraries keep the data sets that they downloaded. Nothing is downloaded here."""

from __future__ import annotations

import os
import re
from pathlib import Path

_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def cached_dataset(name: str) -> Path | None:
    """The folder of a data set in the local cache, newest first; None if it isn't there.

    Args:
        name: as on the hub, such as "owner/name".
    """
    if not _NAME.fullmatch(name):
        return None
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    datasets = Path(os.environ.get("HF_DATASETS_CACHE", home / "datasets"))
    places = [
        *hub.glob(f"datasets--{name.replace('/', '--')}/snapshots/*"),
        *datasets.glob(f"{name.replace('/', '___')}/*/*/*"),
    ]
    folders = [place for place in places if place.is_dir() and place.suffix != ".incomplete"]
    return max(folders, key=lambda folder: folder.stat().st_mtime, default=None)
