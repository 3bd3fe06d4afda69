"""That a training run that is killed and started again comes to the very same result."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from headstart.run import Run

START = [sys.executable, "-c", "from headstart.cli import main; main()"]
OPTIONS = ["--base", "untrained", "--epochs", "10", "--views", "2", "--augment", "flips", "--precision", "f32"]


@pytest.fixture(scope="module")
def own_cache(warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that no other test leaves anything in."""
    cache = tmp_path_factory.mktemp("whole") / "cache"
    shutil.copytree(warm_cache / "prefixes", cache / "prefixes")
    return cache


@pytest.fixture(scope="module")
def uninterrupted(hard_photos: Path, own_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """By the same command: from Python, TensorFlow may use other kernels than the command line asks for."""
    out = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(command(hard_photos, out, own_cache), capture_output=True, check=True)
    return Run.load(out)


def command(data: Path, out: Path, cache: Path) -> list[str]:
    return [*START, "train", str(data), "--out", str(out), "--cache", str(cache), *OPTIONS]


def kill_after_checkpoint(words: list[str], cache: Path, pause: float) -> str:
    """Starts a run and kills it a moment after it has written a checkpoint; what it said."""
    before = checkpoints(cache)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8")
    deadline = time.monotonic() + 120
    while checkpoints(cache) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(pause)
    process.kill()
    return process.communicate()[1]


def checkpoints(cache: Path) -> list[tuple[str, int]]:
    """Name and time of each."""
    return [(path.name, path.stat().st_mtime_ns) for path in (cache / "checkpoints").glob("*.safetensors")]


def without_times(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name not in ("seconds", "features")}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send SIGKILL")
def test_a_run_that_is_killed_twice_ends_as_if_nothing_had_been(
    hard_photos: Path, fresh_cache: Path, uninterrupted: Run, tmp_path: Path
) -> None:
    out = tmp_path / "runs" / "run"
    words = command(hard_photos, out, fresh_cache)
    said = [kill_after_checkpoint(words, fresh_cache, random.Random(turn).uniform(0, 0.1)) for turn in range(2)]
    assert not out.exists()
    assert "goes on" not in said[0]
    assert "Fine-tuning goes on after epoch " in said[1]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", check=True)
    assert "Fine-tuning goes on after epoch " in done.stderr
    run = Run.load(out)
    assert run.manifest.chosen == "finetune"  # otherwise the weights that fine-tuning came to aren't there
    for name in ("weights.safetensors", "network.bin", "predictions.csv", "split.csv"):
        assert (out / name).read_bytes() == (uninterrupted.folder / name).read_bytes(), name
    assert without_times(run.metrics) == without_times(uninterrupted.metrics)
    assert json.dumps(run.metrics["finetune"]) == json.dumps(uninterrupted.metrics["finetune"])
    assert run.manifest.choices == uninterrupted.manifest.choices
    assert list((fresh_cache / "checkpoints").iterdir()) == []


def test_a_run_leaves_no_checkpoint(uninterrupted: Run, own_cache: Path) -> None:
    assert uninterrupted.manifest.chosen == "finetune"
    assert list((own_cache / "checkpoints").iterdir()) == []
