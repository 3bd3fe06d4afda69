"""The image spec: how a file becomes a base's input. The only resizing and the only scaling there are."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from headstart.images.decode import decode
from headstart.images.views import PLAIN, SMALLEST_CROP, View

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class ImageSpec:
    """Size, interpolation and scaling of a base's input. The whole image is used, stretched to the input's shape.

    Attributes:
        height, width: of the input, in pixels.
        interpolation: the filter that resizes; it takes in every source pixel when it shrinks.
        offset, divisor: a pixel value p in 0…255 becomes (p − offset) / divisor.
    """

    height: int
    width: int
    interpolation: Literal["bilinear", "bicubic"]
    offset: float
    divisor: float

    def render(self, data: bytes, views: tuple[View, ...] = (PLAIN,)) -> list[np.ndarray]:
        """An image file as the base's inputs, one a view; the file is decoded once.

        Args:
            data: the whole file.
            views: the renderings wanted.

        Returns:
            For each view a float32 array, shape (height, width, 3).

        Raises:
            ImageError: the file can't be decoded.
        """
        image = self._decode(data)
        return [self.scale(self._draw(image, view)) for view in views]

    def thumbnail(self, data: bytes) -> np.ndarray:
        """What the base sees of a file before scaling: uint8, shape (height, width, 3)."""
        return _widen(self._draw(self._decode(data), PLAIN))

    def scale(self, pixels: np.ndarray) -> np.ndarray:
        """Pixel values in 0…255, shape (height, width) or (height, width, 3), to float32 network inputs."""
        scaled = (_widen(pixels).astype(np.float32) - np.float32(self.offset)) * np.float32(1 / self.divisor)
        return np.ascontiguousarray(scaled)

    @property
    def key(self) -> str:
        """The spec as text, the same on every machine: part of a feature's key in the store."""
        return f"{self.height}x{self.width};{self.interpolation};{self.offset:g};{self.divisor:g}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> ImageSpec:
        return cls(**fields)

    def _decode(self, data: bytes) -> Image.Image:
        # Square, because the file's orientation and a view's turns may exchange the sides; and large enough for the
        # smallest crop, whatever the view, so that a feature doesn't depend on which others are rendered with it.
        longest = math.ceil(max(self.height, self.width) / SMALLEST_CROP)
        return decode(data, smallest=(longest, longest))

    def _draw(self, image: Image.Image, view: View) -> np.ndarray:
        width, height = self.width, self.height
        if view.quarter_turns % 2:
            width, height = height, width
        left, top, right, bottom = view.box
        box = (left * image.width, top * image.height, right * image.width, bottom * image.height)
        pixels = np.asarray(image.resize((width, height), _FILTERS[self.interpolation], box=box))
        pixels = np.rot90(pixels, view.quarter_turns)
        return pixels[:, ::-1] if view.mirrored else pixels


def _widen(pixels: np.ndarray) -> np.ndarray:
    """Grey pixels, shape (h, w), become three equal channels, shape (h, w, 3)."""
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=-1)
