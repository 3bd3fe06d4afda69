from __future__ import annotations

import base64
import io
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from headstart.data.source import image_at
from headstart.report.thumbnails import thumbnail


def decoded(uri: str | None) -> Image.Image:
    assert uri is not None
    kind, data = uri.split(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [
        ("RGB", (640, 320), (160, 80)),
        ("L", (300, 300), (160, 160)),
        ("RGBA", (20, 10), (20, 10)),
        ("1", (9, 900), (2, 160)),
    ],
)
def test_fits_the_side_and_keeps_the_shape(tmp_path: Path, mode: str, size: tuple, expected: tuple) -> None:
    Image.new(mode, size).save(tmp_path / "x.png")
    assert decoded(thumbnail(partial(image_at, tmp_path), "x.png")).size == expected


def test_takes_nothing_from_the_file_but_its_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    Image.new("RGB", (64, 64)).save(tmp_path / "x.jpg", exif=exif, comment=b"a secret")
    small = decoded(thumbnail(partial(image_at, tmp_path), "x.jpg"))
    assert not small.getexif()
    assert "comment" not in small.info


@pytest.mark.parametrize("file", ["absent.png", "text.png", "a\x00b.png", "../x.png", "/etc/hostname", "."])
def test_whatever_cant_be_shown_is_none(tmp_path: Path, file: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "text.png").write_text("text")
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    assert thumbnail(partial(image_at, root), file) is None
