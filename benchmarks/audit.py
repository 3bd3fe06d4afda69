"""What the audit finds of trouble that was planted among the ELPV solar cells, and how long it takes.

    python benchmarks/audit.py

Each seed plants, among the 2,624 images in two folders (defective, functional): 30 copies of files; 30 near-copies, in
turn saved again as JPEG, made smaller by a third, cut by 1 to 4 % at each side, and made brighter or darker by a fifth;
40 images under the other label; and 10 foreign photographs, which scikit-image ships. It then audits from an empty
store and once more, writes the cleaned table, divides it as `train` does, and counts the groups that a split tears.

Expect all exact copies, 29 of the near-copies on average (27 to 30), 20 of the 40 flipped labels among the first 80
suspects (16 to 24), all photographs with 7 other images, and 1.4 % of the clean images called near-duplicates (the
solar cells hold some: cells that were photographed twice); 46 s from an empty store and 3.5 s once more. Six minutes
on two cores. The near-copies that are missed are very dark cells, whose few grey values rounding changes, and cells
that were made brighter until white.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance
from recording import record, spread

from headstart.data.source import read_source
from headstart.data.split import split

SEEDS = (0, 1, 2, 3, 4)
COPIES, NEAR_COPIES, FLIPPED, FIRST_SUSPECTS = 30, 30, 40, 80
FOREIGN = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)


def main() -> None:
    """Audits each seed's data and records what was found."""
    rows = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory(prefix="headstart-audit-") as made:
            rows.append(measure(Path(made), seed))
    names = [name for name in rows[0] if name != "seed"]
    record(
        "audit",
        {
            "command": "python benchmarks/audit.py",
            "planted": {"copies": COPIES, "near_copies": NEAR_COPIES, "flipped": FLIPPED, "foreign": len(FOREIGN)},
            **{name: spread([row[name] for row in rows]) for name in names},
        },
    )


def measure(folder: Path, seed: int) -> dict[str, Any]:
    """Plant trouble, audit twice, and count what was found."""
    planted = plant(folder / "cells", seed)
    found, cold = audit(folder, "cold", "--fix", str(folder / "clean.csv"))
    _, warm = audit(folder, "warm")
    findings = {finding["key"]: finding for finding in found["findings"]}
    near = linked(findings["near-duplicates"])
    pairs = planted["near"]
    suspects = [item["files"][0] for item in findings["label-suspects"]["items"][:FIRST_SUSPECTS]]
    odd = [item["files"][0] for item in findings["odd-ones"]["items"]]
    called = {file for group in near for file in group} - {file for pair in pairs for file in pair}
    return {
        "seed": seed,
        "copies_found": sum(together(linked(findings["exact-duplicates"]), *pair) for pair in planted["copies"]),
        "near_copies_found": sum(together(near, *pair) for pair in pairs),
        "clean_called_near": round(len(called) / found["images"], 4),
        "flipped_found": len(set(suspects) & planted["flipped"]),
        "foreign_found": len(set(odd) & planted["foreign"]),
        "others_called_odd": len(set(odd) - planted["foreign"]),
        "pairs_torn": torn(folder / "clean.csv", near, seed),
        "seconds_cold": round(cold, 1),
        "seconds_warm": round(warm, 1),
    }


def plant(root: Path, seed: int) -> dict[str, Any]:
    """The solar cells in class folders with what is planted; names below the root of what that is."""
    source = Path(next(iter(find_spec("elpv_dataset").submodule_search_locations)), "data")
    lines = [line.split() for line in (source / "labels.csv").read_text(encoding="utf-8").splitlines()]
    classes = ("functional", "defective")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lines))
    flipped, copied, near = np.split(order[: FLIPPED + COPIES + NEAR_COPIES], [FLIPPED, FLIPPED + COPIES])
    names = []
    for place, (name, grade, _) in enumerate(lines):
        label = classes[int(float(grade) > 0.5) ^ int(place in set(flipped.tolist()))]
        (root / label).mkdir(parents=True, exist_ok=True)
        (root / label / Path(name).name).symlink_to(source / name)
        names.append(f"{label}/{Path(name).name}")
    pairs: dict[str, list[tuple[str, str]]] = {"copies": [], "near": []}
    for place in copied:
        again = names[place].replace(".png", "-again.png")
        (root / again).write_bytes((root / names[place]).read_bytes())
        pairs["copies"].append((names[place], again))
    for number, place in enumerate(near):
        again = names[place].replace(".png", "-other.img")
        save_altered(root / names[place], root / again, number, rng)
        pairs["near"].append((names[place], again))
    folder = Path(next(iter(find_spec("skimage").submodule_search_locations)), "data")
    foreign = [f"{classes[number % 2]}/{name}" for number, name in enumerate(FOREIGN)]
    for name in foreign:
        (root / name).symlink_to(folder / Path(name).name)
    return {**pairs, "flipped": {names[place] for place in flipped}, "foreign": set(foreign)}


def save_altered(original: Path, altered: Path, number: int, rng: np.random.Generator) -> None:
    """A picture saved in another way: as JPEG, smaller, cut, or brighter or darker."""
    image = Image.open(original).convert("L")
    width, height = image.size
    if number % 4 == 0:
        image.save(altered, "JPEG", quality=75)
        return
    if number % 4 == 1:
        image = image.resize((width * 2 // 3, height * 2 // 3), Image.Resampling.BICUBIC)
    elif number % 4 == 2:
        left, top, right, bottom = rng.uniform(0.01, 0.04, 4)
        image = image.crop((int(left * width), int(top * height), int((1 - right) * width), int((1 - bottom) * height)))
    else:
        image = ImageEnhance.Brightness(image).enhance(0.8 if number % 8 == 3 else 1.2)
    image.save(altered, "PNG")


def audit(folder: Path, name: str, *options: str) -> tuple[dict[str, Any], float]:
    """One audit in a process of its own, and its seconds."""
    command = [sys.executable, "-c", "from headstart.cli import main; main()", "audit", str(folder / "cells")]
    command += ["--out", str(folder / name), "--cache", str(folder / "cache"), *options]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    return json.loads((folder / name / "audit.json").read_text(encoding="utf-8")), seconds


def linked(finding: dict[str, Any]) -> list[set[str]]:
    """The groups of files that a finding is about."""
    return [set(item["files"]) for item in finding["items"]]


def together(groups: list[set[str]], one: str, other: str) -> bool:
    """Whether two files are in one group."""
    return any({one, other} <= group for group in groups)


def torn(table: Path, near: list[set[str]], seed: int) -> int:
    """How many groups of near-duplicates a split of the cleaned table has on several sides."""
    dataset = read_source(table)
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    parts = split(dataset.samples, [row["image"] for row in rows], seed, dataset.task, dataset.origin).parts
    # A label's folder and a file's name, as the audit names it.
    part_of = {"/".join(sample.file.parts[-2:]): part for sample, part in zip(dataset.samples, parts, strict=True)}
    return sum(len({part_of[file] for file in group if file in part_of}) > 1 for group in near)


if __name__ == "__main__":
    main()
