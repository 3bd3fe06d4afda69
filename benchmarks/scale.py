"""Auditing and training on many images: seconds of each stage, and the most memory that a process took.

    python benchmarks/scale.py
    python benchmarks/scale.py --images 200000

20,000 pieces of solar cells, each half as wide as a cell or wider, cut out at random and turned by quarters, in two
folders; or 200,000 textures of 32 pixels in ten, seen in that size. Each is audited from an empty store, audited once
more, and trained on without fine-tuning, every time in a process of its own. With `--images`, the other count's rows
of the result stay.

Expect an audit of the 20,000 in 230 s from an empty store, 181 of them features, 11 s once more, and 1.5 GB at most; of
the 200,000 in ten minutes, 211 s of them features, 96 s once more, training in 209 s, and 5.2 GB at most. Half an hour
on two cores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from recording import record, recorded

CELLS, TEXTURES = 20_000, 200_000
CLASSES = 10
ENTRY = """
import json, resource, sys, time
from contextlib import contextmanager
import headstart as hs
from headstart.progress import Display

class Seconds(Display):
    def __init__(self):
        self.stages = {}
    @contextmanager
    def stage(self, title, total, unit):
        start = time.perf_counter()
        yield lambda count: None
        self.stages[title] = round(self.stages.get(title, 0) + time.perf_counter() - start, 1)
    def say(self, sentence):
        pass

what, data, out, cache, size = sys.argv[1:]
display, start = Seconds(), time.perf_counter()
settings = {"cache": cache, "image_size": int(size) or None, "display": display}
if what == "audit":
    told = {finding.key: len(finding.items) for finding in hs.audit(data, **settings).findings}
else:
    told = {"accuracy": round(hs.train(data, out, finetune=False, **settings).metrics["test"]["accuracy"], 4)}
seconds = round(time.perf_counter() - start, 1)
peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
print(json.dumps({"seconds": seconds, "peak_mb": peak, "stages": display.stages, "found": told}))
"""


def main() -> None:
    """Measures one count, or both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, nargs="*", choices=(CELLS, TEXTURES), default=[CELLS, TEXTURES])
    chosen = parser.parse_args()
    rows = {row["images"]: row for row in recorded("scale", "runs")}
    for count in chosen.images:
        with tempfile.TemporaryDirectory(prefix="headstart-scale-") as made:
            rows[count] = measure(Path(made), count)
        runs = sorted(rows.values(), key=lambda row: row["images"])
        record("scale", {"command": "python benchmarks/scale.py", "runs": runs})


def measure(folder: Path, count: int) -> dict[str, Any]:
    """One count, step by step."""
    data, size = folder / "images", 0 if count == CELLS else 32
    (cut_cells if count == CELLS else draw_textures)(data, count)
    row: dict[str, Any] = {"images": count}
    for step, what in (("audit_cold", "audit"), ("audit_warm", "audit"), ("train", "train")):
        command = [sys.executable, "-c", ENTRY, what, str(data), str(folder / "run"), str(folder / "cache"), str(size)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        row[step] = json.loads(done.stdout.splitlines()[-1])
        print(step, row[step], file=sys.stderr, flush=True)
    return row


def cut_cells(root: Path, count: int) -> None:
    """Pieces of the solar cells, in folders by what the cells are."""
    source = Path(next(iter(find_spec("elpv_dataset").submodule_search_locations)), "data")
    lines = [line.split() for line in (source / "labels.csv").read_text(encoding="utf-8").splitlines()]
    rng = np.random.default_rng(0)
    for number in range(count):
        name, grade, _ = lines[number % len(lines)]
        folder = root / ("defective" if float(grade) > 0.5 else "functional")
        folder.mkdir(parents=True, exist_ok=True)
        with Image.open(source / name) as cell:
            side = int(rng.uniform(0.5, 0.8) * cell.width)
            left, top = rng.integers(0, cell.width - side, 2)
            piece = cell.crop((left, top, left + side, top + side)).rotate(90 * int(rng.integers(4)))
        piece.save(folder / f"{number:06}.png", compress_level=1)


def draw_textures(root: Path, count: int) -> None:
    """Coarse noise in a hue, which the class sets."""
    rng = np.random.default_rng(0)
    for number in range(count):
        label = number % CLASSES
        folder = root / f"class-{label}"
        folder.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 160, (8, 8, 3)).astype(np.float32)
        coarse += 80 * np.cos(2 * np.pi * (label / CLASSES + np.arange(3) / 3))
        texture = Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8)).resize((32, 32), Image.Resampling.BICUBIC)
        texture.save(folder / f"{number:06}.png", compress_level=1)


if __name__ == "__main__":
    main()
