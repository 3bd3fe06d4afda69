"""What adding one image in twenty to a data set costs and moves, on the ELPV solar cells.

    python benchmarks/growing.py

Each seed takes 95 % of the 2,624 images, trains a probe on them from an empty store, adds the rest, and trains on all:
once beside the earlier run (`--compare-to`), and once without it. Counted are the old images that changed sides, which
may happen without the earlier run alone, where a new image is the near-duplicate of an old one; and how long features
took. Expect none beside the earlier run and 0.4 on average without it, 131 features computed for 131 new images, and
features in a fifteenth of the time that the 2,493 took. Nine minutes on two cores.
"""

from __future__ import annotations

import csv
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from elpv import lay_out, timed, train
from recording import record, spread

SEEDS = (0, 1, 2, 3, 4)
NEW_SHARE = 0.05


def main() -> None:
    """Measures every seed and records what it comes to."""
    rows = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory(prefix="headstart-growing-") as made:
            rows.append({"seed": seed, **measure(Path(made), seed)})
            print(rows[-1], flush=True)
    names = [name for name in rows[0] if name != "seed"]
    spreads = {name: spread([row[name] for row in rows]) for name in names}
    record("growing", {"command": "python benchmarks/growing.py", **spreads})


def measure(folder: Path, seed: int) -> dict[str, Any]:
    """One division into old and new images."""
    data, new = set_aside(folder, seed)
    first, cold = timed(partial(train, data, folder / "first", folder / "cache", seed, "--no-finetune"))
    for held_back, place in new:
        held_back.rename(place)
    options = ("--no-finetune", "--compare-to", str(folder / "first"))
    beside, seconds = timed(partial(train, data, folder / "beside", folder / "cache", seed, *options))
    train(data, folder / "alone", folder / "cache", seed, "--no-finetune")
    return {
        "old_images": first["features"]["computed"],
        "new_images": beside["earlier"]["images"]["new"],
        "moved_beside_the_earlier_run": moved(folder / "first", folder / "beside"),
        "moved_without_it": moved(folder / "first", folder / "alone"),
        "features_computed": beside["features"]["computed"],
        "feature_seconds_at_first": first["seconds"]["features"],
        "feature_seconds_of_the_new": beside["seconds"]["features"],
        "seconds_at_first": round(cold, 1),
        "seconds_with_the_new": round(seconds, 1),
    }


def set_aside(folder: Path, seed: int) -> tuple[Path, list[tuple[Path, Path]]]:
    """The solar cells in two folders without those that are to come, and where each of these belongs."""
    divided, data = lay_out(folder / "divided", seed), folder / "data"
    files = sorted(divided.rglob("*.png"))
    late = set(np.random.default_rng(seed).permutation(len(files))[: round(NEW_SHARE * len(files))].tolist())
    new = []
    for number, file in enumerate(files):
        place = data / file.parent.name / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        if number in late:
            new.append((file, place))
        else:
            file.rename(place)
    return data, new


def moved(before: Path, after: Path) -> int:
    """How many images of one run are in another part in a later one."""
    first, second = (parts_of(run) for run in (before, after))
    return sum(second[digest] != part for digest, part in first.items())


def parts_of(run: Path) -> dict[str, str]:
    """The part of each image, by the sha256 of the file."""
    with (run / "split.csv").open(encoding="utf-8", newline="") as file:
        return {row["sha256"]: row["part"] for row in csv.DictReader(file)}


if __name__ == "__main__":
    main()
