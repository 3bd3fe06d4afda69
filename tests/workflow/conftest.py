"""Folders of images in the layouts that training takes."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.catalog import get_base
from headstart.features.store import Store
from headstart.images.views import make_views
from headstart.learn.base_features import BaseFeatures
from headstart.learn.labelled import Labelled
from headstart.learn.subsets import Subset, draw_subset
from headstart.progress import Stopwatch
from headstart.workflow.comparing_plan import Plan
from headstart.workflow.session import Session
from headstart.workflow.ways import Grounds

SIZE = 32

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


@pytest.fixture(scope="session")
def hard_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Warm lying and cold standing stripes against the others: a linear head on fixed features falls short of it."""
    root = tmp_path_factory.mktemp("hard") / "photos"
    rng = np.random.default_rng(0)
    for label, same in (("different", False), ("same", True)):
        (root / label).mkdir(parents=True)
        for number in range(200):
            warm = number % 2 == 0
            _entangled(warm, warm == same, rng).save(root / label / f"{number:03}.png")
    return root


def _entangled(warm: bool, lying: bool, rng: np.random.Generator) -> Image.Image:
    """Stripes in a colour."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    stripes = np.sin(rng.uniform(25, 40) * (y if lying else x) + rng.uniform(0, 7))
    light = 0.5 + 0.25 * stripes + rng.normal(0, 0.15, (SIZE, SIZE))
    colour = np.array([0.9, 0.4, 0.3] if warm else [0.3, 0.4, 0.9])
    return Image.fromarray((255 * np.clip(light[..., None] * colour, 0, 1)).astype("uint8"))


@pytest.fixture
def grounds(photos: Path, warm_cache: Path) -> Iterator[Grounds]:
    """What ways to learn from `photos` have in common; every fourth image tests."""
    base = get_base("untrained")
    files = sorted(photos.rglob("*.png"))
    with Store(warm_cache) as store:
        session = Session(BaseFeatures(base, store), store, 0, Stopwatch())
        pooled = session.features.pooled("f32")
        digests = [session.extract("features", "Features", [file], pooled).digests[file] for file in files]
        named = dict(zip(digests, files, strict=True))
        test = Labelled(digests[::4], np.array(["cdo".index(file.parent.name[0]) for file in files])[::4])
        views = make_views("natural", 2, 0)
        yield Grounds(session, Plan(base, 2, 40, 1e-4, 1.0), pooled, "stage0", views, test, named, 3)


@pytest.fixture
def subset(grounds: Grounds) -> Subset:
    """All images of `grounds` that don't test."""
    learned_from = [digest for digest in grounds.files if digest not in grounds.test.digests]
    labels = np.array(["cdo".index(Path(str(grounds.files[digest])).parent.name[0]) for digest in learned_from])
    return draw_subset(Labelled(learned_from, labels), 1.0, 0)
