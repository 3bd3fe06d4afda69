"""What every test may rely on: a quiet TensorFlow, a cache of its own, and images that can be learned from."""

from __future__ import annotations

import colorsys
import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

# Keras reads these when it is first imported, so they are set before any test module is.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from headstart.run import Run

MakeImages = Callable[..., Path]

RUN_COMMAND = """
import sys
from headstart.cli import main
try:
    main(sys.argv[1:])
finally:
    print("\\nloaded:", *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""

RUN_WITHOUT_PACKAGE = """
import sys

class Hiding:
    def __init__(self, finder):
        self._finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name == sys.argv[1] else self._finder.find_spec(name, path, target)

sys.meta_path[:] = map(Hiding, sys.meta_path)
from headstart.cli import main
main(sys.argv[2:])
"""


@dataclass(frozen=True)
class Finished:
    """A command that has run its course."""

    code: int
    out: str
    err: str


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    """An empty folder for features and converted networks."""
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, 24 images each; one in eight lies in the wrong folder, so that no classifier can be sure."""
    root = _make_images(tmp_path_factory.mktemp("data") / "photos", {"cat": 24, "dog": 24, "owl": 24}, size=48)
    for true, taken_for in (("cat", "dog"), ("dog", "owl"), ("owl", "cat")):
        for number in range(0, 24, 8):
            (root / true / f"{number:03}.png").rename(root / taken_for / f"mistaken-{true}-{number:03}.png")
    return root


@pytest.fixture(scope="session")
def warm_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the base "untrained", converted: what only uses that needs no Keras."""
    from headstart.catalog import get_base
    from headstart.features.store import Store
    from headstart.learn.base_features import BaseFeatures

    folder = tmp_path_factory.mktemp("warm") / "cache"
    with Store(folder) as store:
        assert BaseFeatures(get_base("untrained"), store).pooled_network.is_file()
    return folder


@pytest.fixture
def fresh_cache(cache_dir: Path, warm_cache: Path) -> Path:
    """A cache that holds the base "untrained", converted, and no feature."""
    shutil.copytree(warm_cache / "prefixes", cache_dir / "prefixes")
    return cache_dir


@pytest.fixture(scope="session")
def trained(photos: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on `photos`. Tests leave it as it is."""
    from headstart.workflow import train

    return train(photos, tmp_path_factory.mktemp("runs") / "run", base="untrained", cache=warm_cache)


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 120 images with tables that name them: tags.csv, weights.csv and kinds.csv.

    An image may be "red" or else blue, and "striped", each by chance, and it is as light as its weight, 10 to 30. Its
    kind is its colour. One row in ten has the wrong colour, so that nothing can be learned without a mistake.
    """
    root = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    rows: dict[str, list[tuple[str, object]]] = {"tags": [], "weights": [], "kinds": []}
    for number in range(120):
        red, striped, weight = rng.uniform() < 0.5, rng.uniform() < 0.3, rng.uniform(10, 30)
        Image.fromarray(_tagged(red, striped, weight, rng)).save(root / f"{number:03}.png")
        red, weight = red ^ (number % 10 == 0), weight + rng.normal(0, 1)
        tags = "|".join(["red"] * red + ["striped"] * striped)
        told = {"tags": tags, "weights": round(weight, 2), "kinds": "red" if red else "blue"}
        for name, label in told.items():
            rows[name].append((f"{number:03}.png", label))
    for name, found in rows.items():
        with (root / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("file", name.removesuffix("s") if name != "tags" else name), *found])
    return root


def _tagged(red: bool, striped: bool, weight: float, rng: np.random.Generator) -> np.ndarray:
    y, _ = np.mgrid[:32, :32]
    light = weight / 40 + rng.normal(0, 0.03, (32, 32)) + striped * 0.2 * np.sin(2 * np.pi * y / 6)
    colour = np.array([1, 0.5, 0.5] if red else [0.5, 0.5, 1])
    return (255 * np.clip(light[..., None] * colour, 0, 1)).astype("uint8")


@pytest.fixture(scope="session")
def tagged_run(tables: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with several labels an image. Tests leave it as it is."""
    from headstart.workflow import train

    out = tmp_path_factory.mktemp("runs") / "run"
    return train(tables / "tags.csv", out, base="untrained", cache=warm_cache, finetune=False, precision="f32")


@pytest.fixture(scope="session")
def weight_run(tables: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that predicts a number. Tests leave it as it is."""
    from headstart.workflow import train

    out = tmp_path_factory.mktemp("runs") / "run"
    return train(tables / "weights.csv", out, base="untrained", cache=warm_cache, finetune=False, precision="f32")


@pytest.fixture
def headstart(capfd: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """`headstart("train", photos, "--out", run)` runs a command in this process."""
    from headstart.cli import main

    def run(*arguments: object) -> Finished:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return Finished(int(end.value.code or 0), *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def loaded_by() -> Callable[..., set[str]]:
    """`loaded_by("predict", run, image)`: the top-level packages that a process has loaded after a command."""

    def run(*arguments: object) -> set[str]:
        command = [sys.executable, "-c", RUN_COMMAND, *map(str, arguments)]
        process = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        assert process.returncode == 0, process.stderr
        return set(process.stderr.splitlines()[-1].removeprefix("loaded:").split())

    return run


@pytest.fixture(scope="session")
def without_package() -> Callable[..., Finished]:
    """`without_package("some_package", "train", …)` runs a command where that package isn't installed."""

    def run(package: str, *arguments: object) -> Finished:
        command = [sys.executable, "-c", RUN_WITHOUT_PACKAGE, package, *map(str, arguments)]
        process = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        return Finished(process.returncode, process.stdout, process.stderr)

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """`small_disk(64)` is the root of an empty disk of 64 kB; the test is skipped where one can't be mounted."""
    with ExitStack() as mounted:

        def mount(kilobytes: int) -> Path:
            folder = tmp_path / "disk"
            folder.mkdir()
            command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
            if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
                pytest.skip("mounting a small disk takes root's rights")
            mounted.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
            return folder

        yield mount


@pytest.fixture(scope="session")
def make_images() -> MakeImages:
    """`make_images(root, {"cat": 10, "dog": 12}, size=64, seed=0)` writes root/cat/000.png and so on; returns root."""
    return _make_images


def _make_images(root: Path, counts: Mapping[str, int], *, size: int = 64, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for index, (name, count) in enumerate(counts.items()):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.fromarray(_image(index, len(counts), size, rng)).save(folder / f"{number:03}.png")
    return root


def _image(index: int, classes: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """The class sets the hue and the direction of the stripes; chance sets the shading, so no two look alike."""
    hue = index / classes + rng.normal(0, 0.02)
    colour = np.array(colorsys.hsv_to_rgb(hue % 1, 0.6, 0.8))
    angle = np.pi * index / classes
    y, x = np.mgrid[:size, :size] / size
    stripes = np.sin(40 * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0, 2 * np.pi))
    coarse = Image.fromarray(rng.uniform(0, 1, (5, 5)).astype("float32"))
    shading = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
    light = 0.35 + 0.2 * stripes + 0.6 * shading + rng.normal(0, 0.03, (size, size))
    return (255 * np.clip(light[..., None] * colour, 0, 1)).astype("uint8")
