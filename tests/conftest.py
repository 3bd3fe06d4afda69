"""What every test may rely on: a quiet TensorFlow, a cache of its own, and images that can be learned from."""

from __future__ import annotations

import colorsys
import os
from collections.abc import Callable, Mapping
from pathlib import Path

# Keras reads these when it is first imported, so they are set before any test module is.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import pytest
from PIL import Image

MakeImages = Callable[..., Path]


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    """An empty folder for features and converted networks."""
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


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
