"""Images in memory, as NumPy arrays, behind the interface of files: as PNG, which loses nothing."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from headstart.errors import ImageError
from headstart.images.file import Member

CHANNELS = (1, 3, 4)
MEND = "give whole numbers from 0 to 255"


class Arrays:
    """Arrays as a container of images; one is encoded whenever it is read, so that nothing is held twice.

    Args:
        arrays: each of which `check_array` finds sound.
    """

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self._arrays = arrays

    def members(self, names: Sequence[str]) -> tuple[Member, ...]:
        """All of them, by these names."""
        return tuple(Member(name, self, str(place)) for place, name in enumerate(names))

    def read(self, key: str, most: int) -> bytes:
        array = self._arrays[int(key)]
        check_array(array)  # somebody may have changed it since
        file = io.BytesIO()
        _picture(array).save(file, "PNG", compress_level=0)  # compressing would take longer than decoding
        return file.getvalue()[:most]

    def byte_size(self, key: str) -> int:
        return self._arrays[int(key)].nbytes


def check_array(array: np.ndarray) -> None:
    """Refuses an array that is no image.

    An image is uint8, bool, or, with one channel, uint16, of shape (height, width) or (height, width, 1, 3 or 4
    channels); a fourth one is its opacity.

    Raises:
        ImageError: why it is none.
    """
    shape = array.shape
    if array.ndim not in (2, 3) or 0 in shape:
        raise ImageError(f"its shape is {shape}", "give (height, width) or (height, width, channels)")
    if array.ndim == 3 and shape[2] not in CHANNELS:
        last = "channels come last: np.moveaxis(x, 0, -1)" if shape[0] in CHANNELS else "give one of these"
        raise ImageError(f"its shape is {shape}, and images have 1, 3 or 4 channels", last)
    if array.dtype == np.uint16 and array.ndim == 3 and shape[2] > 1:
        raise ImageError("it has colours of uint16", f"{MEND}: (x // 257).astype('uint8')")
    if array.dtype not in (np.uint8, np.bool_, np.uint16):
        raise ImageError(f"it is of {array.dtype}", f"{MEND}: {_conversion(array)}")


def _conversion(array: np.ndarray) -> str:
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        return "as uint8"
    if np.issubdtype(array.dtype, np.floating) and float(array.max()) <= 1:
        return "(x * 255).round().astype('uint8')"
    return "x.round().astype('uint8')" if np.issubdtype(array.dtype, np.floating) else "x.astype('uint8')"


def _picture(array: np.ndarray) -> Image.Image:
    pixels: Any = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if pixels.dtype == np.bool_:
        pixels = pixels * np.uint8(255)
    return Image.fromarray(pixels)
