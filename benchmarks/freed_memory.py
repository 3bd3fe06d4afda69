"""What it brings that training keeps freed memory: fine-tuning with and without, at two input sizes.

    python benchmarks/freed_memory.py

Each run is a process of its own: `headstart train` on 400 ELPV solar cells, EfficientNet-Lite0, fine-tuned above block
10 for three epochs, from features that the store has. With and without take turns, three of each at each size, after
one that fills the store. Timed is the stage "finetune"; the kernel's part of the processor time is of the whole
process.

Expect 0.8 of the seconds at 32 pixels and 0.9 at 224 on a virtual machine, where pages are dear, and about one where
the C library isn't glibc. Twelve minutes on two cores.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from kills import lay_out
from recording import record, spread

SIZES = (32, 224)
TURNS = 3
OPTIONS = ["--finetune-from=block10_add", "--epochs=3", "--views=2", "--augment=flips", "--precision=f32"]
IMAGES_A_CLASS = 200

# Without: the function that keeps memory is put out of action before training calls it.
TRAIN = """
import sys
from headstart.workflow import training
if sys.argv.pop(1) == "given back":
    training.keep_freed_memory = lambda: None
from headstart.cli import main
main()
"""


def main() -> None:
    """Measures both ways at both sizes and records them."""
    with tempfile.TemporaryDirectory(prefix="headstart-freed-") as made:
        data = lay_out(Path(made, "cells"), IMAGES_A_CLASS)
        rows = [measure(Path(made), data, size) for size in SIZES]
    record("freed_memory", {"command": "python benchmarks/freed_memory.py", "options": OPTIONS, "sizes": rows})


def measure(folder: Path, data: Path, size: int) -> dict[str, Any]:
    """Both ways in turn at one input size."""
    run(folder, data, size, "kept")  # fills the store
    found: dict[str, list[tuple[float, float]]] = {"kept": [], "given back": []}
    for _ in range(TURNS):
        for how, turns in found.items():
            turns.append(run(folder, data, size, how))
    seconds = {how: spread([round(turn[0], 1) for turn in turns]) for how, turns in found.items()}
    kernel = {how: spread([round(turn[1], 1) for turn in turns]) for how, turns in found.items()}
    medians = {how: statistics.median(turn[0] for turn in turns) for how, turns in found.items()}
    share = round(medians["kept"] / medians["given back"], 3)
    return {"image_size": size, "share_of_seconds": share, "finetune_seconds": seconds, "kernel_seconds": kernel}


def run(folder: Path, data: Path, size: int, how: str) -> tuple[float, float]:
    """Seconds of fine-tuning, and of the kernel, of one run."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        out = Path(made, "run")
        command = [
            sys.executable,
            "-c",
            TRAIN,
            how,
            "train",
            str(data),
            "--out",
            str(out),
            *OPTIONS,
        ]
        command += ["--cache", str(folder / "cache"), "--image-size", str(size)]
        before = os.times().children_system
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        kernel = os.times().children_system - before
        seconds = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["seconds"]["finetune"]
    print(f"{size} pixels, {how}: {seconds:.1f} s, kernel {kernel:.1f} s", file=sys.stderr, flush=True)
    return float(seconds), kernel


if __name__ == "__main__":
    main()
