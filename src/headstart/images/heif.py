"""HEIC and HEIF, the format of telephones, which takes a package of its own to read.

pi-heif brings libheif and libde265 (both LGPL-3.0), which decode and don't encode. Patents on HEVC, the compression in
such files, may need a licence where they are in force; that is why it is an extra.
"""

from __future__ import annotations

from headstart.errors import ImageError

HEIF = "HEIF"
MEND = "pip install 'headstart[heic]'"
# Of the file's main brand (ISO/IEC 23008-12); those of sequences among them. An AVIF file may call itself mif1 too.
_HEVC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
_ANY_BRANDS = (b"mif1", b"msf1")
_LONGEST_TYPE_BOX = 256


def is_heif(data: bytes) -> bool:
    """Whether an image file is one of HEIF that isn't AVIF."""
    if data[4:8] != b"ftyp":
        return False
    brand, box = data[8:12], data[16 : min(int.from_bytes(data[:4], "big"), _LONGEST_TYPE_BOX)]
    return brand in _HEVC_BRANDS or (brand in _ANY_BRANDS and b"avif" not in box)


def learn_to_read() -> None:
    """Let Pillow open such files.

    Raises:
        ImageError: the package that it takes isn't installed.
    """
    try:
        import pi_heif
    except ImportError:
        raise ImageError(f"a HEIC image, which takes pi-heif to read: {MEND}") from None
    pi_heif.register_heif_opener()
