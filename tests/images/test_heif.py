from __future__ import annotations

import base64
import io
import sys

import numpy as np
import pytest
from PIL import Image

from headstart.errors import ImageError
from headstart.images.decode import decode, header_of
from headstart.images.heif import is_heif

# 64 × 48 pixels: red rises to the right, green downward, and blue is 90.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9j"
    "AAAAAERAAAEAAQAAAAABoQABAAAAAAAAAJMAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/Wlw"
    "cnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AA"
    "AAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAA"
    "QAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAABhpcG1hAAAAAAAAAAEAAQWB"
    "AgMFhAAAAJttZGF0AAAAjygBrwngPg6bnk4QdLDGLT7Bfo0eRrgROeJ8F7zEEF8FD69d93LtsfbcvqzRfLbc/hn+hUXcmLFvpdzIUXSS8a7g"
    "BSe8rTuc8C0gyXQfn0OY+DNoQjkp3WGmD2ouHsMdFGOrnJA/g9SfP+9b9nSqZ8txox3kKUIYUFhoZ//DpRv7W/E4Shtw8QFDD/1RfFuA"
)


def test_a_telephones_photograph_is_read() -> None:
    image = decode(HEIC)
    y, x = np.mgrid[:48, :64]
    expected = np.stack([4 * x, 5 * y, np.full_like(x, 90)], axis=-1)
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image, np.int16) - expected).mean() < 3
    found = header_of(HEIC)
    assert (found.format, found.width, found.height) == ("HEIF", 64, 48)


def test_what_it_is_is_told_by_its_brands() -> None:
    avif = io.BytesIO()
    Image.new("RGB", (16, 16)).save(avif, "AVIF")
    assert is_heif(HEIC)
    assert not is_heif(avif.getvalue())
    size = (28).to_bytes(4, "big")
    assert is_heif(size + b"ftypmif1\0\0\0\0heicmif1miaf")
    assert not is_heif(size + b"ftypmif1\0\0\0\0avifmif1miaf")
    assert not is_heif(size + b"ftypisom\0\0\0\0isomiso2mp41")
    assert not is_heif(b"")


@pytest.mark.parametrize("percent", range(0, 100, 5))
def test_one_that_is_cut_short_is_an_error(percent: int) -> None:
    with pytest.raises(ImageError):
        decode(HEIC[: len(HEIC) * percent // 100])


def test_one_that_is_damaged_isnt_called_another_format() -> None:
    with pytest.raises(ImageError, match=r"^a HEIC image that is damaged or cut short$"):
        decode(HEIC[:100])


@pytest.mark.parametrize("seed", range(40))
def test_one_that_is_damaged_is_an_error_or_an_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    damaged = bytearray(HEIC)
    for place in rng.integers(12, len(HEIC), 8):
        damaged[place] = rng.integers(256)
    try:
        assert decode(bytes(damaged)).mode in ("RGB", "L")
    except ImageError as error:
        assert str(error)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(ImageError, match=r"a HEIC image, which takes pi-heif to read: pip install 'headstart\[heic\]'"):
        decode(HEIC)
