"""How long one prediction takes from a cold start, and `import headstart`.

    python benchmarks/predict_start.py

Wall time of whole processes. Expect 0.6 to 1.1 s for `headstart predict` of one image with EfficientNet-Lite0 on two
cores, and 0.01 to 0.05 s for `import headstart` beyond starting Python.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from recording import record, spread

REPEATS = 11
ENTRY = "from headstart.cli import main; main()"


def main() -> None:
    """Trains a small run, then times processes that use it."""
    with tempfile.TemporaryDirectory(prefix="headstart-start-") as made:
        folder = Path(made)
        make_photos(folder / "photos")
        train = ["train", str(folder / "photos"), "--out", str(folder / "run"), "--cache", str(folder / "cache")]
        subprocess.run([sys.executable, "-c", ENTRY, *train, "--no-finetune"], check=True, stdout=subprocess.DEVNULL)
        image = next((folder / "photos" / "a").iterdir())
        predict = seconds_of([sys.executable, "-c", ENTRY, "predict", str(folder / "run"), str(image)])
    nothing = seconds_of([sys.executable, "-c", "pass"])
    importing = seconds_of([sys.executable, "-c", "import headstart"])
    record(
        "predict_start",
        {
            "command": "python benchmarks/predict_start.py",
            "seconds": {
                "predict_one_image": spread(predict),
                "import_headstart_with_python": spread(importing),
                "python_alone": spread(nothing),
            },
        },
    )


def seconds_of(command: list[str]) -> list[float]:
    """Wall times of a process."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return times


def make_photos(root: Path) -> None:
    """Two classes of 20 noisy images each, brighter and darker."""
    rng = np.random.default_rng(0)
    for label, level in (("a", 80), ("b", 160)):
        (root / label).mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(rng.normal(level, 40, (480, 640, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number}.jpg")


if __name__ == "__main__":
    main()
