"""From files to stored features: read, look up, decode what is missing, run it, keep it.

Reading and decoding happen in a pool of threads beside the engine, a bounded number of images ahead of it, so that
neither waits for the other and memory doesn't grow with the number of images. Pillow and OpenVINO both work outside
Python's lock.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import prod
from typing import TypeVar

import numpy as np

from headstart.errors import ImageError, StoreError
from headstart.features.engine import Engine
from headstart.features.openvino import Precision
from headstart.features.store import Store
from headstart.images.file import ImageFile, read_file
from headstart.images.spec import ImageSpec
from headstart.images.views import PLAIN, View

# Files that a thread takes at a time. Handing over each one alone takes longer than reading and looking it up.
GROUP = 8
# Of files that are looked up together, so that few large ones don't fill the memory.
LOOKED_UP_BYTES = 2**22
# Groups prepared ahead of the engine, a core: enough to ride out a slow file, and some tens of MB at most.
GROUPS_AHEAD_A_CORE = 2
# Features read from the store at a time, so that loading many never holds them twice.
LOADED_AT_ONCE = 500

_Result = TypeVar("_Result")
# The sha256 of a file, and which rendering of it.
Rendering = tuple[str, View]


@dataclass(frozen=True)
class FeatureSet:
    """Features of one kind: which network, on what input, kept where.

    Attributes:
        spec: makes the network's inputs.
        network: identity of the prefix.
        engine: runs it.
        store: keeps what comes out.
        precision: of the engine's arithmetic.
        dtype: that the store keeps; "float16" halves the space of large feature maps.
    """

    spec: ImageSpec
    network: str
    engine: Engine
    store: Store
    precision: Precision
    dtype: str

    def key(self, digest: str, view: View) -> bytes:
        """The store's key of an image's feature: the hash of everything that the feature depends on."""
        parts = (digest, view.key, self.spec.key, self.network, self.engine.identity, self.dtype)
        return hashlib.sha256("\n".join(parts).encode()).digest()

    def missing(self, images: Sequence[Rendering]) -> list[Rendering]:
        """Those whose feature the store hasn't got."""
        keys = {self.key(*image): image for image in images}
        return [keys[key] for key in self.store.missing(list(keys))]

    def keep(self, image: Rendering, output: np.ndarray) -> None:
        """Put what the engine gave for an image into the store."""
        self.store.put(self.key(*image), output.astype(self.dtype, copy=False))

    def load(self, images: Sequence[Rendering]) -> np.ndarray:
        """Stored features of images, shape (images, …).

        Raises:
            StoreError: one isn't there any more, or has been damaged.
        """
        return load_all(self.store, [self.key(digest, view) for digest, view in images])


@dataclass(frozen=True)
class WithMap(FeatureSet):
    """Features of a network's top, whose engine gives the map at a cut below as well: computing one keeps both.

    They are the features that a network without the map gives, under the same keys; where the store has one, the map
    isn't looked for.

    Attributes:
        at_cut: the kind of the maps.
        shape: of a map. The engine's output is one row, the feature first and then the map.
    """

    at_cut: FeatureSet
    shape: tuple[int, ...]

    def keep(self, image: Rendering, output: np.ndarray) -> None:
        feature, flat = np.split(output, [output.size - prod(self.shape)])
        super().keep(image, feature)
        self.at_cut.keep(image, flat.reshape(self.shape))


@dataclass(frozen=True)
class Several(FeatureSet):
    """Features of one kind whose engine gives those of other kinds as well: computing one keeps all.

    Each kind's are kept under the keys that they have by themselves. An image is missing where the store lacks any of
    its features.

    Attributes:
        others: the other kinds, each with the length of its features. The engine's output is one row, the own feature
            first and then theirs in this order.
    """

    others: tuple[tuple[FeatureSet, int], ...]

    def missing(self, images: Sequence[Rendering]) -> list[Rendering]:
        lacking = set(super().missing(images))
        for features, _ in self.others:
            lacking.update(features.missing(images))
        return [image for image in dict.fromkeys(images) if image in lacking]

    def keep(self, image: Rendering, output: np.ndarray) -> None:
        lengths = [length for _, length in self.others]
        own, *theirs = np.split(output, output.size - np.cumsum(lengths[::-1])[::-1])
        super().keep(image, own)
        for (features, _), output_of_it in zip(self.others, theirs, strict=True):
            features.keep(image, output_of_it)


def load_all(store: Store, keys: Sequence[bytes]) -> np.ndarray:
    """The values of all these keys, which have one shape and dtype; shape (keys, …).

    Raises:
        StoreError: one isn't there any more, or has been damaged.
    """
    loaded = None
    for start in range(0, len(keys), LOADED_AT_ONCE):
        some = _present(store, keys[start : start + LOADED_AT_ONCE])
        if loaded is None:
            loaded = np.empty((len(keys), *some[0].shape), some[0].dtype)
        loaded[start : start + len(some)] = some
    return np.empty(0, np.float32) if loaded is None else loaded


def _present(store: Store, keys: Sequence[bytes]) -> list[np.ndarray]:
    values = store.get(keys)
    present = [value for value in values if value is not None]
    if len(present) < len(values):
        raise StoreError(
            f"{len(values) - len(present)} features are gone from the store or damaged",
            "run the same command again: they are computed again; if it recurs, give the store more room",
        )
    return present


@dataclass
class Extraction:
    """What became of the files.

    Attributes:
        digests: the sha256 of every file that could be read.
        unreadable: the reason for every file that didn't become an image.
        computed: features that went through the engine.
        reused: features that the store had.
        decode_seconds: time that threads spent on reading and decoding, added up.
    """

    digests: dict[ImageFile, str] = field(default_factory=dict)
    unreadable: dict[ImageFile, str] = field(default_factory=dict)
    computed: int = 0
    reused: int = 0
    decode_seconds: float = 0.0


@dataclass(frozen=True)
class _Prepared:
    """A file after reading: the inputs that the engine must still see, each with what it is of."""

    file: ImageFile
    digest: str | None
    inputs: list[tuple[Rendering, np.ndarray]]
    failure: str | None
    seconds: float


def extract(
    files: Sequence[ImageFile],
    features: FeatureSet,
    views: Sequence[View] = (PLAIN,),
    advance: Callable[[int], None] = lambda count: None,
) -> Extraction:
    """See to it that the store has the features of all these files in all these views.

    Args:
        files: images. One that can't be read or decoded is reported, never replaced by something else.
        features: the kind of features.
        views: the renderings of each file.
        advance: called with the number of files done since the last call.

    Raises:
        StoreFullError: the disk has no room for them. What was computed before is kept.
    """
    result = Extraction()
    with ThreadPoolExecutor(cpu_cores(), thread_name_prefix="decode") as pool:
        prepared = _in_order(pool, lambda group: _prepare(group, features, tuple(views)), files)
        inputs = _account(prepared, result, len(views), advance)
        for image, output in features.engine.stream(inputs):
            features.keep(image, output)
    features.store.flush()
    return result


def render_all(
    files: Sequence[ImageFile], spec: ImageSpec, advance: Callable[[int], None] = lambda count: None
) -> Iterator[tuple[ImageFile, np.ndarray | str]]:
    """Each file's plain view, decoded in threads ahead of the caller; for one that can't be decoded, the reason."""
    with ThreadPoolExecutor(cpu_cores(), thread_name_prefix="decode") as pool:
        rendered = _in_order(pool, lambda group: [_render_or_reason(file, spec) for file in group], files)
        for file, array_or_reason in zip(files, rendered, strict=True):
            yield file, array_or_reason
            advance(1)


def _render_or_reason(file: ImageFile, spec: ImageSpec) -> np.ndarray | str:
    try:
        return spec.render(read_file(file))[0]
    except ImageError as error:
        return str(error)


def _prepare(group: Sequence[ImageFile], features: FeatureSet, views: tuple[View, ...]) -> list[_Prepared]:
    """Files read and looked up together, as far as they are small."""
    prepared: list[_Prepared] = []
    read: list[_Read] = []
    for number, file in enumerate(group, 1):
        read.append(_read(file))
        if number == len(group) or sum(len(found.data) for found in read) >= LOOKED_UP_BYTES:
            prepared += _look_up(read, features, views)
            read.clear()
    return prepared


def _look_up(read: Sequence[_Read], features: FeatureSet, views: tuple[View, ...]) -> list[_Prepared]:
    wanted = [[(found.digest, view) for view in views] if found.digest else [] for found in read]
    missing = set(features.missing([image for images in wanted for image in images]))
    left = [[image for image in images if image in missing] for images in wanted]
    return [_rendered(found, features.spec, images) for found, images in zip(read, left, strict=True)]


@dataclass(frozen=True)
class _Read:
    """A file's bytes and their sha256, or why there are none."""

    file: ImageFile
    data: bytes = b""
    digest: str | None = None
    failure: str | None = None
    seconds: float = 0.0


def _read(file: ImageFile) -> _Read:
    start = time.perf_counter()
    try:
        data = read_file(file)
    except ImageError as error:
        return _Read(file, failure=str(error))
    return _Read(file, data, hashlib.sha256(data).hexdigest(), seconds=time.perf_counter() - start)


def _rendered(read: _Read, spec: ImageSpec, missing: list[Rendering]) -> _Prepared:
    """A file decoded, if one of its features is missing."""
    start = time.perf_counter()
    inputs: list[tuple[Rendering, np.ndarray]] = []
    failure = read.failure
    try:
        if missing:
            inputs = list(zip(missing, spec.render(read.data, tuple(view for _, view in missing)), strict=True))
    except ImageError as error:
        failure = str(error)
    return _Prepared(read.file, read.digest, inputs, failure, read.seconds + time.perf_counter() - start)


def _account(
    prepared: Iterable[_Prepared], result: Extraction, views: int, advance: Callable[[int], None]
) -> Iterator[tuple[Rendering, np.ndarray]]:
    """Passes inputs on to the engine and keeps the books."""
    for item in prepared:
        result.decode_seconds += item.seconds
        if item.digest is not None:
            result.digests[item.file] = item.digest
        if item.failure is not None:
            result.unreadable[item.file] = item.failure
        else:
            result.computed += len(item.inputs)
            result.reused += views - len(item.inputs)
        yield from item.inputs
        advance(1)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[Sequence[ImageFile]], list[_Result]], files: Sequence[ImageFile]
) -> Iterator[_Result]:
    """Results in the order of the files, computed a bounded number ahead of whoever takes them."""
    ahead: deque[Future[list[_Result]]] = deque()
    try:
        for start in range(0, len(files), GROUP):
            ahead.append(pool.submit(work, files[start : start + GROUP]))
            if len(ahead) >= GROUPS_AHEAD_A_CORE * cpu_cores():
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()


def cpu_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
