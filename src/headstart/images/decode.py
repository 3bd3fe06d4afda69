"""Bytes to an upright image, under one policy for training, prediction and export.

Files come from strangers: the list of formats is explicit, the number of pixels is checked before any of them is
decoded, and whatever goes wrong becomes an `ImageError` with a reason that a person can act on.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from headstart.errors import ImageError
from headstart.images.colour import MODES, to_srgb
from headstart.images.heif import HEIF, is_heif, learn_to_read

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")

# Pillow warns from here on and refuses at twice as many. A plain RGB image of this size takes 270 MB.
MAX_PIXELS = 89_478_485

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WITH_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


def decode(data: bytes, *, smallest: tuple[int, int] | None = None) -> Image.Image:
    """The first frame of an image file, upright, in sRGB: in mode "RGB" or, for a grey file, "L".

    Transparency is laid on white, 16-bit values keep their eight upper bits (rounded), and the ICC profile and the EXIF
    orientation are applied. A grey image stays grey so that resizing it costs a third; `ImageSpec` widens it
    afterwards.

    Args:
        data: the whole file.
        smallest: width and height, in pixels, that the caller will resize to. A JPEG many times larger is then
            decoded at a half, a quarter or an eighth of its size, never below these.

    Raises:
        ImageError: the file is empty, cut short, too large, of another format, or not an image.
    """
    with _opened(data) as image:
        if smallest is not None:
            image.draft(None, smallest)
        image.load()
        return _upright(_to_grey_or_rgb(image, image.info.get("icc_profile")), _orientation(image))


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """A file whose header has been read; whatever goes wrong with it from there on is an `ImageError`."""
    if not data:
        raise ImageError("the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=_formats(data)) as image:
            _check_size(image)
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError:
        formats = ", ".join(FORMATS)
        raise ImageError(f"not an image in a format that is read here ({formats}), or damaged at its start") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(f"more than {MAX_PIXELS:,} pixels, the most that is decoded") from None
    except Exception as error:  # Pillow's decoders raise whatever a broken file leads them into
        raise ImageError(f"damaged or cut short ({_in_a_line(error)})") from error


def _formats(data: bytes) -> tuple[str, ...]:
    """Those that a file may have; what few files need is loaded for those alone."""
    if not is_heif(data):
        return FORMATS
    learn_to_read()
    return (HEIF,)


@dataclass(frozen=True)
class Header:
    """What an image file says of itself.

    Attributes:
        format: such as "JPEG".
        mode: Pillow's name of the kind of pixels, such as "RGB".
        width, height: in pixels, before the image is put upright.
    """

    format: str
    mode: str
    width: int
    height: int


def header_of(data: bytes) -> Header:
    """The header of an image file; nothing is decoded.

    Raises:
        ImageError: as `decode` raises for what a header shows.
    """
    with _opened(data) as image:
        return Header(image.format or "", image.mode, *image.size)


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width:,} × {height:,} pixels; at most {MAX_PIXELS:,} are decoded")
    if width * height == 0:
        raise ImageError("it has no pixels")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # malformed EXIF says nothing about the pixels, so they are taken as they lie
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    transpose = _UPRIGHT.get(orientation)
    return image if transpose is None else image.transpose(transpose)


def _to_grey_or_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        return to_srgb(_from_sixteen_bit(image), profile)
    if image.mode in ("I", "F"):
        raise ImageError("32-bit pixels have no agreed white; save the image with 8 or 16 bits a channel")
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        return to_srgb(_on_white(image), profile)
    if image.mode in MODES:
        return to_srgb(image.copy(), profile)
    return to_srgb(image.convert("L" if image.mode == "1" else "RGB"), profile)


def _from_sixteen_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def _in_a_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."
