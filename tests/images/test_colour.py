from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from headstart.images.colour import MOST_BYTES, to_srgb
from headstart.images.decode import decode

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exchanged(first: bytes, second: bytes) -> bytes:
    """The profile of sRGB under another name, with two of its primaries exchanged."""
    profile = bytearray(SRGB)
    table = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * int.from_bytes(SRGB[128:132], "big"), 12)}
    profile[table[first] + 4 : table[first] + 8] = SRGB[table[second] + 4 : table[second] + 8]
    profile[table[second] + 4 : table[second] + 8] = SRGB[table[first] + 4 : table[first] + 8]
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))


BGR = exchanged(b"rXYZ", b"bXYZ")


def file(image: Image.Image, kind: str, profile: bytes, **options: object) -> bytes:
    made = io.BytesIO()
    image.save(made, kind, icc_profile=profile, **options)
    return made.getvalue()


def colour_of(image: Image.Image) -> tuple[int, ...]:
    return tuple(np.asarray(image.convert("RGB")).reshape(-1, 3).mean(axis=0).round().astype(int).tolist())


def is_near(found: tuple[int, ...], expected: tuple[int, ...], most: int = 6) -> bool:
    return max(abs(one - other) for one, other in zip(found, expected, strict=True)) <= most


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
def test_colours_are_those_that_the_profile_means(kind: str) -> None:
    image = Image.new("RGB", (32, 32), (200, 80, 30))
    assert is_near(colour_of(decode(file(image, kind, SRGB))), (200, 80, 30))
    assert is_near(colour_of(decode(file(image, kind, BGR))), (30, 80, 200))


def test_an_image_of_colours_is_changed_in_place_and_its_copy_isnt_needed() -> None:
    image = Image.new("RGB", (8, 8), (200, 80, 30))
    assert to_srgb(image, BGR) is image
    assert is_near(colour_of(image), (30, 80, 200))


def test_it_is_the_same_where_files_are_transparent_or_have_a_palette() -> None:
    image = Image.new("RGB", (32, 32), (200, 80, 30))
    clear = image.convert("RGBA")
    clear.putalpha(255)
    assert is_near(colour_of(decode(file(clear, "PNG", BGR))), (30, 80, 200))
    assert is_near(colour_of(decode(file(image.quantize(4), "PNG", BGR))), (30, 80, 200))
    clear.putalpha(0)
    assert is_near(colour_of(decode(file(clear, "PNG", BGR))), (255, 255, 255))


def test_grey_stays_grey_and_a_profile_of_colours_says_nothing_of_it() -> None:
    found = decode(file(Image.new("L", (8, 8), 100), "PNG", BGR))
    assert found.mode == "L"
    assert colour_of(found) == (100, 100, 100)


def test_grey_with_a_profile_of_its_own_is_brought_to_srgb_and_stays_grey() -> None:
    profile = bytearray(SRGB)
    profile[16:20] = b"GRAY"
    grey = bytes(profile).replace(b"rTRC", b"kTRC", 1)
    found = to_srgb(Image.new("L", (8, 8), 100), grey)
    assert found.mode == "L"
    assert is_near(colour_of(found), (100, 100, 100), most=2)
    assert ImageCms.ImageCmsProfile(io.BytesIO(grey)).profile.xcolor_space == "GRAY"


def test_cmyk_without_a_profile_of_its_own_is_taken_as_it_lies() -> None:
    image = Image.new("CMYK", (16, 16), (0, 200, 200, 20))
    assert decode(file(image, "JPEG", BGR, quality=95)).mode == "RGB"
    assert to_srgb(image, BGR).mode == "RGB"
    assert colour_of(to_srgb(image, BGR)) == colour_of(image.convert("RGB"))


@pytest.mark.parametrize(
    "profile",
    [b"", b"none", BGR[:100], BGR[:300], bytes(600), b"\xff" * 600, BGR + bytes(MOST_BYTES)],
    ids=["empty", "text", "header", "table", "zeros", "ones", "huge"],
)
def test_a_damaged_profile_says_nothing(profile: bytes) -> None:
    image = Image.new("RGB", (8, 8), (200, 80, 30))
    assert is_near(colour_of(to_srgb(image, profile)), (200, 80, 30))


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_in_a_profile_an_image_comes_of_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    damaged = bytearray(BGR)
    for place in rng.integers(0, len(damaged), 6):
        damaged[place] = rng.integers(256)
    for mode in ("RGB", "L", "CMYK"):
        found = to_srgb(Image.new(mode, (8, 8)), bytes(damaged))
        assert found.mode == ("L" if mode == "L" else "RGB")
        assert found.size == (8, 8)
