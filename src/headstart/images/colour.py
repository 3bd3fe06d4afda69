"""Colours as sRGB, which networks were trained with: an ICC profile says what a file's numbers mean instead."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageCms

# Larger ones hold tables for printing presses; one for a camera or a screen takes some kilobytes.
MOST_BYTES = 2**22
MODES = ("L", "RGB", "CMYK")


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An image of mode "L", "RGB" or "CMYK" in sRGB; grey stays grey, and CMYK becomes RGB.

    Args:
        image: whose pixels are as they lie in the file; those of mode "RGB" are changed in place.
        profile: the ICC profile that the file brings, if any. One that is damaged, or of other colours than the image
            has, says nothing: the numbers are then taken as sRGB, as they are without a profile.
    """
    transform = _transform(profile, image.mode) if profile and len(profile) <= MOST_BYTES else None
    if transform is None:
        return image.convert("RGB") if image.mode == "CMYK" else image
    found = ImageCms.applyTransform(image, transform, inPlace=image.mode == "RGB")
    return image if found is None else found.convert("L" if image.mode == "L" else "RGB")


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; None where that changes nothing, or can't be."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode == "RGB" and "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None
