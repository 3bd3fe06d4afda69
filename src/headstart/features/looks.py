"""What an image looks like, in few numbers that need no network: a blurred thumbnail, brightness, contrast, sharpness.

Looks are features like others: computed from a base's input, kept in the store under the image's digest, and mostly in
the same pass over the files as pooled features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from headstart.features.engine import Engine, Tag
from headstart.features.extract import FeatureSet, WithMap
from headstart.features.store import Store
from headstart.images.spec import ImageSpec

# Of a thumbnail, in pixels: enough to tell pictures of one kind of thing apart.
SIDE = 48
# Of the blur, in pixels of the thumbnail: what is finer would be lost anyway when a copy is cut or made smaller.
BLUR = 1.33
MEASURES = ("brightness", "contrast", "sharpness")
# Rec. 601, as Pillow has it.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
IDENTITY = f"look-1-{SIDE}-{BLUR}"


@dataclass(frozen=True)
class Looks:
    """What images look like.

    Attributes:
        thumbnails: grey, blurred, 0…255, shape (images, 48, 48); as the store keeps them, in float16.
        brightness: mean grey value, 0 to 1, shape (images,).
        contrast: standard deviation of grey values, likewise.
        sharpness: how much grey values differ from the mean of their four neighbours, as a share of the contrast.
    """

    thumbnails: np.ndarray
    brightness: np.ndarray
    contrast: np.ndarray
    sharpness: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Looks:
        """As the store has them: shape (images, 3 + 48 · 48)."""
        measures = rows[:, : len(MEASURES)].T.astype(np.float32)
        return cls(rows[:, len(MEASURES) :].reshape(-1, SIDE, SIDE), *measures)

    def measures_alone(self) -> Looks:
        """Without thumbnails, which take a thousand times the room."""
        return replace(self, thumbnails=self.thumbnails[:0].copy())


class LookEngine(Engine):
    """Gives the look of network inputs.

    Args:
        spec: that they were made by.
    """

    def __init__(self, spec: ImageSpec) -> None:
        self._spec = spec

    @property
    def identity(self) -> str:
        return IDENTITY

    def stream(self, inputs: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        return ((tag, self.look(array)) for tag, array in inputs)

    def look(self, array: np.ndarray) -> np.ndarray:
        """Brightness, contrast, sharpness and the thumbnail of an input, in one row, float32."""
        grey = self._grey(array)
        contrast = float(grey.std())
        around = (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]) / 4
        sharpness = float((grey[1:-1, 1:-1] - around).std()) / max(contrast, 1e-3)
        height, width = grey.shape
        thumbnail = _shrinking(height) @ grey @ _shrinking(width).T
        return np.concatenate([np.array([grey.mean() / 255, contrast / 255, sharpness], np.float32), thumbnail.ravel()])

    def _grey(self, array: np.ndarray) -> np.ndarray:
        pixels = array * np.asarray(self._spec.divisor, np.float32) + np.asarray(self._spec.offset, np.float32)
        return np.asarray(pixels @ (_LUMA if self._spec.channels == "rgb" else _LUMA[::-1]))


class BesideEngine(Engine):
    """An engine whose output is followed by the look of its input, in one row."""

    def __init__(self, engine: Engine, looks: LookEngine) -> None:
        self._engine, self._looks = engine, looks

    @property
    def identity(self) -> str:
        return self._engine.identity

    def stream(self, inputs: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        tagged = (((tag, self._looks.look(array)), array) for tag, array in inputs)
        for (tag, look), output in self._engine.stream(tagged):
            yield tag, np.concatenate([output.ravel(), look])


def looks_beside(pooled: FeatureSet) -> FeatureSet:
    """The looks of what these features are of."""
    return looks_of(pooled.spec, pooled.store)


def looks_of(spec: ImageSpec, store: Store) -> FeatureSet:
    """The looks of images as network inputs of this kind."""
    return FeatureSet(spec, "look", LookEngine(spec), store, "f32", "float16")


def with_looks(pooled: FeatureSet) -> WithMap:
    """The same pooled features; where one is computed, the look of the image is kept as well."""
    engine = BesideEngine(pooled.engine, LookEngine(pooled.spec))
    kept = pooled.spec, pooled.network, engine, pooled.store, pooled.precision, pooled.dtype
    return WithMap(*kept, at_cut=looks_beside(pooled), shape=(len(MEASURES) + SIDE * SIDE,))


@lru_cache(maxsize=4)
def _shrinking(size: int) -> np.ndarray:
    """A matrix that blurs and samples a row of so many pixels, shape (48, size); each row's weights add up to 1."""
    at = (np.arange(SIDE) + 0.5) / SIDE * size - 0.5
    width = BLUR * max(size / SIDE, 1.0)
    weights = np.exp(-0.5 * np.square((np.arange(size)[None] - at[:, None]) / width))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
