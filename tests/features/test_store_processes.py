"""Several processes over one store, and processes that are killed."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from headstart.features.store import WRITE_BATCH, Store

# Opens a store, and puts and reads values of its own: arguments are the folder, the process's number, the number of
# values, the budget, and when to start.
WORKER = """
import sys, time
from pathlib import Path
import numpy as np
from headstart.features.store import Store

folder, me, count, budget, start = Path(sys.argv[1]), *(int(text) for text in sys.argv[2:5]), float(sys.argv[5])
key = lambda number: bytes([me]) + number.to_bytes(31, "big")
time.sleep(max(0, start - time.time()))
with Store(folder, budget) as store:
    for number in range(count):
        store.put(key(number), np.full(2500, me * number, np.float32))
        if number % 100 == 99:
            store.flush()
            for some, array in enumerate(store.get([key(some) for some in range(number)])):
                assert array is None or (array == me * some).all()
"""

# Writes for ever.
WRITER = """
import sys
from pathlib import Path
import numpy as np
from headstart.features.store import Store

with Store(Path(sys.argv[1]), 10**9) as store:
    for number in range(10**9):
        store.put(number.to_bytes(32, "big"), np.full(5000, number, np.float32))
        if number == 300:
            print("under way", flush=True)
"""


def run_at_once(folder: Path, *, processes: int, values: int, budget: int) -> None:
    start = str(time.time() + 1.5)
    commands = [
        [sys.executable, "-c", WORKER, str(folder), str(number), str(values), str(budget), start]
        for number in range(1, processes + 1)
    ]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in running]
    assert ended == [("", 0)] * processes


def test_processes_that_write_at_once_lose_nothing(cache_dir: Path) -> None:
    run_at_once(cache_dir, processes=4, values=500, budget=10**9)
    with Store(cache_dir) as store:
        assert store.info().values == 4 * 500
        for me in (1, 2, 3, 4):
            found = store.get([bytes([me]) + number.to_bytes(31, "big") for number in range(500)])
            assert [int(array[0]) for array in found if array is not None] == [me * number for number in range(500)]


def test_processes_that_write_at_once_can_make_room_at_once(cache_dir: Path) -> None:
    budget = 2_000_000
    run_at_once(cache_dir, processes=3, values=1500, budget=budget)
    with Store(cache_dir) as store:
        assert 0 < store.info().values * 10_000 < budget
        assert store._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_store_that_another_process_is_just_making_is_waited_for(cache_dir: Path) -> None:
    cache_dir.mkdir(parents=True, exist_ok=True)
    maker = sqlite3.connect(cache_dir / "features.sqlite", isolation_level=None, check_same_thread=False)
    maker.execute("CREATE TABLE begun (a)")
    maker.execute("BEGIN IMMEDIATE")
    ends = threading.Timer(0.5, maker.execute, ["COMMIT"])
    ends.start()
    with Store(cache_dir) as store:
        assert not maker.in_transaction
        assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    ends.join()
    maker.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send SIGKILL")
def test_a_process_that_is_killed_while_it_writes_leaves_whole_values_only(cache_dir: Path) -> None:
    values = 0
    for attempt in range(4):
        command = [sys.executable, "-c", WRITER, str(cache_dir)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "under way\n"
            time.sleep(random.Random(attempt).uniform(0, 0.3))
            writer.kill()
        with Store(cache_dir, budget_bytes=10**9) as store:
            assert store._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            values = store.info().values
            found = store.get([number.to_bytes(32, "big") for number in range(values)])
            for number, array in enumerate(found):
                assert array is not None
                np.testing.assert_array_equal(array, np.full(5000, number, np.float32))
            store.put(b"after", np.zeros(3, np.float32))
        with Store(cache_dir) as store:
            store._connection.execute("DELETE FROM features WHERE key = ?", (b"after",))
    assert values >= WRITE_BATCH
    assert values % WRITE_BATCH == 0
