"""Kills `headstart train` at random moments and looks whether the same command, started again, ends the same.

    python benchmarks/kills.py --kills 100

Each time the run is killed once (SIGKILL), at a moment drawn uniformly from the time that it takes when nobody does;
one in four instead while it writes a checkpoint, after a random number of epochs. Then the same command is started
again and left alone. Runs are pinned to a core each, with as many at a time as there are cores. Each has a cache folder
of its own, most of them with the converted networks of another run in it, which take a good part of the time to make;
one in ten is empty. What the run that was killed comes to is compared with what two runs came to that nobody
interrupted: weights, network, predictions and split byte for byte, metrics but for seconds and counts of features, and
the choices with their reasons.

The task: 1,120 ELPV solar cells at 32 pixels, EfficientNet-Lite0, fine-tuned from block 10 on, with a seed for which
fine-tuning was chosen, so that its weights are what is compared; where another processor comes to the probe, the
history of fine-tuning still is. Expect as many identical results as kills. On two cores a kill takes about 20 seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cores import side_by_side
from recording import record, spread

IMAGES_A_CLASS = 560
EPOCHS = 4
OPTIONS = ["--image-size", "32", "--finetune-from", "block10_add", "--epochs", str(EPOCHS), "--lr", "1e-3"]
OPTIONS += ["--views", "2", "--augment", "flips", "--precision", "f32", "--seed", "1"]
SAME_BYTES = ("weights.safetensors", "network.bin", "predictions.csv", "split.csv", "quarantine.csv")
WENT_ON = re.compile(r"Fine-tuning goes on after epoch (\d+)")
IN_CHECKPOINT_EVERY, EMPTY_CACHE_EVERY = 4, 10


def main() -> None:
    """Measures the run that nobody interrupts, kills it as often as asked, and records what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    kills = parser.parse_args().kills
    with tempfile.TemporaryDirectory(prefix="headstart-kills-") as made:
        bench = Bench(Path(made))
        trials = side_by_side(bench.trial, range(kills))
    record("kills", {"command": f"python benchmarks/kills.py --kills {kills}", **summary(bench, trials)})


def summary(bench: Bench, trials: list[dict[str, Any]]) -> dict[str, Any]:
    """How often the result was the same, and where the kills came."""
    epochs = Counter(trial["went_on_after_epoch"] for trial in trials)
    return {
        "task": f"{2 * IMAGES_A_CLASS} ELPV images, EfficientNet-Lite0, {' '.join(OPTIONS)}",
        "chosen": bench.chosen,
        "uninterrupted_runs_identical": True,  # it would have stopped otherwise
        "uninterrupted_seconds": {kind: round(seconds, 1) for kind, seconds in bench.seconds.items()},
        "kills": len(trials),
        "identical": sum(not trial["differs"] for trial in trials),
        "kills_that_left_half_a_checkpoint": sum(trial["left_half_a_checkpoint"] for trial in trials),
        "kills_with_an_empty_cache": sum(trial["empty_cache"] for trial in trials),
        "went_on_after_epoch": {str(epoch): epochs[epoch] for epoch in sorted(epochs)},
        "seconds_until_the_kill": spread([trial["seconds"] for trial in trials]),
        "differing": [trial for trial in trials if trial["differs"]],
    }


@dataclass
class Bench:
    """The images, the caches to start from, and what the run comes to when nobody interrupts it.

    Attributes:
        chosen: which classifier was the answer.
        seconds: that the run took, with the converted networks there and with an empty cache.
    """

    folder: Path
    chosen: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data = lay_out(self.folder / "cells")
        [self.expected] = side_by_side(self._uninterrupted, ["empty_cache"])
        [again] = side_by_side(self._uninterrupted, ["networks_converted"])
        if found := differences(self.expected, again):
            raise SystemExit(f"two runs that nobody interrupted differ in {', '.join(found)}")
        self.chosen = self.expected["metrics"]["chosen"]

    def trial(self, number: int) -> dict[str, Any]:
        """One kill, and what the second start came to."""
        rng = random.Random(number)
        empty = number % EMPTY_CACHE_EVERY == EMPTY_CACHE_EVERY - 1
        aimed = number % IN_CHECKPOINT_EVERY == IN_CHECKPOINT_EVERY - 1
        while True:
            run, cache = self._fresh(f"trial-{number}", empty)
            command = self._command(run, cache)
            moment = rng.uniform(0, self.seconds["empty_cache" if empty else "networks_converted"])
            seconds = killed(command, run, after_checkpoints(cache, rng.randrange(EPOCHS)) if aimed else after(moment))
            if seconds is not None:
                break
        half = any((cache / "checkpoints").glob(".*.partial"))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        went_on = WENT_ON.search(done.stderr)
        found = {
            "kill": number + 1,
            "seconds": round(seconds, 2),
            "empty_cache": empty,
            "aimed_at_a_checkpoint": aimed,
            "left_half_a_checkpoint": half,
            "went_on_after_epoch": int(went_on[1]) if went_on else 0,
            "differs": [done.stderr[-500:]] if done.returncode else differences(self.expected, outcome(run)),
        }
        shutil.rmtree(run.parent)
        print(json.dumps(found), file=sys.stderr, flush=True)
        return found

    def _uninterrupted(self, kind: str) -> dict[str, Any]:
        run, cache = self._fresh(kind, kind == "empty_cache")
        start = time.perf_counter()
        subprocess.run(self._command(run, cache), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.seconds[kind] = time.perf_counter() - start
        if not self._networks.exists():
            shutil.copytree(cache / "prefixes", self._networks)
        return outcome(run)

    def _fresh(self, name: str, empty: bool) -> tuple[Path, Path]:
        """Where a run is to be, and a cache of its own."""
        own = self.folder / name
        shutil.rmtree(own, ignore_errors=True)
        cache = own / "cache"
        cache.mkdir(parents=True)
        if not empty:
            shutil.copytree(self._networks, cache / "prefixes")
        return own / "run", cache

    @property
    def _networks(self) -> Path:
        return self.folder / "networks"

    def _command(self, run: Path, cache: Path) -> list[str]:
        start = [sys.executable, "-c", "from headstart.cli import main; main()"]
        return [*start, "train", str(self.data), "--out", str(run), "--cache", str(cache), *OPTIONS]


def killed(command: list[str], run: Path, passed: Callable[[], bool]) -> float | None:
    """Starts the run and kills it once the moment has passed; the seconds until then, or None if it was done first."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not passed() and process.poll() is None:
            time.sleep(0.0005)
        process.kill()
    ended = process.returncode != -signal.SIGKILL or run.exists()
    return None if ended else time.perf_counter() - start


def after(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have passed."""
    moment = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= moment


def after_checkpoints(cache: Path, count: int) -> Callable[[], bool]:
    """Whether a checkpoint is being written, after so many others."""
    seen: set[str] = set()

    def passed() -> bool:
        seen.update(path.name for path in (cache / "checkpoints").glob(".*.partial"))
        return len(seen) > count

    return passed


def outcome(run: Path) -> dict[str, Any]:
    """All that must be the same: sums of files, and metrics and choices without times and counts of features."""
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    choices = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["choices"]
    sums = {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in SAME_BYTES}
    kept = {name: value for name, value in metrics.items() if name not in ("seconds", "features")}
    return {**sums, "metrics": kept, "choices": choices}


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What two outcomes differ in."""
    return [name for name in one if one[name] != other[name]]


def lay_out(root: Path, images_a_class: int = IMAGES_A_CLASS) -> Path:
    """A folder a class of links to the first installed images that are surely defective, or surely not."""
    source = Path(next(iter(find_spec("elpv_dataset").submodule_search_locations)), "data")
    rows = [line.split() for line in (source / "labels.csv").read_text(encoding="utf-8").splitlines()]
    for label, wanted in (("defective", lambda grade: grade > 0.5), ("functional", lambda grade: grade < 0.1)):
        (root / label).mkdir(parents=True)
        for name in [name for name, grade, _ in rows if wanted(float(grade))][:images_a_class]:
            (root / label / Path(name).name).symlink_to(source / name)
    return root


if __name__ == "__main__":
    main()
