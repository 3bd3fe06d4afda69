"""Work on several things side by side, each on a core of its own, so that none waits for another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What the work comes to for each item, in order, with as many at a time as there are cores.

    Each thread that works is pinned to a core, and the processes that it starts inherit that.
    """
    cores = sorted(os.sched_getaffinity(0))
    free: Queue[int] = Queue()
    for core in cores:
        free.put(core)
    with ThreadPoolExecutor(len(cores), initializer=lambda: os.sched_setaffinity(0, [free.get()])) as pool:
        return list(pool.map(work, items))
