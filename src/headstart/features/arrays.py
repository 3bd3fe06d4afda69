"""Features of arrays that are already network inputs, as `hs.fit` gets them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import xxhash

from headstart.features.engine import Engine
from headstart.features.extract import load_all
from headstart.features.store import Store


@dataclass(frozen=True)
class ArrayFeatures:
    """Features of one network.

    Attributes:
        network: its fingerprint.
        engine: runs it.
        store: keeps what comes out.
        shape: of one feature.
    """

    network: str
    engine: Engine
    store: Store
    shape: tuple[int, ...]

    def key(self, digest: bytes, view: str) -> bytes:
        """The store's key: the hash of everything that the feature depends on."""
        parts = (digest.hex(), view, self.network, self.engine.identity)
        return hashlib.sha256("\n".join(parts).encode()).digest()

    def compute(self, inputs: Iterable[tuple[bytes, np.ndarray]]) -> int:
        """Run inputs, each with its key, and keep what comes out; how many there were."""
        count = 0
        for key, feature in self.engine.stream(inputs):
            self.store.put(key, feature)
            count += 1
        self.store.flush()
        return count

    def load(self, keys: Sequence[bytes]) -> np.ndarray:
        """Stored features, float32, shape (keys, …).

        Raises:
            StoreError: one isn't there any more, or has been damaged.
        """
        return load_all(self.store, keys)

    @property
    def feature_bytes(self) -> int:
        """Bytes of one feature."""
        return int(np.prod(self.shape, dtype=np.int64)) * 4


def digest_of(row: np.ndarray) -> bytes:
    """A hash of an array: its type, its shape and its numbers.

    XXH3 (128 bits) reads memory as fast as it comes, where SHA-256 takes ten times as long: looking up 1,000 images of
    a first run would take a good part of the time that running a small network on them does. It isn't made to withstand
    somebody who constructs two arrays with one hash; they would only mislead a model about their own arrays.
    """
    digest = xxhash.xxh3_128(f"{row.dtype.str} {row.shape}".encode())
    digest.update(np.ascontiguousarray(row).data)
    return digest.digest()
