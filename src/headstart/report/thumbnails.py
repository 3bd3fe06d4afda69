"""Small copies of the originals, to be embedded in the page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from headstart.data.source import image_at
from headstart.errors import ImageError
from headstart.images.decode import decode
from headstart.images.file import read_file

# Of the longer side, in pixels.
SIDE = 160
JPEG_QUALITY = 85


def thumbnail(root: Path, file: str) -> str | None:
    """An image as a data URI of a JPEG no larger than 160 × 160 pixels; None where the original is gone or damaged.

    Args:
        root: of the data.
        file: the image's name in it, with slashes; one that leads out of it counts as gone.
    """
    try:
        found = image_at(root, file)
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
