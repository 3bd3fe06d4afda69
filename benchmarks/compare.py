"""What `headstart compare` says of solar cells in a quarter of an hour, and where transfer learning cannot help.

    python benchmarks/compare.py

- cells: the ELPV solar cells, defective against functional, divided as in `elpv.py`, with `--time 15m`.
- noise: the same images with their labels shuffled, so that nothing can be learned, with `--time 6m`.
- textures: 1,200 squares of random smooth texture whose class has nothing to do with them, with `--time 4m`.

Each is a process of its own with an empty store. Expect all four ways at all five fractions for the cells, or the list
of those that there was no time for; "nothing learned" for noise and textures; and every command to end within 110 % of
its time. 25 minutes on a machine that does nothing else. With `--tasks`, those of the result that aren't named stay.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from elpv import headstart, lay_out, timed
from never_worse import small_images
from recording import record, recorded
from scipy.ndimage import gaussian_filter

SIDE, IMAGES = 96, 1200


def main() -> None:
    """Runs every task and records what is said of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", nargs="*", choices=list(TASKS), default=list(TASKS))
    chosen = parser.parse_args()
    rows = {row["task"]: row for row in recorded("compare", "tasks")}
    for task in chosen.tasks:
        with tempfile.TemporaryDirectory(prefix="headstart-compare-") as made:
            rows[task] = measure(Path(made), task)
        ordered = [rows[name] for name in TASKS if name in rows]
        record("compare", {"command": "python benchmarks/compare.py", "tasks": ordered})


def measure(folder: Path, task: str) -> dict[str, Any]:
    """What is said of one task."""
    lay, time = TASKS[task]
    found, seconds = timed(partial(compare, lay(folder / "data", 0), folder, time))
    kept = ("verdict", "headline", "sentences", "caveat", "image_size", "images", "guessing", "helped")
    return {
        "task": task,
        "time": time,
        "seconds": round(seconds, 1),
        **{name: found[name] for name in kept},
        "steps": next(choice["value"] for choice in found["choices"] if choice["what"] == "steps"),
        "points": [{**point, "seeds": len(point["seeds"])} for point in found["points"]],
        "unfinished": [f"{point['way']} {point['fraction']:g}" for point in found["points"] if not point["finished"]],
    }


def compare(data: Path, folder: Path, time: str) -> dict[str, Any]:
    """`headstart compare` in a process of its own, with an empty store."""
    places = str(data), "--cache", str(folder / "cache"), "--out", str(folder / "comparison")
    return headstart("compare", *places, "--time", time)


def shuffled_cells(root: Path, seed: int) -> Path:
    """The solar cells, with the labels of either part shuffled."""
    cells = lay_out(root.with_name("cells"), seed)
    rng = np.random.default_rng(seed)
    for part in ("train", "test"):
        links = sorted((cells / part).glob("*/*"))
        labels = [link.parent.name for link in links]
        for link, label in zip(links, rng.permutation(labels), strict=True):
            (root / part / label).mkdir(parents=True, exist_ok=True)
            (root / part / label / link.name).symlink_to(link.readlink())
    return root


def textures() -> tuple[np.ndarray, np.ndarray]:
    """Smooth noise in colour, of random scale; classes by the toss of a coin."""
    rng = np.random.default_rng(0)
    images = [one_texture(rng) for _ in range(IMAGES)]
    return np.stack(images), rng.integers(0, 2, IMAGES)


def one_texture(rng: np.random.Generator) -> np.ndarray:
    """Shape (side, side, 3), uint8."""
    noise = gaussian_filter(rng.normal(size=(SIDE, SIDE, 3)), (*rng.uniform(0.5, 6, 2), 0))
    return np.clip(128 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)


TASKS: dict[str, tuple[Callable[[Path, int], Path], str]] = {
    "cells": (lay_out, "15m"),
    "noise": (shuffled_cells, "6m"),
    "textures": (small_images(textures), "4m"),
}


if __name__ == "__main__":
    main()
