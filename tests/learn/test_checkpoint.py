from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from headstart.learn.checkpoint import PARTIAL_STALE_S, STALE_S, Arrays, Checkpoint, Checkpoints, Saved

STATE = {"history": [{"epoch": 0, "loss": None, "validation_loss": 0.1 + 0.2}], "best_epoch": 0}

# Saves one checkpoint after the other, for ever; each holds one number in many places.
WRITER = """
import sys
from pathlib import Path
import numpy as np
from headstart.learn.checkpoint import Checkpoints, Saved

checkpoint = Checkpoints(Path(sys.argv[1])).of("a fine-tuning")
for number in range(10**9):
    checkpoint.save(Saved({"number": number}, {"weights": np.full(200_000, number, np.float32)}))
    if number == 0:
        print("under way", flush=True)
"""


class Heard(list[str]):
    """What was said."""

    def say(self, sentence: str) -> None:
        self.append(sentence)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def checkpoints(tmp_path: Path, heard: Heard) -> Checkpoints:
    return Checkpoints(tmp_path, heard.say)


@pytest.fixture
def checkpoint(checkpoints: Checkpoints) -> Checkpoint:
    return checkpoints.of("a fine-tuning")


def arrays(seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    return {
        "variable/0": rng.normal(size=(3, 5)).astype(np.float32),
        "variable/1": np.array(7, np.int64),
        "variable/2": np.array([1, 2], np.uint32),
        "best/0": rng.normal(size=(2, 1, 4)).astype(np.float32).transpose(2, 0, 1),
        "nothing": np.zeros((0, 4), np.float32),
    }


def assert_same(saved: Saved | None, expected: Arrays) -> None:
    assert saved is not None
    assert saved.arrays.keys() == expected.keys()
    for name, array in expected.items():
        assert (saved.arrays[name].dtype, saved.arrays[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(saved.arrays[name], array)


@contextmanager
def writers(folder: Path, count: int) -> Iterator[None]:
    """Processes that save the same checkpoint over and over again, killed in the end."""
    command = [sys.executable, "-c", WRITER, str(folder)]
    with ExitStack() as running:
        started = [running.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE)) for _ in range(count)]
        for process in started:
            running.callback(process.kill)
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == b"under way\n"
        yield


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_what_was_saved_comes_back(checkpoint: Checkpoint, heard: Heard) -> None:
    checkpoint.save(Saved(STATE, arrays()))
    found = checkpoint.load(arrays(1))
    assert_same(found, arrays())
    assert found is not None
    assert found.state == STATE
    assert heard == []


def test_nothing_comes_back_where_nothing_was_saved(checkpoint: Checkpoint, heard: Heard) -> None:
    assert checkpoint.load(arrays()) is None
    assert heard == []


def test_what_is_saved_last_counts_and_nothing_else_is_left(checkpoint: Checkpoint, tmp_path: Path) -> None:
    for seed in range(3):
        checkpoint.save(Saved(STATE, arrays(seed)))
    assert_same(checkpoint.load(arrays()), arrays(2))
    assert files(tmp_path) == [checkpoint.path.name]


def test_a_file_is_cut_off_anywhere_and_refused(checkpoint: Checkpoint, heard: Heard) -> None:
    checkpoint.save(Saved(STATE, arrays()))
    data = checkpoint.path.read_bytes()
    for length in range(len(data)):
        checkpoint.path.write_bytes(data[:length])
        assert checkpoint.load(arrays()) is None
    assert heard == ["The checkpoint of fine-tuning is damaged; fine-tuning starts over."] * len(data)


def test_a_bit_is_flipped_anywhere_and_what_comes_back_is_right_or_nothing(checkpoint: Checkpoint) -> None:
    checkpoint.save(Saved(STATE, arrays()))
    data, accepted = checkpoint.path.read_bytes(), 0
    for place in range(len(data)):
        for bit in (0, 5):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            checkpoint.path.write_bytes(damaged)
            if (found := checkpoint.load(arrays())) is not None:
                assert_same(found, arrays())
                assert found.state == STATE
                accepted += 1
    assert accepted <= 16  # the blanks that fill up the header, and how its strings are spelt


@pytest.mark.parametrize("content", [b"", b"\0" * 4000, b"\xff" * 4000, b"PK\3\4", b'{"a": 1}'], ids=repr)
def test_another_kind_of_file_is_refused(checkpoint: Checkpoint, content: bytes, heard: Heard) -> None:
    checkpoint.save(Saved(STATE, arrays()))
    checkpoint.path.write_bytes(content)
    assert checkpoint.load(arrays()) is None
    assert len(heard) == 1


def test_a_folder_in_its_place_is_refused_and_training_goes_on(checkpoint: Checkpoint, heard: Heard) -> None:
    checkpoint.path.mkdir(parents=True)
    assert checkpoint.load(arrays()) is None
    checkpoint.save(Saved(STATE, arrays()))
    assert heard[1].startswith("No checkpoint can be kept (")


def test_the_checkpoint_of_another_fine_tuning_is_refused(checkpoints: Checkpoints, checkpoint: Checkpoint) -> None:
    other = checkpoints.of("another fine-tuning")
    other.save(Saved(STATE, arrays()))
    shutil.copy(other.path, checkpoint.path)
    assert checkpoint.load(arrays()) is None
    assert_same(other.load(arrays()), arrays())


def test_arrays_of_other_names_shapes_and_types_are_refused(checkpoint: Checkpoint) -> None:
    checkpoint.save(Saved(STATE, arrays()))
    good = arrays()
    for like in (
        {**good, "more": np.zeros(1)},
        {name: array for name, array in good.items() if name != "best/0"},
        {**good, "variable/0": np.zeros((5, 3), np.float32)},
        {**good, "variable/1": np.array(7, np.int32)},
    ):
        assert checkpoint.load(like) is None
    assert checkpoint.load(good) is not None


def test_the_same_identity_has_the_same_checkpoint_and_any_other_another(tmp_path: Path) -> None:
    identities = [("a", "b"), ("b", "a"), ("a",), ("a", "b", "c"), ()]
    paths = [Checkpoints(tmp_path).of(*identity).path for identity in identities]
    assert len(set(paths)) == len(identities)
    assert [Checkpoints(tmp_path).of(*identity).path for identity in identities] == paths


def test_a_full_disk_is_told_once_and_leaves_the_old_one(small_disk: Callable[[int], Path], heard: Heard) -> None:
    checkpoint = Checkpoints(small_disk(256), heard.say).of("a fine-tuning")
    small, large = {"w": np.ones(100, np.float32)}, {"w": np.ones(100_000, np.float32)}
    checkpoint.save(Saved(STATE, small))
    for _ in range(3):
        checkpoint.save(Saved(STATE, large))
    assert heard == ["No checkpoint can be kept (No space left on device); stopped now, fine-tuning would start over."]
    assert_same(checkpoint.load(small), small)
    assert [path.name for path in checkpoint.path.parent.iterdir()] == [checkpoint.path.name]


def test_used_ones_are_removed_and_others_stay(checkpoints: Checkpoints, tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path).of("another fine-tuning")
    for one in (checkpoints.of("one"), checkpoints.of("two"), kept):
        one.save(Saved(STATE, arrays()))
        (one.path.parent / f".{one.path.stem}.abc.partial").write_bytes(b"left by a kill")
    assert (checkpoints.count(), checkpoints.file_bytes() > 0) == (3, True)
    checkpoints.of("never saved")
    checkpoints.remove_used()
    assert files(tmp_path) == sorted([kept.path.name, f".{kept.path.stem}.abc.partial"])
    assert checkpoints.remove_all() == 1
    assert (files(tmp_path), checkpoints.count(), checkpoints.file_bytes()) == ([], 0, 0)


def test_a_cache_without_checkpoints_counts_none(tmp_path: Path) -> None:
    empty = Checkpoints(tmp_path / "cache")
    assert (empty.count(), empty.file_bytes(), empty.remove_all()) == (0, 0, 0)
    empty.remove_used()
    assert not (tmp_path / "cache").exists()


def test_what_nobody_comes_back_for_goes_when_the_next_begins(checkpoints: Checkpoints, tmp_path: Path) -> None:
    old, young = checkpoints.of("old"), checkpoints.of("young")
    for one, age in ((old, STALE_S + 60), (young, STALE_S - 60)):
        one.save(Saved(STATE, arrays()))
        partial = one.path.parent / f".{one.path.stem}.abc.partial"
        partial.touch()
        for path, seconds in ((one.path, age), (partial, age - STALE_S + PARTIAL_STALE_S)):
            os.utime(path, (time.time() - seconds,) * 2)
    Checkpoints(tmp_path).of("new")
    assert files(tmp_path) == sorted([young.path.name, f".{young.path.stem}.abc.partial"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send SIGKILL")
def test_a_kill_while_one_is_written_leaves_a_whole_one(tmp_path: Path) -> None:
    reached, partials = -1, 0
    for attempt in range(8):
        with writers(tmp_path, 1):
            time.sleep(random.Random(attempt).uniform(0, 0.1))
        found = Checkpoints(tmp_path).of("a fine-tuning").load({"weights": np.zeros(200_000, np.float32)})
        assert found is not None
        reached = max(reached, found.state["number"])
        assert (found.arrays["weights"] == found.state["number"]).all()
        partials += sum(name.endswith(".partial") for name in files(tmp_path))
        assert Checkpoints(tmp_path).remove_all() == 1
    assert reached > 0
    assert partials > 0  # otherwise no kill came while one was written


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send SIGKILL")
def test_processes_that_save_the_same_one_at_once_leave_a_whole_one(tmp_path: Path) -> None:
    like = {"weights": np.zeros(200_000, np.float32)}
    with writers(tmp_path, 2):
        checkpoint = Checkpoints(tmp_path).of("a fine-tuning")
        for _ in range(50):
            found = checkpoint.load(like)
            assert found is not None
            assert (found.arrays["weights"] == found.state["number"]).all()
