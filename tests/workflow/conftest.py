"""Folders of images in the layouts that training takes."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Rows = list[dict[str, str]]


@pytest.fixture(scope="session")
def table() -> Callable[[Path], Rows]:
    """Reads a CSV file of a run, a dictionary a row."""

    def read(path: Path) -> Rows:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    return read


@pytest.fixture
def own_photos(photos: Path, tmp_path: Path) -> Path:
    """A copy of `photos` that a test may change."""
    return Path(shutil.copytree(photos, tmp_path / "own-photos"))


@pytest.fixture(scope="session")
def divided(tmp_path_factory: pytest.TempPathFactory, make_images: Callable[..., Path]) -> Path:
    """Folders train, validation and test with two classes each."""
    root = tmp_path_factory.mktemp("data") / "divided"
    for seed, (part, images) in enumerate({"train": 12, "validation": 5, "test": 6}.items(), start=10):
        make_images(root / part, {"cat": images, "dog": images}, size=48, seed=seed)
    return root
