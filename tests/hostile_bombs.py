"""Image files that are made to fill the memory, to take long, or to lead a parser in circles."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping

from PIL import Image
from tests.hostile import ORIENTATION, Odd, encoded, png, png_header, segment, sound, tiff
from tests.images.test_heif import HEIC

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIPS, SAMPLES, ROWS, COUNTS = 273, 277, 278, 279
EXIF_DIRECTORY, SHORT, LONG, RATIONAL = 34665, 3, 4, 5
# The side of an image of as many pixels as are decoded at most, and of one that is smaller and takes less time.
GIANT, LARGE = 9450, 7000
ABSURD = [(50_000, 50_000), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (2**31 - 1, 1), (0, 0), (0, 5), (5, 0)]
# A grey TIFF of 4 × 4 pixels; its pixels come last.
OF_GREY = {WIDTH: 4, LENGTH: 4, BITS: 8, COMPRESSION: 1, PHOTOMETRIC: 1, SAMPLES: 1, ROWS: 4, COUNTS: 16}
GREY = OF_GREY | {STRIPS: 8 + 2 + (len(OF_GREY) + 1) * 12 + 4}


def files() -> Iterator[Odd]:
    """All that are made here."""
    for made in (claims, shapes, giants, inflated, slow, frames, directories, grids):
        yield from made()


def claims() -> Iterator[Odd]:
    """Headers that claim absurd sizes, or none."""
    pictures = sound()
    for width, height in ABSURD:
        data = png(png_header(width, height), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
        yield Odd(f"claims/{width}-{height}.png", data, False)
        yield Odd(f"claims/{width}-{height}.tif", grey_tiff({WIDTH: width, LENGTH: height}), False)
        bmp = bytearray(pictures["plain.bmp"])
        bmp[18:26] = struct.pack("<II", width, height)
        yield Odd(f"claims/{width}-{height}.bmp", bytes(bmp), False)
        for name in ("plain.avif", "photograph.heic"):
            place = pictures[name].index(b"ispe") + 8
            data = pictures[name][:place] + struct.pack(">II", width, height) + pictures[name][place + 8 :]
            yield Odd(f"claims/{width}-{height}-{name}", data, False)
    for width, height in ((65_535, 65_535), (0, 64), (96, 0), (0, 0)):
        for name in ("plain.jpg", "progressive.jpg", "cmyk.jpg"):
            yield Odd(f"claims/{width}-{height}-{name}", with_frame(pictures[name], width, height), False)
        screen = pictures["plain.gif"][:6] + struct.pack("<HH", width, height) + pictures["plain.gif"][10:]
        yield Odd(f"claims/{width}-{height}-screen.gif", screen, None if width < 65_535 else False)
    yield Odd("claims/frame.gif", gif(b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x44\x01\0"), False)
    yield Odd("claims/far-frame.gif", gif(b",\xff\xff\xff\xff\x01\0\x01\0\0\x02\x02\x44\x01\0"), False)
    for side in (0xFFFFFF, 16_383):
        canvas = struct.pack("<I", 2) + side.to_bytes(3, "little") * 2
        yield Odd(f"claims/canvas-{side}.webp", riff((b"VP8X", canvas), (b"ANIM", bytes(6)), *[one_frame()]), False)
    yield Odd("claims/lossless.webp", lossless(16_384, 16_384), False)
    huge = pictures["lossy.webp"].replace(struct.pack("<HH", 96, 64), struct.pack("<HH", 16_383, 16_383))
    yield Odd("claims/lossy.webp", huge, False)


def shapes() -> Iterator[Odd]:
    """Sound pictures of shapes that nobody expects."""
    for width, height in ((1, 1), (1, 3000), (3000, 1), (2, 16_000), (16_000, 2)):
        picture = Image.new("RGB", (width, height), (200, 80, 30))
        for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
            yield Odd(f"shapes/{width}-{height}.{kind.lower()}", encoded(picture, kind), True)
    yield Odd("shapes/long.png", flat_png(500_000, 1, 2), True)
    yield Odd("shapes/high.png", flat_png(1, 500_000, 2), True)


def giants() -> Iterator[Odd]:
    """Small files of very many pixels, some of them just few enough."""
    turned = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", ORIENTATION, SHORT, 1, 6) + bytes(4)
    yield Odd("giants/grey.png", flat_png(GIANT, GIANT, 0), True)
    yield Odd("giants/plain.png", flat_png(LARGE, LARGE, 2), True)
    yield Odd("giants/clear.png", flat_png(GIANT, GIANT, 6), False)
    yield Odd("giants/clear-and-less.png", flat_png(LARGE, LARGE, 6), True)
    yield Odd("giants/turned.png", flat_png(GIANT, GIANT, 2, (b"eXIf", turned)), False)
    yield Odd("giants/lossless.webp", lossless(GIANT, GIANT), False)
    yield Odd("giants/lossless-and-less.webp", lossless(5300, 5300), True)
    one_strip = {BITS: 8, COMPRESSION: 8, ROWS: GIANT, WIDTH: GIANT, LENGTH: GIANT, COUNTS: 90_000}
    yield Odd("giants/one-strip.tif", grey_tiff(one_strip, behind=zeros(GIANT * GIANT)), False)
    yield Odd("giants/progressive.jpg", with_frame(sound()["progressive.jpg"], GIANT, GIANT, sampling=0x11), False)


def inflated() -> Iterator[Odd]:
    """Small files that unpack to very many bytes."""
    header, pixels, end = png_header(4, 4, colour=0), (b"IDAT", zlib.compress(bytes(20))), (b"IEND", b"")
    bomb = zeros(200_000_000)
    yield Odd("inflated/pixels.png", png(header, (b"IDAT", bomb), end), True)
    yield Odd("inflated/text.png", png(header, (b"zTXt", b"k\0\0" + bomb), pixels, end), False)
    yield Odd("inflated/more-text.png", png(header, (b"iTXt", b"k\0\1\0\0\0" + bomb), pixels, end), False)
    yield Odd("inflated/profile.png", png(header, (b"iCCP", b"k\0\0" + bomb), pixels, end), False)
    texts = [(b"zTXt", b"k\0\0" + zeros(1_000_000))] * 100
    yield Odd("inflated/texts.png", png(header, *texts, pixels, end), False)
    yield Odd("inflated/strip.tif", grey_tiff({COMPRESSION: 8, COUNTS: len(bomb)}, behind=bomb))


def slow() -> Iterator[Odd]:
    """Files that are gone through step by step, or again and again."""
    plain = sound()["plain.jpg"]
    header, pixels, end = png_header(4, 4, colour=0), (b"IDAT", zlib.compress(bytes(20))), (b"IEND", b"")
    yield Odd("slow/pieces-of-exif.jpg", plain[:2] + segment(0xE1, b"Exif\0\0xx") * 100_000 + plain[2:], False)
    yield Odd("slow/comments.jpg", plain[:2] + segment(0xFE, b"") * 200_000 + plain[2:], False)
    yield Odd("slow/filler.jpg", plain[:2] + b"\xff" * 1_000_000 + plain[2:], False)
    yield Odd("slow/junk.jpg", plain[:2] + segment(0xFE, b"") + b"\1" * 1_000_000 + plain[2:], False)
    yield Odd("slow/scans.jpg", many_scans(400), False)
    yield Odd("slow/lines.bmp", run_lengths(30_000, 2980, 8, b"\1\0\0\0" * 2980), False)
    yield Odd("slow/runs.bmp", run_lengths(30_000, 2980, 4, b"\xff\x12" * 118 * 2980), False)
    yield Odd("slow/chunks.png", png(header, *[(b"teXt", b"")] * 300_000, pixels, end), False)
    yield Odd("slow/comments.gif", gif(b"!\xfe\x01a\0" * 300_000 + b",\0\0\0\0\4\0\4\0\0\2\2\x44\1\0"), False)
    many = 1_000_000
    strips: dict[int, int | bytes] = {STRIPS: bytes(4 * many), COUNTS: bytes(4 * many), WIDTH: 1, LENGTH: many, ROWS: 1}
    yield Odd("slow/strips.tif", grey_tiff(strips), False)
    yield Odd("slow/bits.tif", grey_tiff({BITS: bytes(2 * 4 * many)}), False)
    within = struct.pack("<HHHIII", 1, 37500, RATIONAL, many, 200, 0).ljust(200, b"\0") + bytes(8 * many)
    yield Odd("slow/exif.tif", grey_tiff({EXIF_DIRECTORY: 8 + 2 + 10 * 12 + 4 + 16}, behind=bytes(16) + within), False)


def frames() -> Iterator[Odd]:
    """Animations of very many frames, or frames that don't fit; what counts is the first."""
    picture = b",\0\0\0\0\4\0\4\0\0\2\2\x44\1\0"
    yield Odd("frames/many.gif", gif(picture * 50_000), None)
    yield Odd("frames/growing.gif", gif(picture + b",\0\0\0\0\xff\xff\xff\xff\0\2\2\x44\1\0"), None)
    yield Odd("frames/endless.gif", gif(b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0" + picture)[:-1], None)
    canvas = struct.pack("<I", 2) + (3).to_bytes(3, "little") * 2
    yield Odd("frames/many.webp", riff((b"VP8X", canvas), (b"ANIM", bytes(6)), *[one_frame()] * 20_000), None)
    yield Odd("frames/outside.webp", riff((b"VP8X", canvas), (b"ANIM", bytes(6)), one_frame(left=500)), False)
    yield Odd("frames/none.webp", riff((b"VP8X", canvas), (b"ANIM", bytes(6))), False)
    header, pixels, end = png_header(4, 4, colour=0), (b"IDAT", zlib.compress(bytes(20))), (b"IEND", b"")
    for count in (0, 2, 2**31 - 1, 2**32 - 1):
        yield Odd(f"frames/{count}.png", png(header, (b"acTL", struct.pack(">II", count, 0)), pixels, end), None)


def directories() -> Iterator[Odd]:
    """TIFF files whose directories or tags make no sense."""
    yield Odd("directories/in-a-circle.tif", grey_tiff({}, following=8), True)
    yield Odd("directories/far-away.tif", grey_tiff({}, following=2**32 - 1), True)
    chain = b"".join(struct.pack("<HI", 0, 200 + 6 * (number + 1)) for number in range(100_000))
    yield Odd("directories/chained.tif", grey_tiff({}, following=200, behind=bytes(200 - 138) + chain), True)
    yield Odd("directories/into-itself.tif", grey_tiff({EXIF_DIRECTORY: 8}))
    yield Odd("directories/none.tif", b"II*\0\x08\0\0\0\0\0\0\0\0\0", False)
    yield Odd("directories/at-itself.tif", b"II*\0\0\0\0\0" + bytes(40), False)
    yield Odd(
        "directories/many-tags.tif", b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 999, 3, 1, 1) * 65_535, False
    )
    big = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**64 - 1) + struct.pack("<HHQQ", 999, 3, 1, 1) * 100_000
    yield Odd("directories/endless.tif", big, False)
    for tag in (WIDTH, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, SAMPLES, ROWS, COUNTS, 317, 322, 325, 338, 339, 530):
        for value in (0, 2**16 - 1, 2**32 - 1):
            yield Odd(f"directories/{tag}-is-{value}.tif", grey_tiff({tag: value}))
        yield Odd(f"directories/{tag}-is-cut.tif", grey_tiff({tag: struct.pack("<I", 5)}, counts={tag: 2**31 - 1}))


def grids() -> Iterator[Odd]:
    """Pictures that are laid of the same tile many times; a phone's has some dozens of different ones."""
    tile = encoded(Image.new("RGB", (64, 64), (200, 80, 30)), "AVIF")
    yield Odd("grids/tiles.heic", grid(HEIC, b"hvc1", b"hvcC", 31), True)
    yield Odd("grids/tiles.avif", grid(tile, b"av01", b"av1C", 40), True)
    yield Odd("grids/more-tiles.heic", grid(HEIC, b"hvc1", b"hvcC", 60), False)
    yield Odd("grids/more-tiles.avif", grid(tile, b"av01", b"av1C", 110), False)
    yield Odd("grids/absurd.avif", grid(tile, b"av01", b"av1C", 2, size=(2**31, 2**31)), False)
    yield Odd("grids/absurd.heic", grid(HEIC, b"hvc1", b"hvcC", 2, size=(2**31, 2**31)), False)


def zeros(count: int) -> bytes:
    """So many bytes of 0, packed by zlib, and faster than zlib would."""
    block = zlib.compressobj(9)
    megabyte = block.compress(bytes(2**20)) + block.flush(zlib.Z_FULL_FLUSH)
    rest = zlib.compressobj(9)
    tail = rest.compress(bytes(count % 2**20)) + rest.flush()
    checksum = struct.pack(">I", count % 65_521 << 16 | 1)
    return megabyte[:2] + megabyte[2:] * (count // 2**20) + tail[2:-4] + checksum


def flat_png(width: int, height: int, colour: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Black, in 8 bits a channel."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    pixels = b"IDAT", zeros((width * channels + 1) * height)
    return png(png_header(width, height, colour=colour), *chunks, pixels, (b"IEND", b""))


def grey_tiff(
    changed: Mapping[int, int | bytes],
    *,
    behind: bytes = b"",
    following: int = 0,
    counts: Mapping[int, int] | None = None,
) -> bytes:
    """A small grey TIFF with some of its tags changed; without what lies behind, some pixels do."""
    tags = []
    for tag, value in sorted({**GREY, **changed}.items()):
        each = 2 if tag == BITS else 4
        count = len(value) // each if isinstance(value, bytes) else 1
        tags.append((tag, SHORT if tag == BITS else LONG, (counts or {}).get(tag, count), value))
    return tiff(tags, behind or bytes(range(16)) * 4, following)


def gif(blocks: bytes) -> bytes:
    return b"GIF89a\4\0\4\0\x80\0\0" + bytes(3) + b"\xff" * 3 + blocks + b";"


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def lossless(width: int, height: int) -> bytes:
    """A WebP of one colour; each of its pixels takes no bit at all."""
    flat = encoded(Image.new("RGB", (8, 8), (200, 80, 30)), "WEBP", lossless=True)
    place = flat.index(b"VP8L") + 9
    bits = int.from_bytes(flat[place : place + 4], "little") & ~(2**28 - 1) | height - 1 << 14 | width - 1
    return flat[:place] + bits.to_bytes(4, "little") + flat[place + 4 :]


def one_frame(left: int = 0) -> tuple[bytes, bytes]:
    """Of an animated WebP, 4 × 4 pixels."""
    picture = lossless(4, 4)[12:]
    return b"ANMF", left.to_bytes(3, "little") + bytes(3) + (3).to_bytes(3, "little") * 2 + b"\x0a\0\0\0" + picture


def with_frame(jpeg: bytes, width: int, height: int, sampling: int | None = None) -> bytes:
    """A JPEG whose header claims another size, and maybe that the first component is sampled otherwise."""
    found = re.search(rb"\xff[\xc0\xc2]\0[\x0b\x11\x14]", jpeg)
    assert found
    made = bytearray(jpeg)
    made[found.end() + 1 : found.end() + 5] = struct.pack(">HH", height, width)
    if sampling is not None:
        made[found.end() + 7] = sampling
    return bytes(made)


def many_scans(count: int) -> bytes:
    """A progressive JPEG of one colour, whose last scan comes so many times more."""
    flat = encoded(Image.new("RGB", (4000, 4000), (9, 99, 200)), "JPEG", progressive=True)
    last = flat[flat.rindex(b"\xff\xda") : -2]
    return flat[:-2] + last * count + flat[-2:]


def run_lengths(width: int, height: int, bits: int, runs: bytes) -> bytes:
    palette = bytes(4 * 2**bits)
    start = 14 + 40 + len(palette)
    kind = 1 if bits == 8 else 2
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, kind, len(runs) + 2, 0, 0, 2**bits, 0)
    return b"BM" + struct.pack("<IHHI", start + len(runs) + 2, 0, 0, start) + header + palette + runs + b"\0\1"


def grid(data: bytes, kind: bytes, decoder: bytes, side: int, size: tuple[int, int] | None = None) -> bytes:
    """A HEIF file of side × side tiles of 64 × 64 pixels, each another item with the bytes of the same one."""
    width, height = size or (64 * side, 64 * side)
    tiles, payload = side * side, data[data.index(b"mdat") + 4 :]
    settings = [inner(data, decoder), inner(data, b"pixi"), extent(64, 64), extent(width, height)]
    of_tile = bytes([3, 0x81, 2, 3])
    uses = struct.pack(">IHBBB", tiles + 1, 1, 2, 4, 2) + b"".join(
        struct.pack(">H", number) + of_tile for number in range(2, tiles + 2)
    )
    layout = struct.pack(">BBBBII", 0, 1, side - 1, side - 1, width, height)
    items = [item(1, b"grid")] + [item(number, kind, hidden=1) for number in range(2, tiles + 2)]
    order = struct.pack(f">HH{tiles}H", 1, tiles, *range(2, tiles + 2))

    def head(start: int) -> bytes:
        places = struct.pack(">HHHII", 1, 0, 1, start, len(layout)) + b"".join(
            struct.pack(">HHHII", number, 0, 1, start + len(layout), len(payload)) for number in range(2, tiles + 2)
        )
        described = [
            box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
            box(b"pitm", bytes(4) + struct.pack(">H", 1)),
            box(b"iloc", bytes(4) + b"\x44\0" + struct.pack(">H", tiles + 1) + places),
            box(b"iinf", bytes(4) + struct.pack(">H", tiles + 1) + b"".join(items)),
            box(b"iref", bytes(4) + box(b"dimg", order)),
            box(b"iprp", box(b"ipco", b"".join(settings)) + box(b"ipma", bytes(4) + uses)),
        ]
        brand = b"avif" if kind == b"av01" else b"heic"
        return box(b"ftyp", brand + bytes(4) + b"mif1" + brand) + box(b"meta", bytes(4) + b"".join(described))

    return head(len(head(0)) + 8) + box(b"mdat", layout + payload)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def inner(data: bytes, kind: bytes) -> bytes:
    """A box of a HEIF file, wherever it lies."""
    start = data.index(kind) - 4
    return data[start : start + int.from_bytes(data[start : start + 4], "big")]


def extent(width: int, height: int) -> bytes:
    return box(b"ispe", bytes(4) + struct.pack(">II", width, height))


def item(number: int, kind: bytes, hidden: int = 0) -> bytes:
    return box(b"infe", struct.pack(">IHH", 2 << 24 | hidden, number, 0) + kind + b"\0")
