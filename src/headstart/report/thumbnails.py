"""Small copies of the originals, to be embedded in the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

from headstart.errors import ImageError
from headstart.images.decode import decode
from headstart.images.file import ImageFile, read_file

# Of the longer side, in pixels.
SIDE = 160
JPEG_QUALITY = 85


def thumbnail(find: Callable[[str], ImageFile | None], name: str) -> str | None:
    """An image as a data URI of a JPEG no larger than 160 × 160 pixels; None where the original is gone or damaged.

    Args:
        find: gives an image by its name; None where it is gone.
        name: of the image in its data set.
    """
    try:
        found = find(name)
        return _encode(read_file(found)) if found is not None else None
    except (OSError, ValueError, ImageError):  # ValueError: a name that no file can have
        return None


def _encode(data: bytes) -> str:
    image = decode(data, smallest=(SIDE, SIDE))
    image.thumbnail((SIDE, SIDE))
    image.info.clear()  # a camera's comments are nobody's business in a report that is passed on
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
