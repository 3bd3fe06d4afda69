"""Checkpoints: how far a fine-tuning has come, so that one that was stopped goes on when it is started again.

One safetensors file holds everything that the rest of a fine-tuning depends on. It is written under a temporary name,
synced, and renamed over the one before, so that a kill at any moment leaves a whole one. Its name is the hash of
everything that the fine-tuning itself depends on: the same command finds it, and no other does. Whatever isn't exactly
what was written, is left aside.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

FOLDER = "checkpoints"
SUFFIX, PARTIAL = ".safetensors", ".partial"
FORMAT = 1
# Each of them may change what a training step computes.
PACKAGES = ("headstart", "keras", "numpy", "tensorflow")
# Writing one takes seconds, so nobody writes at one that is older than this.
PARTIAL_STALE_S = 3600
# Whoever hasn't started again after a month won't.
STALE_S = 30 * 86_400

Arrays = dict[str, np.ndarray]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds.

    Attributes:
        state: plain values, by name.
        arrays: of numbers, by name.
    """

    state: dict[str, Any]
    arrays: Arrays


class Checkpoint:
    """The checkpoint of one fine-tuning.

    Args:
        path: of its file, which needn't be there.
        say: tells the user, in a sentence, what he might wonder about.
    """

    def __init__(self, path: Path, say: Say) -> None:
        self.path = path
        self.say = say
        self._is_lost = False

    def load(self, like: Arrays) -> Saved | None:
        """What was saved last; None where nothing was, or where the file isn't what was written.

        Args:
            like: arrays with the names, shapes and types that are expected.
        """
        if not self.path.exists():
            return None
        saved = _read(self.path)
        if saved is None or _forms(saved.arrays) != _forms(like):
            self.say("The checkpoint of fine-tuning is damaged; fine-tuning starts over.")
            return None
        return saved

    def save(self, saved: Saved) -> None:
        """Replace what was saved before. Where that can't be, it is said once, and training goes on all the same."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(self.path, saved)
        except OSError as error:
            if not self._is_lost:
                reason = error.strerror or error
                self.say(f"No checkpoint can be kept ({reason}); stopped now, fine-tuning would start over.")
            self._is_lost = True

    def remove(self) -> None:
        """Remove the file, and what processes that were killed left while they wrote it."""
        for path in (self.path, *self.path.parent.glob(f".{self.path.stem}.*{PARTIAL}")):
            _remove(path)


class Checkpoints:
    """The checkpoints in a cache folder. Safe to use from several processes.

    Args:
        cache: the folder that the store is in.
        say: tells the user something, in a sentence.
    """

    def __init__(self, cache: Path, say: Say = lambda sentence: None) -> None:
        self._folder = cache / FOLDER
        self._say = say
        self._handed_out: list[Checkpoint] = []

    def of(self, *identity: str) -> Checkpoint:
        """The checkpoint of one fine-tuning.

        Args:
            identity: everything that it depends on, besides the versions of the packages.
        """
        self._remove_stale()
        parts = (f"{FORMAT}", *(f"{package} {version(package)}" for package in PACKAGES), *identity)
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        found = Checkpoint(self._folder / f"{key}{SUFFIX}", self._say)
        self._handed_out.append(found)
        return found

    def remove_used(self) -> None:
        """Remove those that were handed out. To be called when what they led to is safe."""
        for checkpoint in self._handed_out:
            checkpoint.remove()
        self._handed_out.clear()

    def remove_all(self) -> int:
        """Remove every checkpoint; how many there were."""
        paths = list(self._files())
        for path in paths:
            _remove(path)
        return sum(path.suffix == SUFFIX for path in paths)

    def count(self) -> int:
        """How many there are."""
        return sum(path.suffix == SUFFIX for path in self._files())

    def file_bytes(self) -> int:
        """What they take on disk, unfinished ones included."""
        return sum(_bytes_of(path) for path in self._files())

    def _remove_stale(self) -> None:
        for path in self._files():
            with suppress(OSError):  # another process removed it
                age = time.time() - path.stat().st_mtime
                if age > (PARTIAL_STALE_S if path.suffix == PARTIAL else STALE_S):
                    path.unlink()

    def _files(self) -> Iterator[Path]:
        return (path for path in self._folder.glob("*") if path.suffix in (SUFFIX, PARTIAL))


def _write(path: Path, saved: Saved) -> None:
    from safetensors.numpy import save

    metadata = {"key": path.stem, "state": json.dumps(saved.state)}
    metadata["checksum"] = _checksum(metadata, saved.arrays)
    data = save({name: np.asarray(array, order="C") for name, array in saved.arrays.items()}, metadata)
    descriptor, name = tempfile.mkstemp(PARTIAL, f".{path.stem}.", path.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        _remove(partial)
        raise


def _read(path: Path) -> Saved | None:
    """What a file holds; None if it isn't, to the last bit, what was written under its name."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it's no dictionary
        if metadata["key"] != path.stem or metadata["checksum"] != _checksum(metadata, arrays):
            return None
        return Saved(json.loads(metadata["state"]), arrays)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def _checksum(metadata: dict[str, str], arrays: Arrays) -> str:
    """XXH3 of everything: as fast as memory is read, and nobody but chance is to be kept out here."""
    digest = xxhash.xxh3_128(f"{metadata['key']}\n{metadata['state']}".encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _forms(arrays: Arrays) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}


def _sync_folder(folder: Path) -> None:
    """Have the operating system put a folder's entries on the disk itself; Windows offers no such thing."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    with suppress(OSError):  # gone already, or not to be removed: it does no harm
        path.unlink()


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed meanwhile
        return 0
