"""Odd and hostile image files, made of sound ones in every format that is read; bombs are in a file beside it."""

from __future__ import annotations

import io
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image, ImageCms
from tests.images.test_heif import HEIC

ORIENTATION = 0x0112
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# Of these some are still whole when they are cut, since what is lost is no part of the first picture.
SEVERAL_PICTURES = ("animated.webp", "animated.gif", "pages.tif")


@dataclass(frozen=True)
class Odd:
    """A file that somebody may hand in.

    Attributes:
        name: below the folder of all of them, in a folder of its kind.
        data: its bytes.
        is_sound: whether there is a picture to be read; None where either will do.
    """

    name: str
    data: bytes
    is_sound: bool | None = None


@cache
def sound() -> dict[str, bytes]:
    """A picture of 96 × 64 pixels in each format and each of the forms that people have."""
    y, x = np.mgrid[:64, :96] / 96
    noise = np.random.default_rng(0).normal(0, 12, (64, 96, 3))
    channels = np.stack((40 + 200 * x, 220 - 180 * y, 128 + 100 * np.sin(5 * x + 9 * y)), axis=-1) + noise
    picture = Image.fromarray(channels.clip(0, 255).astype(np.uint8))
    sixteen = Image.fromarray((channels[..., 0].clip(0, 255) * 257).astype(np.uint16))
    clear = picture.copy()
    clear.putalpha(picture.convert("L"))
    many: dict[str, Any] = {"save_all": True, "append_images": [picture.rotate(90), picture.rotate(180)]}
    return {
        "plain.jpg": encoded(picture, "JPEG"),
        "progressive.jpg": encoded(picture, "JPEG", progressive=True),
        "cmyk.jpg": encoded(picture.convert("CMYK"), "JPEG"),
        "grey.jpg": encoded(picture.convert("L"), "JPEG"),
        "one-bit.png": encoded(picture.convert("1"), "PNG"),
        "plain.png": encoded(picture, "PNG"),
        "sixteen-bit.png": encoded(sixteen, "PNG"),
        "palette.png": encoded(picture.quantize(64), "PNG", transparency=3),
        "alpha.png": encoded(clear, "PNG"),
        "lossy.webp": encoded(picture, "WEBP"),
        "lossless.webp": encoded(clear, "WEBP", lossless=True),
        "animated.webp": encoded(picture, "WEBP", **many),
        "plain.gif": encoded(picture.quantize(64), "GIF"),
        "animated.gif": encoded(picture, "GIF", **many),
        "plain.bmp": encoded(picture, "BMP"),
        "plain.tif": encoded(picture, "TIFF"),
        "sixteen-bit.tif": encoded(sixteen, "TIFF"),
        "lzw.tif": encoded(picture, "TIFF", compression="tiff_lzw"),
        "deflate.tif": encoded(picture, "TIFF", compression="tiff_deflate"),
        "packbits.tif": encoded(picture, "TIFF", compression="packbits"),
        "jpeg.tif": encoded(picture, "TIFF", compression="jpeg"),
        "fax.tif": encoded(picture.convert("1"), "TIFF", compression="group4"),
        "pages.tif": encoded(picture, "TIFF", **many),
        "plain.avif": encoded(picture, "AVIF"),
        "photograph.heic": HEIC,
    }


def files() -> Iterator[Odd]:
    """All that are made here."""
    for made in (whole, cut, flipped, no_images, polyglots, metadata, names):
        yield from made()


def whole() -> Iterator[Odd]:
    """Sound files as they are, under a wrong name, and with something behind them."""
    pictures = sound()
    junk = random.Random(0).randbytes(1000)
    for (name, data), other in zip(pictures.items(), [*pictures][::-1], strict=True):
        yield Odd(f"sound/{name}", data, True)
        yield Odd(f"misnamed/{name}{PurePosixPath(other).suffix}", data, True)
        yield Odd(f"misnamed/{name}.txt", data, True)
        yield Odd(f"longer/{name}", data + junk)


def cut() -> Iterator[Odd]:
    """Every twentieth of each sound file, up to the last but one; the first half of a picture is none."""
    for name, data in sound().items():
        for percent in range(5, 100, 5):
            is_broken = percent <= 50 and name not in SEVERAL_PICTURES
            part = data[: len(data) * percent // 100]
            yield Odd(f"cut/{percent:02}-percent-{name}", part, False if is_broken else None)


def flipped() -> Iterator[Odd]:
    """Each sound file with some bits flipped, half of them near its start, where its sizes and offsets are."""
    rng = random.Random(0)
    for name, data in sound().items():
        for number in range(10):
            damaged = bytearray(data)
            for _ in range(rng.randint(1, 8)):
                place = rng.randrange(min(128, len(data)) if rng.random() < 0.5 else len(data))
                damaged[place] ^= 1 << rng.randrange(8)
            yield Odd(f"flipped/{number}-{name}", bytes(damaged))


def no_images() -> Iterator[Odd]:
    """What isn't an image, and is called so."""
    packed, tape = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("cat.jpg", sound()["plain.jpg"])
    with tarfile.open(fileobj=tape, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("cat.jpg"))
    contents = {
        "empty": b"",
        "one-byte": b"\xff",
        "newline": b"\n",
        "text": b"remember the milk\n" * 40,
        "page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "drawing": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        "table": b"file,label\ncat/1.jpg,cat\n",
        "json": b'{"error": "quota exceeded"}',
        "script": b"#!/bin/sh\nexit 1\n",
        "document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
        "program": b"\x7fELF\x02\x01\x01" + bytes(57),
        "zip": packed.getvalue(),
        "tar": tape.getvalue(),
        "gzip": b"\x1f\x8b\x08" + zlib.compress(b"milk"),
        "array": b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (4, 4)}\n" + bytes(16),
        "video": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(64),
        "link-of-a-repository": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
        "zeros": bytes(5000),
        "ones": b"\xff" * 5000,
        "noise": random.Random(1).randbytes(5000),
    }
    for name, data in contents.items():
        yield Odd(f"none/{name}.jpg", data, False)
        yield Odd(f"none/{name}.png", data, False)
    for name, data in sound().items():
        yield Odd(f"none/after-text-{name}", b"sorry: " + data, False)
        yield Odd(f"none/twelve-bytes-of-{name}", data[:12], False)


def polyglots() -> Iterator[Odd]:
    """Files that are an image and something else."""
    pictures = sound()
    for name in ("plain.jpg", "plain.png", "plain.gif", "plain.bmp", "lossy.webp", "plain.tif"):
        packed = io.BytesIO(pictures[name])
        with zipfile.ZipFile(packed, "a") as archive:
            archive.writestr("payload.txt", "here")
        yield Odd(f"polyglots/zip-{name}", packed.getvalue(), True)
        yield Odd(f"polyglots/page-{name}", pictures[name] + b"<html><script>alert(1)</script></html>", True)
    yield Odd("polyglots/script.gif", b"GIF89a/*" + pictures["plain.gif"][8:] + b"*/=1;alert(1)")
    yield Odd("polyglots/script.bmp", b"BM/*" + pictures["plain.bmp"][4:] + b"*/=1;alert(1)")
    comment = segment(0xFE, b"<?php system($_GET['c']); ?>")
    yield Odd("polyglots/php.jpg", pictures["plain.jpg"][:2] + comment + pictures["plain.jpg"][2:], True)
    yield Odd("polyglots/two.jpg", pictures["plain.jpg"] + pictures["plain.png"], True)
    yield Odd("polyglots/document.jpg", b"%PDF-1.7\n" + pictures["plain.jpg"], False)


def metadata() -> Iterator[Odd]:
    """Sound pictures with EXIF data or a colour profile that make no sense; the picture is to be read all the same."""
    pictures = [(kind, Image.open(io.BytesIO(sound()[f"plain.{kind}"]))) for kind in ("jpg", "png", "tif", "avif")]
    pictures.append(("webp", Image.open(io.BytesIO(sound()["lossy.webp"]))))
    formats = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF", "avif": "AVIF", "webp": "WEBP"}
    for kind, image in pictures:
        for name, exif in bad_exif().items():
            if kind in ("jpg", "png", "webp"):  # Pillow reads what it writes into the others, and finds it bad itself
                yield Odd(f"exif/{name}.{kind}", encoded(image, formats[kind], exif=b"Exif\0\0" + exif), True)
        for orientation in (0, 9, 255, 65535):
            turned = Image.Exif()
            turned[ORIENTATION] = orientation
            yield Odd(f"exif/orientation-{orientation}.{kind}", encoded(image, formats[kind], exif=turned), True)
        for name, profile in bad_profiles().items():
            made = encoded(image, formats[kind], icc_profile=profile)
            yield Odd(f"profiles/{name}.{kind}", made, None if name == "huge" else True)


def bad_exif() -> dict[str, bytes]:
    def directory(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
        fields = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + fields + struct.pack("<I", following)

    return {
        "nothing": b"",
        "no-directory": b"II*\0",
        "garbage": b"garbage" * 6,
        "far-away": b"II*\0\xff\xff\xff\x7f",
        "too-many-entries": b"II*\0\x08\0\0\0\xff\xff",
        "cut-short": directory((ORIENTATION, 3, 1, 6))[:-9],
        "in-a-circle": directory((ORIENTATION, 3, 1, 1), following=8),
        "into-itself": directory((ORIENTATION, 3, 1, 1), (34665, 4, 1, 8), (34853, 4, 1, 8), (40965, 4, 1, 8)),
        "as-text": directory((ORIENTATION, 2, 2**16, 0x99)),
        "as-fraction": directory((ORIENTATION, 5, 1, 0x9999)),
        "as-many": directory((ORIENTATION, 3, 2**31 - 1, 0x99)),
        "of-no-type": directory((ORIENTATION, 99, 1, 6)),
        "many-times": directory(*[(ORIENTATION, 3, 1, 1)] * 5000),
    }


def bad_profiles() -> dict[str, bytes]:
    return {
        "text": b"none",
        "header": ICC[:100],
        "cut": ICC[: len(ICC) // 2],
        "last-byte": ICC[:-1],
        "zeros": bytes(600),
        "noise": random.Random(2).randbytes(3000),
        "cmyk": ICC[:16] + b"CMYK" + ICC[20:],
        "grey": ICC[:16] + b"GRAY" + ICC[20:],
        "no-tags": ICC[:128] + bytes(4) + ICC[132:],
        "many-tags": ICC[:128] + b"\xff" * 4 + ICC[132:],
        "far-tags": ICC[:132] + b"".join(ICC[at : at + 4] + b"\x7f" * 8 for at in range(132, 240, 12)) + ICC[240:],
        "huge": ICC + bytes(2**22),
    }


def names() -> Iterator[Odd]:
    """Sound pictures and broken ones under names that programs stumble over."""
    odd = [
        "new\nline",
        "tab\t",
        "-rf",
        "--help",
        "a b",
        "$(id)",
        "`id`",
        "%s%n",
        "'\"",
        "*?",
        "back\\slash",
        "é",
        "e\u0301",
    ]
    odd += [
        "日本",
        "\u202egpj",
        "\u200b",
        "x" * 240,
        "trailing.",
        "CON",
        "=SUM(A1)",
        "<b>",
        "caf\udce9",
        "\udcff\udcfe",
    ]
    for name in odd:
        yield Odd(f"names/{name}.png", sound()["plain.png"], True)
        yield Odd(f"names/{name}.jpg", sound()["plain.jpg"][:300], False)


def encoded(image: Image.Image, format_name: str, **options: Any) -> bytes:
    made = io.BytesIO()
    image.save(made, format_name, **options)
    return made.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    """Of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_header(width: int, height: int, bits: int = 8, colour: int = 2) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)


def tiff(tags: Sequence[tuple[int, int, int, int | bytes]], behind: bytes = b"", following: int = 0) -> bytes:
    """Of tags, each with its kind, its count, and its value or the values that lie elsewhere; then what lies behind."""
    place = 8 + 2 + 12 * len(tags) + 4
    fields, values = b"", b""
    for tag, kind, count, value in sorted(tags, key=lambda entry: entry[0]):
        inside = value if isinstance(value, int) else place + len(values)
        fields += struct.pack("<HHII", tag, kind, count, inside)
        values += b"" if isinstance(value, int) else value
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + fields + struct.pack("<I", following) + values + behind
