"""Headstart's own training data for `hs.fit`: labelled image files, read only where their features aren't stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from headstart.catalog import DEFAULT_BASE, get_base
from headstart.data.dataset import Part
from headstart.data.scan import scan
from headstart.errors import DataError, UnknownNameError
from headstart.features.arrays import ArrayFeatures
from headstart.features.extract import FeatureSet, extract, render_all
from headstart.images.file import ImageFile
from headstart.images.spec import ImageSpec
from headstart.images.views import PLAIN, PRESETS, Preset, make_views
from headstart.learn.samples import Batch, FixedSamples


@dataclass(frozen=True)
class ImageData(FixedSamples):
    """Labelled image files.

    Attributes:
        files: the images.
        labels: int, shape (files,), the place of each file's class in `classes`.
        classes: the names of the classes.
        spec: how a file becomes an input.
        batch_size: files a batch.
        augment: the preset that numbered renderings are made of.
        one_hot: whether targets are one-hot rows, for categorical cross-entropy, rather than labels.
    """

    files: tuple[ImageFile, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    spec: ImageSpec
    batch_size: int = 32
    augment: Preset = "natural"
    one_hot: bool = True

    def batches(self) -> Iterator[Batch]:
        rendered = render_all(self.files, self.spec)
        for start in range(0, self.count, self.batch_size):
            inputs = [_require(file, found) for file, found in islice(rendered, self.batch_size)]
            yield Batch(np.stack(inputs), self.targets[start : start + len(inputs)], None)

    @property
    def targets(self) -> np.ndarray:
        """What the model is to answer: float32, shape (files, classes), or the labels."""
        return np.eye(len(self.classes), dtype=np.float32)[self.labels] if self.one_hot else self.labels

    @property
    def count(self) -> int:
        return len(self.files)

    def find_features(
        self, features: ArrayFeatures, views: int, advance: Callable[[int], None]
    ) -> tuple[tuple[list[bytes], ...], int]:
        """See to it that the store has the features of all files.

        Returns:
            The keys of each view, one a file, and how many features weren't in the store yet.

        Raises:
            DataError: a file can't be read.
        """
        renderings = make_views(self.augment, views, seed=0) if views else (PLAIN,)
        wanted = FeatureSet(self.spec, features.network, features.engine, features.store, "f32", "float32")
        found = extract(self.files, wanted, renderings, advance)
        for file, reason in found.unreadable.items():
            _require(file, reason)
        digests = [found.digests[file] for file in self.files]
        return tuple([wanted.key(digest, view) for digest in digests] for view in renderings), found.computed

    def dataset(self) -> Any:
        """The same as a keras.utils.PyDataset, for training that stores nothing."""
        import keras

        data = self

        class Files(keras.utils.PyDataset):
            def __len__(self) -> int:
                return -(-data.count // data.batch_size)

            def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
                rows = slice(number * data.batch_size, (number + 1) * data.batch_size)
                rendered = [_require(file, found) for file, found in render_all(data.files[rows], data.spec)]
                return np.stack(rendered), data.targets[rows]

        return Files()


def image_data(
    folder: str | Path,
    *,
    base: str = DEFAULT_BASE,
    part: Part | None = None,
    batch_size: int = 32,
    augment: str = "natural",
    one_hot: bool = True,
) -> ImageData:
    """A folder of labelled images as training data for `hs.fit`.

    Args:
        folder: with one subfolder of images a class, or with folders train, validation and test that have.
        base: the pretrained network whose input the files are made into.
        part: "train", "validation" or "test" of a folder that is divided; None takes all there is.
        batch_size: files a batch.
        augment: what numbered renderings are made of, with `views=` in `hs.fit`: "none", "text", "natural", "flips"
            or "orientation-free".
        one_hot: whether targets are one-hot rows, for categorical cross-entropy, rather than labels.

    Raises:
        UsageError: there is no such folder, base or preset.
        DataError: it holds no labelled images.
    """
    presets: dict[str, Preset] = {name: name for name in PRESETS}
    if augment not in presets:
        raise UnknownNameError("augmentation", augment, PRESETS)
    dataset = scan(Path(folder))
    chosen = [sample for sample in dataset.samples if part is None or sample.part == part]
    if not chosen:
        raise DataError(f"{folder} has no images in a part {part!r}", "leave part out, or name one that is there")
    labels = np.array([dataset.labels.index(sample.label) for sample in chosen], np.int64)
    files = tuple(sample.file for sample in chosen)
    return ImageData(files, labels, dataset.labels, get_base(base).spec, batch_size, presets[augment], one_hot)


def _require(file: ImageFile, rendered: Any) -> Any:
    if isinstance(rendered, str):
        raise DataError(f"{file} can't be used: {rendered}", "remove it, or let `headstart train` set such files aside")
    return rendered
