from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.catalog import get_base
from headstart.features.engine import Engine
from headstart.features.extract import FeatureSet, extract
from headstart.features.looks import SIDE, LookEngine, Looks, looks_beside, with_looks
from headstart.features.store import Store
from headstart.images.spec import ImageSpec
from headstart.images.views import PLAIN

SPEC = get_base("efficientnet-lite0").spec


def look(pixels: np.ndarray, spec: ImageSpec = SPEC) -> Looks:
    made = io.BytesIO()
    Image.fromarray(pixels).save(made, "PNG")
    return Looks.of(LookEngine(spec).look(spec.render(made.getvalue())[0])[None])


def noise(mean: float, deviation: float, side: int = 224) -> np.ndarray:
    return np.random.default_rng(0).normal(mean, deviation, (side, side)).clip(0, 255).astype(np.uint8)


def test_brightness_and_contrast_are_shares_of_the_range() -> None:
    found = look(noise(102, 25.5))
    assert found.brightness == pytest.approx([0.4], abs=0.005)
    assert found.contrast == pytest.approx([0.1], abs=0.005)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255)], ids=str)
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_colours_weigh_as_they_look_in_whatever_order(colour: tuple[int, int, int], channels: str) -> None:
    spec = ImageSpec(64, 64, "bilinear", (100, 110, 120), (50, 60, 70), channels)  # type: ignore[arg-type]
    expected = np.asarray(Image.new("RGB", (1, 1), colour).convert("L"))[0, 0] / 255
    assert look(np.full((64, 64, 3), colour, np.uint8), spec).brightness == pytest.approx([expected], abs=0.003)


def test_a_blurred_picture_is_less_sharp_and_a_paler_one_is_not() -> None:
    from scipy.ndimage import gaussian_filter

    sharp = noise(128, 40)
    soft = gaussian_filter(sharp.astype(np.float32), 3)
    paler = (64 + sharp.astype(np.float32) / 2).astype(np.uint8)
    assert look(soft.astype(np.uint8)).sharpness < 0.5 * look(sharp).sharpness
    assert look(paler).sharpness == pytest.approx(look(sharp).sharpness, rel=0.05)
    assert np.isfinite(look(np.full((64, 64), 7, np.uint8)).sharpness)


def test_a_thumbnail_is_the_picture_small_whatever_the_size_of_the_input() -> None:
    y, x = np.mgrid[:96, :96]
    pixels = (100 + x + y / 2).astype(np.uint8)
    for spec in (SPEC, SPEC.with_size(64, 96)):
        thumbnail = look(pixels, spec).thumbnails[0]
        assert thumbnail.shape == (SIDE, SIDE)
        places = (np.arange(SIDE) + 0.5) / SIDE * 96 - 0.5
        inner = slice(4, -4)
        expected = 100 + places[None, inner] + places[inner, None] / 2
        assert np.abs(thumbnail[inner, inner] - expected).max() < 1.5


class Counting(Engine):
    """Gives an input's mean twice, and counts."""

    def __init__(self) -> None:
        self.ran = 0

    @property
    def identity(self) -> str:
        return "counting"

    def stream(self, inputs):
        for tag, array in inputs:
            self.ran += 1
            yield tag, np.full(2, array.mean(), np.float32)


def test_looks_are_kept_with_the_features_and_made_up_for_without_running_the_network(
    tmp_path: Path, make_images
) -> None:
    files = sorted(make_images(tmp_path / "images", {"a": 3, "b": 3}).rglob("*.png"))
    engine = Counting()
    with Store(tmp_path / "cache") as store:
        pooled = FeatureSet(SPEC, "counted", engine, store, "f32", "float32")
        digests = extract(files[:2], pooled).digests
        digests |= extract(files, with_looks(pooled)).digests
        assert engine.ran == 6
        wanted = [(digests[file], PLAIN) for file in files]
        assert pooled.load(wanted).shape == (6, 2)
        looks = looks_beside(pooled)
        assert looks.missing(wanted) == wanted[:2]  # their features were there already
        extract(files[:2], looks)
        assert engine.ran == 6
        found = Looks.of(looks.load(wanted))
    direct = LookEngine(SPEC).look(SPEC.render(files[4].read_bytes())[0])
    assert np.allclose(found.thumbnails[4].ravel(), direct[3:], atol=0.1)
    assert found.thumbnails.dtype == np.float16  # of very many images, twice as much would fill the memory
    alone = found.measures_alone()
    assert alone.thumbnails.size == 0
    assert alone.thumbnails.base is None  # the memory isn't held on to
    assert np.array_equal(alone.contrast, found.contrast)
    assert found.brightness.shape == found.contrast.shape == found.sharpness.shape == (6,)
