"""What one file may take of memory and time while it is decoded.

A few bytes can claim as many pixels as their header has room for, or make a decoder go over them a thousand times. So
what a file will take is told from its header, or counted in its bytes, before it is spent. Figures are measured with
Pillow 13, on files made to be the worst of their kind.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from itertools import islice, takewhile
from math import prod

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from headstart.errors import ImageError

# Pillow warns from here on and refuses at twice as many. It keeps a colour in four bytes: 358 MB for so many pixels.
MAX_PIXELS = 89_478_485
# For one file: its own bytes, what its decoder holds, and the images that are made of it on the way.
MAX_MEMORY = 450_000_000
# Bytes a pixel that decoders hold beside the image itself: canvases, planes, and the pixels as bytes.
_BESIDE = {"WEBP": 12, "AVIF": 8, "HEIF": 5}
_OF_A_COEFFICIENT, _OF_A_STRIP = 2, 8
_ONE_BYTE, SIXTEEN_BIT = ("1", "L", "P"), ("I;16", "I;16L", "I;16B", "I;16N")

# Pillow undoes run lengths of BMP files in Python, 100 ns a pixel.
MAX_RUN_LENGTH_PIXELS = 2**23
# Each scan of a progressive JPEG goes over all pixels, 50 ms at the most of them; ten scans are usual.
MAX_SCANS = 30
# Pillow copies the EXIF data found so far for each further piece of it.
MAX_EXIF_PIECES = 100
# A JPEG has room for 64 KiB of them.
MAX_EXIF_BYTES = 2**20
# Pillow takes up to 2 µs for each. The largest PNG that is read, in chunks as libpng writes them, takes 130,000.
MAX_READS = 500_000
# Pillow takes 5 µs a strip of a TIFF file. The longest list there is otherwise has three times 65,536 numbers.
MAX_NUMBERS = 200_000

_EXIF = b"Exif\0\0"
_TILE_WIDTH, _TILE_LENGTH, _ROWS_PER_STRIP, _ORIENTATION = 322, 323, 278, 274
# Those of a JPEG but the ones that may stand within a scan, and have neither length nor meaning here.
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_TIFF = {b"II": "<", b"MM": ">"}
_KINDS_OF_BYTES = (1, 2, 7)
_DIRECTORIES = (34665, 34853, 40965)
_MOST_TAGS = 2**16


class CountedReader(io.BytesIO):
    """A file's bytes, read so many times at most: some files are made to be gone through byte by byte."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file reads.

        Raises:
            ImageError: it has been read too often.
        """
        self._left -= 1
        if self._left < 0:
            raise ImageError(f"made of more than {MAX_READS:,} pieces, as no image needs")
        return super().read(size)


def check_pieces(data: bytes) -> None:
    """Refuses what would take long before the size is known.

    Raises:
        ImageError: a JPEG has its EXIF data in very many pieces, or a TIFF very many strips or other numbers.
    """
    if _has_many_exif_pieces(data):
        raise ImageError(f"its EXIF data are in more than {MAX_EXIF_PIECES} pieces, as no camera writes them")
    for kind, count in _tags(data):
        # Those that the file has no room for are left out by Pillow.
        if kind not in _KINDS_OF_BYTES and MAX_NUMBERS < count <= len(data):
            raise ImageError(f"a list of {count:,} strips or other numbers; at most {MAX_NUMBERS:,} are read")


def check_header(image: Image.Image, data: bytes) -> None:
    """Refuses what would take long, or has nothing to show.

    Raises:
        ImageError: it has no pixels, too many, or is to be gone through too often.
    """
    pixels = image.width * image.height
    if pixels == 0:
        raise ImageError("it has no pixels")
    runs = any(tile[0] == "bmp_rle" for tile in getattr(image, "tile", ()))
    most, kind = (MAX_RUN_LENGTH_PIXELS, " of a BMP in run lengths") if runs else (MAX_PIXELS, "")
    if pixels > most:
        raise ImageError(f"{image.width:,} × {image.height:,} pixels; at most {most:,}{kind} are decoded")
    if image.info.get("progressive") and len(list(islice(_scans(data), MAX_SCANS + 1))) > MAX_SCANS:
        raise ImageError(f"a progressive JPEG of more than {MAX_SCANS} scans; save it again")


def check_memory(size: tuple[int, int], taken: int) -> None:
    """Refuses what would fill the memory.

    Args:
        size: width and height, in pixels, of the image that is about to be decoded or changed.
        taken: bytes that it and everything beside it will take.

    Raises:
        ImageError: that is too much.
    """
    if taken > MAX_MEMORY:
        pixels = f"{size[0]:,} × {size[1]:,} pixels"
        raise ImageError(f"{pixels} of this kind take more than {MAX_MEMORY // 10**6} MB to decode; make it smaller")


def bytes_of(size: tuple[int, int], mode: str) -> int:
    """Bytes that the pixels of an image of a size and a mode take."""
    return prod(size) * (1 if mode in _ONE_BYTE else 2 if mode in SIXTEEN_BIT else 4)


def bytes_beside(image: Image.Image, data: bytes) -> int:
    """Bytes that its decoder takes beside an image; to be asked before any draft, which makes the image smaller."""
    pixels = image.width * image.height
    if isinstance(image, JpegImageFile):
        full = max(1, *(across * down for _, across, down, _ in image.layer))
        kept = sum(across * down for _, across, down, _ in image.layer) if _is_in_scans(image, data) else 0
        return _OF_A_COEFFICIENT * pixels * kept // full
    if isinstance(image, TiffImageFile):
        turned = bytes_of(image.size, image.mode) if image.tag_v2.get(_ORIENTATION, 1) != 1 else 0
        return turned + (0 if image.info["compression"] == "raw" else _OF_A_STRIP * _strip(image))
    return pixels * _BESIDE.get(image.format or "", 0)


def _strip(image: TiffImageFile) -> int:
    """Pixels of a strip or tile, of which libtiff unpacks one at a time."""
    rows = image.tag_v2.get(_TILE_LENGTH, image.tag_v2.get(_ROWS_PER_STRIP))
    across = image.tag_v2.get(_TILE_WIDTH)
    of_all = zip((across, rows), image.size, strict=True)
    return prod(min(part, whole) if isinstance(part, int) else whole for part, whole in of_all)


def _is_in_scans(image: JpegImageFile, data: bytes) -> bool:
    """Whether a JPEG tells its colours or its details one after another, so that all are kept to the end."""
    first = next(_scans(data), len(data))
    return bool(image.info.get("progressive")) or data[first : first + 1] != bytes([image.layers])


def _has_many_exif_pieces(data: bytes) -> bool:
    """Whether a JPEG has too many before its first scan, as far as a reader would get."""
    before = takewhile(lambda marker: marker[0] != _START_OF_SCAN, islice(_markers(data), MAX_READS))
    pieces = (place for _, place in before if data.startswith(_EXIF, place))
    return len(list(islice(pieces, MAX_EXIF_PIECES + 1))) > MAX_EXIF_PIECES


def _scans(data: bytes) -> Iterator[int]:
    """Where each scan of a JPEG has the number of its components."""
    return (place for code, place in _markers(data) if code == _START_OF_SCAN)


def _markers(data: bytes) -> Iterator[tuple[int, int]]:
    """The code of each of a JPEG's segments, and where its content begins."""
    place = 2 if data.startswith(b"\xff\xd8") else len(data)
    while (marker := _MARKER.search(data, place)) and marker[1][0] != _END_OF_IMAGE:
        yield marker[1][0], marker.end() + 2
        place = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")


def _tags(data: bytes) -> Iterator[tuple[int, int]]:
    """The kind and the number of values of each tag that Pillow reads of a TIFF file's first image."""
    order = _TIFF.get(data[:2])
    if order is None or len(data) < 16:
        return
    is_big = data[2] == 43
    offset, count, entry = ("Q", "Q", "HHQQ") if is_big else ("I", "H", "HHII")
    width = struct.calcsize(order + entry)
    ahead, seen = [struct.unpack_from(order + offset, data, 8 if is_big else 4)[0]], set[int]()
    while ahead:
        place = ahead.pop()
        start = place + struct.calcsize(order + count)
        if place in seen or start > len(data):
            continue
        seen.add(place)
        entries = min(struct.unpack_from(order + count, data, place)[0], (len(data) - start) // width, _MOST_TAGS)
        for number in range(entries):
            tag, kind, values, value = struct.unpack_from(order + entry, data, start + number * width)
            yield kind, values
            if tag in _DIRECTORIES:
                ahead.append(value)
