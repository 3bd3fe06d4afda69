"""Bytes to an upright image, under one policy for training, prediction and export.

Files come from strangers: the list of formats is explicit, the number of pixels is checked before any of them is
decoded, and whatever goes wrong becomes an `ImageError` with a reason that a person can act on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from headstart.errors import ImageError
from headstart.images.colour import MODES, to_srgb
from headstart.images.heif import HEIF, is_heif, learn_to_read
from headstart.images.limits import (
    MAX_EXIF_BYTES,
    MAX_PIXELS,
    SIXTEEN_BIT,
    CountedReader,
    bytes_beside,
    bytes_of,
    check_header,
    check_memory,
    check_pieces,
)

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")

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
# Of which a large image is converted at a time.
_BAND_PIXELS = 2**20


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
        size, beside = image.size, bytes_beside(image, data)
        if smallest is not None:
            image.draft(None, smallest)
        made = bytes_of(image.size, _plain_mode(image))
        held = len(data) + bytes_of(image.size, image.mode) + max(beside, 0 if _is_plain(image) else made)
        check_memory(size, held)
        image.load()
        transpose = _UPRIGHT.get(_orientation(image))
        if transpose is not None:
            check_memory(size, held + made)
        plain = _to_grey_or_rgb(image, image.info.get("icc_profile"))
        return plain if transpose is None else plain.transpose(transpose)


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """A file whose header has been read; whatever goes wrong with it from there on is an `ImageError`."""
    if not data:
        raise ImageError("the file is empty")
    try:
        check_pieces(data)
        with Image.open(CountedReader(data), formats=_formats(data)) as image:
            check_header(image, data)
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError:
        if is_heif(data):
            raise ImageError("a HEIC image that is damaged or cut short") from None
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


def _orientation(image: Image.Image) -> int:
    if len(image.info.get("exif") or b"") > MAX_EXIF_BYTES:
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # malformed EXIF says nothing about the pixels, so they are taken as they lie
        return 1


def _plain_mode(image: Image.Image) -> str:
    """What `decode` makes of an image's mode."""
    if image.mode in ("I", "F"):
        raise ImageError("32-bit pixels have no agreed white; save the image with 8 or 16 bits a channel")
    is_opaque_grey = image.mode in ("1", "L") and "transparency" not in image.info
    return "L" if is_opaque_grey or image.mode in SIXTEEN_BIT else "RGB"


def _is_plain(image: Image.Image) -> bool:
    return image.mode == _plain_mode(image) and "transparency" not in image.info


def _to_grey_or_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The image itself, if it is of such a kind already; its colours may be changed in place."""
    if _is_plain(image) and (image.mode == "RGB" or not profile):
        return to_srgb(image, profile)
    return _in_bands(image, lambda band: to_srgb(_in_known_mode(band), profile))


def _in_known_mode(image: Image.Image) -> Image.Image:
    """In one that a profile may be of."""
    if image.mode in SIXTEEN_BIT:
        return _from_sixteen_bit(image)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        return _on_white(image)
    return image if image.mode in MODES else image.convert("L" if image.mode == "1" else "RGB")


def _in_bands(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """What `convert` makes of an image; of a large one band by band, so that little is held beside the two of them."""
    rows = max(1, _BAND_PIXELS // image.width)
    if rows >= image.height:
        return convert(image)
    whole = Image.new(_plain_mode(image), image.size)
    for top in range(0, image.height, rows):
        whole.paste(convert(image.crop((0, top, image.width, min(top + rows, image.height)))), (0, top))
    return whole


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
