from __future__ import annotations

import io
import struct
import zlib
from contextlib import nullcontext

import numpy as np
import pytest
from PIL import Image

from headstart.errors import ImageError
from headstart.images import decode as decoding
from headstart.images import limits
from headstart.images.decode import decode
from headstart.images.limits import CountedReader, bytes_beside, bytes_of

SMALLEST = (299, 299)


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    made = io.BytesIO()
    image.save(made, format_name, **options)
    return made.getvalue()


def flat(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (width, height))


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def behind_start(jpeg: bytes, added: bytes) -> bytes:
    return jpeg[:2] + added + jpeg[2:]


def tiff(*tags: tuple[int, int, int, int], order: str = "<", big: bool = False, behind: bytes = b"") -> bytes:
    mark = b"II" if order == "<" else b"MM"
    if big:
        fields = b"".join(struct.pack(f"{order}HHQQ", *tag) for tag in tags)
        return mark + struct.pack(f"{order}HHHQQ", 43, 8, 0, 16, len(tags)) + fields + bytes(8) + behind
    fields = b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags)
    return mark + struct.pack(f"{order}HIH", 42, 8, len(tags)) + fields + bytes(4) + behind


def test_a_file_is_read_as_often_as_any_image_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_READS", 3)
    reader = CountedReader(b"abcdef")
    assert [reader.read(1), reader.read(2), reader.read()] == [b"a", b"bc", b"def"]
    with pytest.raises(ImageError, match=r"^made of more than 3 pieces, as no image needs$"):
        reader.read(1)


def test_a_large_png_in_the_usual_chunks_is_read_in_few_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "PNG", compress_level=1)
    monkeypatch.setattr(limits, "MAX_READS", len(data) * limits.MAX_READS // 2**28)
    assert decode(data).size == (1000, 1000)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_may_have_its_exif_data_in_some_pieces(options: dict[str, bool]) -> None:
    jpeg = encoded(flat(), "JPEG", **options)
    some, many = (behind_start(jpeg, segment(0xE1, b"Exif\0\0x") * count) for count in (100, 101))
    assert decode(some).size == (64, 48)
    with pytest.raises(ImageError, match=r"^its EXIF data are in more than 100 pieces, as no camera writes them$"):
        decode(many)


def test_what_looks_like_exif_or_a_scan_within_a_piece_isnt_counted() -> None:
    jpeg = encoded(flat(), "JPEG", progressive=True)
    comment = segment(0xFE, (segment(0xE1, b"Exif\0\0") + segment(0xDA, b"\1")) * 1000)
    assert decode(behind_start(jpeg, comment)).size == (64, 48)


def test_what_follows_a_jpeg_isnt_counted() -> None:
    jpeg = encoded(flat(), "JPEG", progressive=True)
    assert decode(jpeg + segment(0xDA, b"\1") * 1000).size == (64, 48)


def test_a_progressive_jpeg_may_have_thirty_scans() -> None:
    jpeg = encoded(flat(), "JPEG", progressive=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    usual = jpeg.count(b"\xff\xda")
    thirty, more = (jpeg[:-2] + last * (count - usual) + jpeg[-2:] for count in (30, 31))
    assert decode(thirty).size == (64, 48)
    with pytest.raises(ImageError, match=r"^a progressive JPEG of more than 30 scans; save it again$"):
        decode(more)


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_a_tiff_file_with_a_very_long_list_is_refused(order: str, big: bool) -> None:
    data = tiff((273, 4, 200_001, 100), order=order, big=big, behind=bytes(200_001))
    with pytest.raises(ImageError, match=r"^a list of 200,001 strips or other numbers; at most 200,000 are read$"):
        decode(data)


def test_a_long_list_in_the_exif_data_of_a_tiff_file_is_refused() -> None:
    inner = struct.pack("<HHHIII", 1, 37500, 5, 300_000, 100, 0)
    with pytest.raises(ImageError, match="a list of 300,000 strips or other numbers"):
        decode(tiff((34665, 4, 1, 26), behind=inner + bytes(300_000)))


@pytest.mark.parametrize(("kind", "count"), [(1, 300_000), (2, 300_000), (7, 300_000), (3, 2**31)])
def test_a_tiff_file_may_have_long_texts_and_lists_that_it_has_no_room_for(kind: int, count: int) -> None:
    whole = encoded(flat(mode="L"), "TIFF", compression="raw")
    place = int.from_bytes(whole[4:8], "little")
    entries = int.from_bytes(whole[place : place + 2], "little")
    directory = whole[place + 2 : place + 2 + 12 * entries] + struct.pack("<HHII", 65_000, kind, count, 8)
    data = whole[:4] + struct.pack("<I", len(whole)) + whole[8:]
    data += struct.pack("<H", entries + 1) + directory + bytes(4) + bytes(300_000)
    with pytest.warns(UserWarning, match="Skipping tag") if count > len(data) else nullcontext():
        assert decode(data).size == (64, 48)


def test_tags_that_lead_in_circles_come_to_an_end() -> None:
    with pytest.raises(ImageError):
        decode(tiff((34665, 4, 1, 8), (34853, 4, 1, 8), (40965, 4, 1, 2**32 - 1)))


def test_a_bmp_in_run_lengths_may_be_as_large_as_a_screen() -> None:
    header = struct.pack("<IiiHHIIiiII", 40, 3840, 2184, 1, 8, 1, 2, 0, 0, 256, 0)
    bmp = b"BM" + struct.pack("<IHHI", 1080, 0, 0, 1078) + header + bytes(1024) + b"\0\1"
    most = r"^3,841 × 2,184 pixels; at most 8,388,608 of a BMP in run lengths are decoded$"
    with pytest.raises(ImageError, match="cut short"):  # there are no runs in it, but they were looked for
        decode(bmp)
    with pytest.raises(ImageError, match=most):
        decode(bmp.replace(struct.pack("<i", 3840), struct.pack("<i", 3841)))


# What an image, what is made of it, and its decoder take, in bytes a pixel.
WHOLE = [
    ("PNG", "RGB", {}, 4),
    ("PNG", "L", {}, 1),
    ("PNG", "1", {}, 2),
    ("PNG", "P", {}, 5),
    ("PNG", "RGBA", {}, 8),
    ("PNG", "I;16", {}, 3),
    ("JPEG", "RGB", {}, 4),
    ("JPEG", "RGB", {"progressive": True}, 7),
    ("JPEG", "RGB", {"progressive": True, "subsampling": 0}, 10),
    ("JPEG", "CMYK", {"progressive": True}, 12),
    ("TIFF", "RGB", {"compression": "raw"}, 4),
    ("TIFF", "RGB", {"compression": "tiff_lzw", "strip_size": 2**30}, 12),
    ("WEBP", "RGB", {}, 16),
    ("WEBP", "RGBA", {"lossless": True}, 16),
    ("AVIF", "RGB", {}, 12),
]


@pytest.mark.parametrize(("kind", "mode", "options", "each"), WHOLE)
def test_what_would_fill_the_memory_is_refused(
    monkeypatch: pytest.MonkeyPatch, kind: str, mode: str, options: dict[str, object], each: int
) -> None:
    data = encoded(flat(128, 128, mode), kind, **options)
    taken = len(data) + each * 128 * 128
    monkeypatch.setattr(limits, "MAX_MEMORY", taken)
    assert decode(data).size == (128, 128)
    monkeypatch.setattr(limits, "MAX_MEMORY", taken - 1)
    with pytest.raises(
        ImageError, match=r"^128 × 128 pixels of this kind take more than 0 MB to decode; make it smaller"
    ):
        decode(data)


def test_turning_an_image_takes_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(flat(128, 128), "PNG", exif=exif)
    monkeypatch.setattr(limits, "MAX_MEMORY", len(data) + 8 * 128 * 128)
    assert decode(data).size == (128, 128)
    monkeypatch.setattr(limits, "MAX_MEMORY", len(data) + 7 * 128 * 128)
    with pytest.raises(ImageError, match="take more than 0 MB to decode"):
        decode(data)


def test_a_jpeg_takes_what_its_draft_takes_and_a_progressive_one_its_coefficients_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, progressive = (encoded(flat(2400, 2400), "JPEG", progressive=is_so) for is_so in (False, True))
    monkeypatch.setattr(limits, "MAX_MEMORY", 1_000_000)
    assert decode(plain, smallest=SMALLEST).size == (300, 300)
    with pytest.raises(ImageError, match=r"^2,400 × 2,400 pixels of this kind take more than 1 MB to decode"):
        decode(progressive, smallest=SMALLEST)


def test_the_largest_image_takes_less_than_the_limit() -> None:
    assert bytes_of((9450, 9450), "RGB") < limits.MAX_MEMORY < 500_000_000
    assert limits.MAX_PIXELS * 5 < limits.MAX_MEMORY
    with Image.open(io.BytesIO(encoded(flat(), "PNG"))) as image:
        assert bytes_beside(image, b"") == 0


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_an_image_that_is_converted_in_bands_is_the_same(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    colours = Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 50, 4), np.uint8))
    if mode == "I;16":
        image = Image.fromarray(np.random.default_rng(0).integers(0, 2**16, (37, 50), np.uint16))
    else:
        image = (
            colours.convert("RGB").quantize(64) if mode == "P" else colours.convert("RGB" if mode == "CMYK" else mode)
        )
        image = image.convert(mode)
    data = encoded(image, "TIFF" if mode == "CMYK" else "PNG", **({"transparency": 3} if mode == "P" else {}))
    at_once = decode(data)
    monkeypatch.setattr(decoding, "_BAND_PIXELS", 200)
    in_bands = decode(data)
    assert in_bands.mode == at_once.mode
    np.testing.assert_array_equal(np.asarray(in_bands), np.asarray(at_once))


def test_very_many_exif_data_say_nothing() -> None:
    entry = struct.pack("<HHII", 0x0112, 3, 1, 6)
    small, large = (b"II*\0\x08\0\0\0\1\0" + entry + bytes(count) for count in (4, 2**20))
    upright = [decode(with_exif(flat(), exif)).size for exif in (small, large)]
    assert upright == [(48, 64), (64, 48)]


def with_exif(image: Image.Image, exif: bytes) -> bytes:
    whole = encoded(image, "PNG")
    chunk = b"eXIf" + exif
    return whole[:33] + struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + whole[33:]
