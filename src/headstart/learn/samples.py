"""Training data in the forms that Keras takes, behind one interface: read in batches, as often as one likes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from headstart.errors import DataError

# Rows read at a time from arrays.
READ_ROWS = 32
# Batches that are read again to see whether data change between epochs.
PROBED_BATCHES = 2

Shuffle = Literal["batch"] | bool


class Unstorable(Exception):
    """Nothing can be stored; the reason, in words that complete "nothing can be stored: …"."""


@dataclass(frozen=True)
class Batch:
    """Some samples: inputs, and targets and weights where there are any, each with one row a sample."""

    x: np.ndarray
    y: np.ndarray | None
    weights: np.ndarray | None


class Samples(ABC):
    """Samples that can be read again and again."""

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """All samples, in the order of one epoch.

        Raises:
            Unstorable: they are something else than one array of numbers each.
        """

    @property
    def count(self) -> int | None:
        """How many there are, where that is known without reading them."""
        return None

    @property
    def may_change(self) -> bool:
        """Whether another reading may give other samples, or another order."""
        return True

    def shuffle(self, asked: Shuffle, *, reordered: bool) -> Shuffle:
        """How Keras would shuffle these samples between epochs.

        Args:
            asked: the shuffle argument.
            reordered: whether another reading came in another order.
        """
        return reordered


class FixedSamples(Samples):
    """Samples that are the same, in the same order, whenever they are read: Keras shuffles them as it is asked to."""

    @property
    def may_change(self) -> bool:
        return False

    def shuffle(self, asked: Shuffle, *, reordered: bool) -> Shuffle:
        return asked


@dataclass(frozen=True)
class ArraySamples(FixedSamples):
    """NumPy arrays, or what NumPy makes arrays of."""

    x: np.ndarray
    y: np.ndarray | None = None
    weights: np.ndarray | None = None

    def batches(self) -> Iterator[Batch]:
        for start in range(0, len(self.x), READ_ROWS):
            some = slice(start, start + READ_ROWS)
            yield Batch(*(None if part is None else part[some] for part in (self.x, self.y, self.weights)))  # type: ignore[arg-type]

    @property
    def count(self) -> int:
        return len(self.x)

    def split(self, share: float) -> tuple[ArraySamples, ArraySamples]:
        """All but the last samples, and the last ones: a share of all, as Keras' validation_split takes them."""
        middle = math.floor(len(self.x) * (1 - share))
        if not 0 < middle < len(self.x):
            raise DataError(
                f"validation_split={share:g} leaves {middle:,} of {len(self.x):,} samples to train on",
                "give a share between 0 and 1 that leaves some on both sides",
            )
        parts = (self.x, self.y, self.weights)
        first, last = ([None if part is None else part[some] for part in parts] for some in _around(middle))
        return ArraySamples(*first), ArraySamples(*last)  # type: ignore[arg-type]


@dataclass(frozen=True)
class DatasetSamples(Samples):
    """A tf.data.Dataset of batches, or a torch DataLoader."""

    dataset: Iterable[Any]

    def batches(self) -> Iterator[Batch]:
        return (_batch(item) for item in self.dataset)


@dataclass(frozen=True)
class PyDatasetSamples(Samples):
    """A keras.utils.PyDataset."""

    dataset: Any

    def batches(self) -> Iterator[Batch]:
        return (_batch(self.dataset[number]) for number in range(len(self.dataset)))

    def shuffle(self, asked: Shuffle, *, reordered: bool) -> Shuffle:
        return reordered or ("batch" if asked else False)


def samples_of(x: Any, y: Any = None, weights: Any = None) -> Samples:
    """The samples of an argument of `fit`.

    Raises:
        Unstorable: they can't be read twice, or aren't one array of numbers.
        DataError: their parts differ in length.
    """
    if isinstance(x, Samples):
        return x
    if _is_a(x, "tensorflow.python.data", "DatasetV2"):
        return DatasetSamples(_finite(x, int(x.cardinality()) != -1))
    if _is_a(x, "torch.utils.data", "DataLoader"):
        return DatasetSamples(x)
    if hasattr(x, "__getitem__") and _is_a(x, "keras", "PyDataset"):
        return PyDatasetSamples(_finite(x, x.num_batches is not None))
    if isinstance(x, Iterator):
        raise Unstorable("a generator can be read only once")
    return _arrays(x, y, weights)


def _finite(dataset: Any, ends: bool) -> Any:
    if not ends:
        raise Unstorable("its dataset never ends")
    return dataset


def _arrays(x: Any, y: Any, weights: Any) -> Samples:
    parts = _parts(x, y, weights)
    lengths = {
        name: len(part) for name, part in zip(("x", "y", "sample_weight"), parts, strict=True) if part is not None
    }
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
        raise DataError(f"x, y and sample_weight need one row a sample each; {found}", "give arrays of equal length")
    return ArraySamples(*parts)  # type: ignore[arg-type]


def _parts(x: Any, y: Any, weights: Any) -> list[np.ndarray | None]:
    """The parts as arrays.

    Raises:
        Unstorable: one is several arrays, or the inputs aren't numbers.
    """
    for part, name in ((x, "inputs"), (y, "targets"), (weights, "sample weights")):
        if isinstance(part, dict) or (isinstance(part, list | tuple) and any(np.ndim(one) for one in part)):
            raise Unstorable(f"there are several {name}")
    parts = [None if part is None else _as_array(part) for part in (x, y, weights)]
    if parts[0] is not None and parts[0].dtype.kind not in "biuf":
        raise Unstorable("the inputs aren't numbers")
    return parts


def _as_array(part: Any) -> np.ndarray:
    import keras

    array = keras.ops.convert_to_numpy(part) if keras.ops.is_tensor(part) else np.asarray(part)
    return array.reshape(1) if array.ndim == 0 else array


def _batch(item: Any) -> Batch:
    import keras

    item = tuple(item) if isinstance(item, list) else item
    return Batch(*_parts(*keras.utils.unpack_x_y_sample_weight(item)))  # type: ignore[arg-type]


def _is_a(value: Any, module: str, name: str) -> bool:
    """Whether a value's class, or one that it inherits from, has this name, without importing its library."""
    return any(kind.__name__ == name and kind.__module__.startswith(module) for kind in type(value).__mro__)


def _around(middle: int) -> tuple[slice, slice]:
    return slice(None, middle), slice(middle, None)
