"""Peak memory of `headstart train` against the number of images.

    python benchmarks/memory.py

Synthetic 256-pixel JPEGs, EfficientNet-Lite0, `headstart train` with everything that it does by default, in a process
of its own whose largest resident set the operating system reports. Expect 1.2 to 1.4 GB, most of it TensorFlow, rising
by some 5 kB an image for the pooled features that the probe is fitted to. Those at the cut are held in memory up to
half a gigabyte, and read from the store beyond.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from recording import record

COUNTS = (2_500, 20_000)
CLASSES = 4
ENTRY = """
import resource, sys
from headstart.cli import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def main() -> None:
    """Measures every count, features computed anew."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="headstart-memory-") as made:
        folder = Path(made)
        for count in COUNTS:
            make_photos(folder / f"{count}", count)
            rows.append(measure(folder, count))
            print(rows[-1], file=sys.stderr)
    record("memory", {"command": "python benchmarks/memory.py", "runs": rows})


def measure(folder: Path, count: int) -> dict[str, int]:
    """Peak memory of one training run."""
    command = [sys.executable, "-c", ENTRY, "train", str(folder / f"{count}"), "--out", str(folder / f"run-{count}")]
    done = subprocess.run(
        [*command, "--cache", str(folder / f"cache-{count}"), "--json"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    return {"images": count, "peak_mb": round(int(done.stderr.split()[-1]) / 1000)}


def make_photos(root: Path, count: int) -> None:
    """Images of coloured noise; the class sets the hue."""
    rng = np.random.default_rng(0)
    for number in range(count):
        label = number % CLASSES
        folder = root / f"class-{label}"
        folder.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 160, (8, 8, 3), dtype=np.uint8)
        coarse[..., label % 3] += np.uint8(60 + 30 * (label // 3))
        Image.fromarray(coarse).resize((256, 256)).save(folder / f"{number}.jpg")


if __name__ == "__main__":
    main()
