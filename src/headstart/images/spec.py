"""The image spec: how a file becomes a base's input. The only resizing and the only scaling there are."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from PIL import Image

from headstart.images.decode import decode
from headstart.images.views import PLAIN, SMALLEST_CROP, View

# Changed whenever files are decoded to other pixels than before, so that features of those aren't taken for theirs.
DECODING = "srgb"
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

# One number for all channels, or one a channel, in the order that the network takes them.
Channels = float | tuple[float, float, float]


@dataclass(frozen=True)
class ImageSpec:
    """Size, interpolation and scaling of a base's input. The whole image is used, stretched to the input's shape.

    Attributes:
        height, width: of the input, in pixels.
        interpolation: the filter that resizes; it takes in every source pixel when it shrinks.
        offset, divisor: a pixel value p in 0…255 becomes (p − offset) / divisor. Each is one number, or three, in
            the order of `channels`. Offset 0 and divisor 1 leave pixels as they are, for networks that scale them
            inside.
        channels: the order in which the network takes red, green and blue.
    """

    height: int
    width: int
    interpolation: Literal["bilinear", "bicubic"]
    offset: Channels
    divisor: Channels
    channels: Literal["rgb", "bgr"] = "rgb"

    def with_size(self, height: int, width: int) -> ImageSpec:
        """The same spec for inputs of another size, in pixels."""
        return replace(self, height=height, width=width)

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
        ordered = _widen(pixels) if self.channels == "rgb" else _widen(pixels)[..., ::-1]
        offset, divisor = np.asarray(self.offset, np.float32), np.asarray(self.divisor, np.float64)
        return np.ascontiguousarray((ordered.astype(np.float32) - offset) * (1 / divisor).astype(np.float32))

    @property
    def key(self) -> str:
        """The spec as text, the same on every machine: part of a feature's key in the store."""
        order = "" if self.channels == "rgb" else f";{self.channels}"
        scaling = f"{_as_text(self.offset)};{_as_text(self.divisor)}"
        return f"{self.height}x{self.width};{self.interpolation};{scaling}{order};{DECODING}"

    def as_dict(self) -> dict[str, Any]:
        """The spec as JSON takes it. What most specs have alike is left out, as it was before it could differ."""
        fields = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {name: value for name, value in fields.items() if (name, value) != ("channels", "rgb")}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> ImageSpec:
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
        }
        return cls(**plain)

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


def _as_text(channels: Channels) -> str:
    return ",".join(f"{value:g}" for value in (channels if isinstance(channels, tuple) else (channels,)))


def _widen(pixels: np.ndarray) -> np.ndarray:
    """Grey pixels, shape (h, w), become three equal channels, shape (h, w, 3)."""
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=-1)
