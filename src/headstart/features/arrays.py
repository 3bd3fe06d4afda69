"""Features of arrays that are already network inputs, as `hs.fit` gets them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from headstart.features.engine import Engine
from headstart.features.extract import cpu_cores, load_all
from headstart.features.store import Store

# From this size on, hashing rows in several threads is worth starting them.
THREADED_BYTES = 2**16


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
    engine: Engine[bytes]
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


def digests_of(rows: np.ndarray) -> list[bytes]:
    """The digest of each row; large ones are hashed on all cores, since hashing lets go of Python's lock."""
    if len(rows) < 2 or rows[0].nbytes < THREADED_BYTES:
        return [digest_of(row) for row in rows]
    cores = cpu_cores()
    with ThreadPoolExecutor(cores) as pool:
        parts = pool.map(lambda part: [digest_of(row) for row in part], np.array_split(rows, cores))
        return [digest for part in parts for digest in part]


def digest_of(row: np.ndarray) -> bytes:
    """The sha256 of an array: its type, its shape and its numbers."""
    digest = hashlib.sha256(f"{row.dtype.str} {row.shape}".encode())
    digest.update(np.ascontiguousarray(row).data)
    return digest.digest()
