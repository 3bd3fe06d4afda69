"""Samples whose frozen features are stored: computed once, then read for every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.errors import DataError
from headstart.features.arrays import ArrayFeatures, digest_of
from headstart.learn.image_data import ImageData
from headstart.learn.renderings import Renderer
from headstart.learn.samples import PROBED_BATCHES, Batch, Samples, Shuffle, Unstorable

if TYPE_CHECKING:
    import keras

# Features up to this many bytes are held in memory while training; more are read from the store batch by batch.
RESIDENT_BYTES = 2**29


@dataclass(frozen=True)
class Stored:
    """Samples with stored features.

    Attributes:
        features: where they are.
        keys: of each view's features, one key a sample.
        y, weights: of all samples.
        sizes: of the batches that they came in.
        reordered: whether another reading came in another order.
        computed: how many features weren't in the store yet.
    """

    features: ArrayFeatures
    keys: tuple[list[bytes], ...]
    y: np.ndarray | None
    weights: np.ndarray | None
    sizes: tuple[int, ...]
    reordered: bool
    computed: int

    @property
    def count(self) -> int:
        return sum(self.sizes)

    @property
    def is_resident(self) -> bool:
        """Whether the features fit in memory."""
        return self.count * len(self.keys) * self.features.feature_bytes <= RESIDENT_BYTES


def store_features(
    samples: Samples,
    features: ArrayFeatures,
    renderer: Renderer | None,
    views: int,
    advance: Callable[[int], None],
) -> Stored:
    """See to it that the store has the features of all samples, reading them once.

    Args:
        samples: what to read.
        features: of what kind.
        renderer: what lies between the samples and the features' network; None if nothing does.
        views: how many renderings of each sample; 0 for the plain one alone.
        advance: called with the number of samples done since the last call.

    Raises:
        Unstorable: another reading gives other samples, or they differ in shape.
        DataError: there are no samples, or one holds what isn't a number.
    """
    if isinstance(samples, ImageData) and renderer is None:
        return _of_files(samples, features, views, advance)
    reading = _Reading(features, renderer, views)
    computed = features.compute(reading.missing(samples.batches(), advance))
    if not reading.sizes:
        raise DataError("there are no samples", "give at least one batch")
    reordered = samples.may_change and _is_reordered(samples, reading.digests)
    y, weights = (_joined(parts) for parts in (reading.y, reading.weights))
    return Stored(features, reading.keys, y, weights, tuple(reading.sizes), reordered, computed)


def _of_files(data: ImageData, features: ArrayFeatures, views: int, advance: Callable[[int], None]) -> Stored:
    keys, computed = data.find_features(features, views, advance)
    sizes = batch_sizes(data.count, data.batch_size)
    return Stored(features, keys, data.targets, None, sizes, reordered=False, computed=computed)


class _Reading:
    """One pass over samples, and what it found."""

    def __init__(self, features: ArrayFeatures, renderer: Renderer | None, views: int) -> None:
        self._features = features
        self._renderer = renderer
        self._numbers: list[int | None] = list(range(views)) if views else [None]
        self.keys: tuple[list[bytes], ...] = tuple([] for _ in self._numbers)
        self._shape: tuple[int, ...] = ()
        self._asked_for: set[bytes] = set()
        self.digests: list[bytes] = []
        self.y: list[np.ndarray | None] = []
        self.weights: list[np.ndarray | None] = []
        self.sizes: list[int] = []

    def missing(self, batches: Iterator[Batch], advance: Callable[[int], None]) -> Iterator[tuple[bytes, np.ndarray]]:
        """The inputs whose features aren't stored, each with its key."""
        for batch in batches:
            self._check_shape(batch.x)
            yield from self._missing_of(batch.x)
            self.y.append(batch.y)
            self.weights.append(batch.weights)
            self.sizes.append(len(batch.x))
            advance(len(batch.x))

    def _missing_of(self, rows: np.ndarray) -> Iterator[tuple[bytes, np.ndarray]]:
        digests, start = [digest_of(row) for row in rows], len(self.digests)
        self.digests += digests
        for number, keys in zip(self._numbers, self.keys, strict=True):
            wanted = [self._features.key(digest, self._view(number)) for digest in digests]
            keys += wanted
            absent = set(self._features.store.missing(wanted)) - self._asked_for
            for place, (row, digest, key) in enumerate(zip(rows, digests, wanted, strict=True), start):
                if key in absent:
                    _check_finite(row, place)  # what is stored already was, when it was computed
                    absent.discard(key)
                    self._asked_for.add(key)
                    yield key, self._input(row, digest, number)

    def _view(self, number: int | None) -> str:
        if self._renderer is None or number is None:
            return "plain" if self._renderer is None else f"plain {self._renderer.identity}"
        return f"{number} {self._renderer.identity}"

    def _input(self, row: np.ndarray, digest: bytes, number: int | None) -> np.ndarray:
        if self._renderer is None:
            return row
        return self._renderer.plain(row[None])[0] if number is None else self._renderer.render(row, digest, number)

    def _check_shape(self, rows: np.ndarray) -> None:
        self._shape = self._shape or rows.shape[1:]
        if rows.shape[1:] != self._shape:
            raise Unstorable(f"samples differ in shape: {self._shape} and {rows.shape[1:]}")


def _check_finite(row: np.ndarray, place: int) -> None:
    if row.dtype.kind == "f" and not np.isfinite(row).all():
        raise DataError(f"x[{place}] holds NaN or infinity", "remove such samples, or replace these values")


def _is_reordered(samples: Samples, digests: list[bytes]) -> bool:
    """Whether the first batches of another reading come in another order.

    Raises:
        Unstorable: they hold a sample that the first reading didn't.
    """
    again = [digest_of(row) for batch in islice(samples.batches(), PROBED_BATCHES) for row in batch.x]
    if not set(again) <= set(digests):
        raise Unstorable(
            "the dataset gives other samples each time it is read; augment with layers at the model's front, or with "
            "augment=, and say views=8"
        )
    return again != digests[: len(again)]


def _joined(parts: list[np.ndarray | None]) -> np.ndarray | None:
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if present else None


def training_data(stored: Stored, shuffle: Shuffle, batch_size: int | None, first_epoch: int = 0) -> dict[str, Any]:
    """The arguments of `keras.Model.fit` or `evaluate` that say what to train on.

    Args:
        stored: the samples.
        shuffle: how they are shuffled between epochs.
        batch_size: as asked for with arrays; None for batches as they came.
        first_epoch: the number of the first epoch, from 0 on.
    """
    size = batch_size or stored.sizes[0]
    if stored.is_resident and len(stored.keys) == 1 and (batch_size or _is_even(stored.sizes)):
        x = stored.features.load(stored.keys[0])
        found = {"x": x, "y": stored.y, "sample_weight": stored.weights, "batch_size": size, "shuffle": shuffle}
        return {name: value for name, value in found.items() if value is not None}
    sizes = batch_sizes(stored.count, batch_size) if batch_size else stored.sizes
    # keras.utils.set_random_seed sets NumPy's global generator.
    seed = int(np.random.randint(2**31))  # noqa: NPY002
    return {"x": feature_batches(stored, shuffle, sizes, seed, first_epoch), "shuffle": False}


def _is_even(sizes: tuple[int, ...]) -> bool:
    """Whether all batches but the last are of one size, and the last isn't larger."""
    return len(set(sizes[:-1])) <= 1 and sizes[-1] <= sizes[0]


def batch_sizes(count: int, batch_size: int) -> tuple[int, ...]:
    """Of batches that hold so many samples in all; the last may be smaller."""
    return tuple(min(batch_size, count - start) for start in range(0, count, batch_size))


def feature_batches(
    stored: Stored,
    shuffle: Shuffle,
    sizes: tuple[int, ...],
    seed: int,
    first_epoch: int = 0,
    draw: Callable[[np.random.Generator], np.ndarray] | None = None,
) -> keras.utils.PyDataset:
    """Stored features as Keras trains on them; each epoch draws an order and, of each sample, one view.

    Args:
        stored: the samples.
        shuffle: True for samples, "batch" for batches in another order each epoch.
        sizes: of the batches.
        seed: with an epoch's number, all that its draws depend on.
        first_epoch: the number of the first epoch, from 0 on.
        draw: the rows of an epoch in their order, as many as there are samples, in place of `shuffle`; a row that is
            drawn again comes in a view of its own.
    """
    import keras

    class FeatureBatches(keras.utils.PyDataset):
        """Batches of stored features; each epoch draws one view a sample."""

        def __init__(self) -> None:
            super().__init__()
            self._load = _loader(stored)
            self._start(first_epoch)

        def _start(self, epoch: int) -> None:
            rng = np.random.default_rng([seed, epoch])
            self._epoch = epoch
            views = rng.integers(0, len(stored.keys), stored.count)
            if draw is None:
                self._rows = _order(rng, shuffle, sizes)
                self._views = [views[rows] for rows in self._rows]
            else:
                self._rows, self._views = _in_batches(draw(rng), sizes), _in_batches(views, sizes)

        def __len__(self) -> int:
            return len(self._rows)

        def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
            rows = self._rows[number]
            targets = [part[rows] for part in (stored.y, stored.weights) if part is not None]
            return (self._load(rows, self._views[number]), *targets)

        def on_epoch_end(self) -> None:
            self._start(self._epoch + 1)

    return FeatureBatches()


def _order(rng: np.random.Generator, shuffle: Shuffle, sizes: tuple[int, ...]) -> list[np.ndarray]:
    """The rows of each batch of an epoch."""
    count = sum(sizes)
    batches = _in_batches(rng.permutation(count) if shuffle is True else np.arange(count), sizes)
    return [batches[number] for number in rng.permutation(len(batches))] if shuffle == "batch" else batches


def _in_batches(samples: np.ndarray, sizes: tuple[int, ...]) -> list[np.ndarray]:
    return [samples[start:end] for start, end in pairwise([0, *accumulate(sizes)])]


def _loader(stored: Stored) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function of rows and their views to features, which reads from memory where they fit."""
    if stored.is_resident:
        resident = stored.features.load([key for keys in stored.keys for key in keys])
        return lambda rows, views: resident[views * stored.count + rows]
    return lambda rows, views: stored.features.load(
        [stored.keys[view][row] for row, view in zip(rows, views, strict=True)]
    )
