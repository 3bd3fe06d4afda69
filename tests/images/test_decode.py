from __future__ import annotations

import io
import random
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from headstart.errors import ImageError
from headstart.images.decode import FORMATS, MAX_PIXELS, Header, decode, header_of

LOSSY = {"JPEG": {"quality": 95}, "AVIF": {"quality": 95}}
LOSSLESS = {"PNG": {}, "TIFF": {}, "BMP": {}, "WEBP": {"lossless": True}}
ORIENTATION_TAG = 0x0112

# What a camera held this way writes into the file; the tag says how to undo it.
AS_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def picture(width: int = 48, height: int = 32) -> Image.Image:
    """Smooth, so that lossy formats come close, and without any symmetry."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    channels = (40 + 200 * x, 220 - 180 * y, 128 + 100 * np.sin(5 * x + 9 * y))
    image = Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))
    ImageDraw.Draw(image).rectangle((0, 0, width // 4, height // 4), fill=(200, 40, 40))
    return image


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def distance(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference, 0 to 255."""
    assert (one.size, one.mode) == (other.size, other.mode)
    return float(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean())


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    """An RGB PNG whose header claims any size at all."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("format_name", LOSSLESS)
def test_lossless_formats_keep_every_pixel(format_name: str) -> None:
    assert distance(decode(encoded(picture(), format_name, **LOSSLESS[format_name])), picture()) == 0


@pytest.mark.parametrize("format_name", LOSSY)
def test_lossy_formats_come_close(format_name: str) -> None:
    assert distance(decode(encoded(picture(), format_name, **LOSSY[format_name])), picture()) < 5


def test_each_format_that_is_read_has_a_test_here() -> None:
    assert set(FORMATS) == {*LOSSLESS, *LOSSY, "GIF"}


@pytest.mark.parametrize("format_name", ["PNG", "TIFF", "BMP"])
def test_grey_stays_grey(format_name: str) -> None:
    grey = picture().convert("L")
    assert distance(decode(encoded(grey, format_name)), grey) == 0


@pytest.mark.parametrize("format_name", ["PNG", "TIFF", "BMP"])
def test_one_bit_becomes_black_and_white_grey(format_name: str) -> None:
    bits = picture().convert("1")
    image = decode(encoded(bits, format_name))
    assert distance(image, bits.convert("L")) == 0
    assert set(np.unique(np.asarray(image))) == {0, 255}


@pytest.mark.parametrize("format_name", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette_colours_are_looked_up(format_name: str) -> None:
    reduced = picture().quantize(64)
    assert distance(decode(encoded(reduced, format_name)), reduced.convert("RGB")) == 0


@pytest.mark.parametrize(
    ("format_name", "transparency"), [("GIF", 1), ("PNG", 1), ("PNG", bytes([255, 0]))], ids=["gif", "png", "png-bytes"]
)
def test_a_transparent_palette_colour_becomes_white(format_name: str, transparency: int | bytes) -> None:
    image = Image.new("P", (4, 2))
    image.putpalette([10, 20, 30, 90, 90, 90])
    image.putpixel((3, 1), 1)
    pixels = np.asarray(decode(encoded(image, format_name, transparency=transparency)))
    assert pixels[1, 3].tolist() == [255, 255, 255]
    assert pixels[0, 0].tolist() == [10, 20, 30]


def test_half_transparent_palette_colours_are_mixed_with_white() -> None:
    image = Image.new("P", (2, 2))
    image.putpalette([0, 0, 0])
    pixels = np.asarray(decode(encoded(image, "PNG", transparency=bytes([51]))))
    assert (pixels == 204).all()


@pytest.mark.parametrize("format_name", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_laid_on_white(format_name: str) -> None:
    values = np.array([[[0, 0, 0, 0], [200, 100, 0, 255], [0, 0, 0, 51]]], np.uint8)
    options = {"lossless": True, "exact": True} if format_name == "WEBP" else {}
    pixels = np.asarray(decode(encoded(Image.fromarray(values), format_name, **options)))
    assert pixels.tolist() == [[[255, 255, 255], [200, 100, 0], [204, 204, 204]]]


def test_grey_alpha_is_laid_on_white() -> None:
    values = np.array([[[0, 0], [70, 255], [0, 51]]], np.uint8)
    pixels = np.asarray(decode(encoded(Image.fromarray(values, "LA"), "PNG")))
    assert pixels.tolist() == [[[255] * 3, [70] * 3, [204] * 3]]


def test_a_transparent_colour_of_an_rgb_image_becomes_white() -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    pixels = np.asarray(decode(encoded(image, "PNG", transparency=(1, 2, 3))))
    assert pixels.tolist() == [[[255, 255, 255], [9, 9, 9]]]


def test_cmyk_colours_are_not_inverted() -> None:
    reddish = Image.new("RGB", (16, 16), (200, 60, 20))
    image = decode(encoded(reddish.convert("CMYK"), "JPEG", quality=95))
    assert distance(image, reddish) < 6


@pytest.mark.parametrize(("format_name", "order"), [("PNG", "<u2"), ("TIFF", "<u2"), ("TIFF", ">u2")])
def test_sixteen_bits_are_rounded_to_eight(format_name: str, order: str) -> None:
    values = np.arange(65_536, dtype=order).reshape(256, 256)
    image = decode(encoded(Image.fromarray(values), format_name))
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), np.round(values / 257))


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_thirty_two_bits_are_refused_with_the_reason(dtype: str) -> None:
    data = encoded(Image.fromarray(np.ones((4, 4), dtype)), "TIFF")
    with pytest.raises(ImageError, match="32-bit pixels have no agreed white; save the image with 8 or 16 bits"):
        decode(data)


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(format_name: str) -> None:
    first, second = Image.new("RGB", (8, 6), "red"), Image.new("RGB", (8, 6), "blue")
    image = decode(encoded(first, format_name, save_all=True, append_images=[second]))
    assert distance(image, first) < 2


def test_a_multi_picture_file_of_a_camera_is_read_as_the_jpeg_it_is() -> None:
    data = encoded(picture(), "MPO", quality=95, save_all=True, append_images=[Image.new("RGB", (48, 32))])
    assert distance(decode(data), picture()) < 5


@pytest.mark.parametrize("orientation", AS_STORED)
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_every_exif_orientation_gives_the_same_upright_picture(format_name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    transpose = AS_STORED[orientation]
    stored = picture() if transpose is None else picture().transpose(transpose)
    data = encoded(stored, format_name, exif=exif, **{**LOSSY, **LOSSLESS}[format_name])
    assert distance(decode(data), picture()) < 5


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns of each; ours is to go on all the same
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\0",
        b"garbage" * 6,
        b"II*\0\x08\0\0\0\xff\xff",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\xff\xff\0\0\x99\x99\0\0\0\0\0\0",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x05\0\x01\0\0\0\x99\x99\0\0\0\0\0\0",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0",
    ],
    ids=["empty", "no-directory", "garbage", "too-many-entries", "text-outside", "fraction-outside", "orientation-99"],
)
def test_malformed_exif_is_ignored(format_name: str, exif: bytes) -> None:
    image = decode(encoded(picture(), format_name, exif=b"Exif\0\0" + exif))
    assert image.size == picture().size


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(ImageError, match=r"^the file is empty$"):
        decode(b"")


@pytest.mark.parametrize("data", [b"a,b\n1,2\n" * 50, b"<svg></svg>", b"%PDF-1.7", b"\xff\xd8", b"\0" * 300])
def test_what_is_no_image_is_refused_with_the_formats_that_are_read(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"not an image in a format that is read here \(JPEG, PNG, .*AVIF\)"):
        decode(data)


@pytest.mark.parametrize("format_name", ["PPM", "ICO", "EPS", "PDF", "TGA", "PCX", "JPEG2000", "SGI", "DDS"])
def test_formats_off_the_list_are_refused(format_name: str) -> None:
    with pytest.raises(ImageError, match="not an image in a format that is read here"):
        decode(encoded(picture(), format_name))


@pytest.mark.parametrize("share", range(10, 100, 10))
@pytest.mark.parametrize(
    ("format_name", "options"),
    [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {})],
    ids=["jpeg", "progressive-jpeg", "png"],
)
def test_a_file_cut_short_is_refused(format_name: str, options: dict[str, bool], share: int) -> None:
    data = encoded(picture(300, 200), format_name, **options)
    with pytest.raises(ImageError, match=r"damaged or cut short \(.+\)|not an image in a format"):
        decode(data[: len(data) * share // 100])


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_of_any_format_cut_short_is_refused_or_read_but_nothing_worse(format_name: str) -> None:
    data = encoded(picture(100, 60), format_name)
    for end in range(0, len(data), max(1, len(data) // 60)):
        assert reads_or_refuses(data[:end]) in ((100, 60), None)


def test_a_huge_png_is_refused_before_any_of_it_is_decoded() -> None:
    start = time.perf_counter()
    with pytest.raises(ImageError, match=f"more than {MAX_PIXELS:,} pixels"):
        decode(png(50_000, 50_000, bytes(1_000_000)))
    assert time.perf_counter() - start < 1


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_image_just_above_the_limit_is_refused_with_its_size() -> None:
    with pytest.raises(ImageError, match=f"10,000 × 9,000 pixels; at most {MAX_PIXELS:,} are decoded"):
        decode(png(10_000, 9_000))


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_an_image_without_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=r"not an image|no pixels"):
        decode(png(*size))


@pytest.mark.parametrize("smallest", [(224, 224), (300, 225), (301, 225), (300, 226), (1200, 10), (5000, 5000)])
def test_a_draft_is_never_smaller_than_asked_for_and_looks_like_the_whole(smallest: tuple[int, int]) -> None:
    data = encoded(picture(1200, 900), "JPEG", quality=90)
    whole, draft = decode(data), decode(data, smallest=smallest)
    assert draft.width >= min(smallest[0], whole.width)
    assert draft.height >= min(smallest[1], whole.height)
    size = (224, 168)
    assert distance(draft.resize(size), whole.resize(size)) < 2


def test_a_draft_saves_the_work_on_a_large_jpeg() -> None:
    assert decode(encoded(picture(1200, 900), "JPEG"), smallest=(224, 168)).size == (300, 225)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0"])
)
def test_random_bytes_are_refused_or_read_but_nothing_worse(data: bytes, signature: bytes) -> None:
    reads_or_refuses(signature + data)


# A flipped byte may touch what Pillow warns of; as in ordinary use, a warning stops nothing here.
@pytest.mark.filterwarnings("ignore:::PIL")
@pytest.mark.parametrize("format_name", FORMATS)
def test_damaged_files_are_refused_or_read_but_nothing_worse(format_name: str) -> None:
    rng = random.Random(7)
    sound = encoded(picture(), format_name)
    for _ in range(120):
        data = bytearray(sound)
        for _ in range(rng.randint(1, 6)):
            # Half of the damage goes to the header, where the sizes and offsets are.
            place = rng.randrange(min(64, len(data)) if rng.random() < 0.5 else len(data))
            data[place] = rng.randrange(256)
        reads_or_refuses(bytes(data))


def test_a_refusal_stays_on_one_short_line() -> None:
    data = encoded(picture(), "PNG")
    with pytest.raises(ImageError) as caught:
        decode(data[: len(data) // 2])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 160


def reads_or_refuses(data: bytes) -> tuple[int, int] | None:
    """The size of the image, or None when it is refused; any other exception fails the test."""
    try:
        return decode(data).size
    except ImageError as error:
        assert str(error)
        return None


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_header_is_read_without_decoding(format_name: str) -> None:
    made = io.BytesIO()
    picture(48, 32).save(made, format_name)
    found = header_of(made.getvalue())
    assert (found.format, found.width, found.height) == (format_name, 48, 32)
    assert found.mode == Image.open(made).mode


def test_a_file_that_is_cut_short_still_has_a_header_and_one_that_is_no_image_has_none() -> None:
    made = io.BytesIO()
    picture(480, 320).save(made, "PNG")
    cut = made.getvalue()[: len(made.getvalue()) // 2]
    assert header_of(cut) == Header("PNG", "RGB", 480, 320)
    with pytest.raises(ImageError, match="cut short"):
        decode(cut)
    for data in (b"", b"none"):
        with pytest.raises(ImageError):
            header_of(data)
