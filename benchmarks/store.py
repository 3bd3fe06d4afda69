"""The store against LMDB, the usual choice for many small values.

    python benchmarks/store.py

Values of 19 kB, the features of an image at EfficientNet-Lite0's block 14 in float16; written in transactions of 256,
read at random in batches of 32. The resident set is what reading them all adds to it.

Expect LMDB to write about three times and to read about five times as many values a second. Either is far
faster than the engine that makes them, so that what decides is the rest: SQLite takes no size beforehand, reports a
full disk as an ordinary error, and its pages don't count as memory of the process that reads them.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from pathlib import Path

import lmdb
import numpy as np
import psutil
from recording import record, spread

from headstart.features.store import WRITE_BATCH, Store

VALUES = 20_000
READS = 20_000
READ_BATCH = 32
REPEATS = 3


def main() -> None:
    """Measures both in turn and records them."""
    keys = [hashlib.sha256(str(number).encode()).digest() for number in range(VALUES)]
    value = np.random.default_rng(0).random((7, 7, 192)).astype(np.float16)
    with tempfile.TemporaryDirectory(prefix="headstart-store-") as made:
        sides = {"headstart": [], "lmdb": []}
        for repeat in range(REPEATS):
            sides["headstart"].append(measure_store(Path(made, f"store-{repeat}"), keys, value))
            sides["lmdb"].append(measure_lmdb(Path(made, f"lmdb-{repeat}"), keys, value))
    figures = {
        side: {figure: spread([turn[figure] for turn in turns]) for figure in turns[0]} for side, turns in sides.items()
    }
    record(
        "store", {"command": "python benchmarks/store.py", "values": VALUES, "bytes_a_value": value.nbytes, **figures}
    )


def measure_store(folder: Path, keys: list[bytes], value: np.ndarray) -> dict[str, float]:
    """Writes and reads through the store."""
    with Store(folder) as store:
        start = time.perf_counter()
        for key in keys:
            store.put(key, value)
        store.flush()
        written = time.perf_counter() - start
    with Store(folder) as store:
        before = resident_mb()
        start = time.perf_counter()
        for batch in batches(keys):
            store.get(batch)
        return rates(written, time.perf_counter() - start, resident_mb() - before)


def measure_lmdb(folder: Path, keys: list[bytes], value: np.ndarray) -> dict[str, float]:
    """Writes and reads through LMDB, copying each value out as the store does."""
    with lmdb.open(str(folder), map_size=VALUES * value.nbytes * 4) as database:
        start = time.perf_counter()
        raw = value.tobytes()
        for first in range(0, len(keys), WRITE_BATCH):
            with database.begin(write=True) as transaction:
                for key in keys[first : first + WRITE_BATCH]:
                    transaction.put(key, raw)
        written = time.perf_counter() - start
    with lmdb.open(str(folder), map_size=VALUES * value.nbytes * 4) as database:
        before = resident_mb()
        start = time.perf_counter()
        for batch in batches(keys):
            with database.begin() as transaction:
                for key in batch:
                    np.frombuffer(transaction.get(key), value.dtype).copy()
        return rates(written, time.perf_counter() - start, resident_mb() - before)


def batches(keys: list[bytes]) -> list[list[bytes]]:
    """Random batches of keys, the same for both sides."""
    order = np.random.default_rng(1).integers(0, len(keys), (READS // READ_BATCH, READ_BATCH))
    return [[keys[number] for number in batch] for batch in order]


def rates(written: float, read: float, resident: float) -> dict[str, float]:
    """The figures of one side in one turn."""
    return {"writes_per_second": VALUES / written, "reads_per_second": READS / read, "resident_mb_added": resident}


def resident_mb() -> float:
    """Memory that the operating system counts as this process's."""
    return psutil.Process().memory_info().rss / 1e6


if __name__ == "__main__":
    main()
