"""A run folder in the making: complete under its name, or not there at all."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import RunError, UsageError
from headstart.run.loaded import Run
from headstart.run.records import MANIFEST, Manifest, sha256_of


class RunDraft:
    """A run folder in the making. It appears under its name when it is complete, or not at all.

    Args:
        out: the folder to make.

    Raises:
        UsageError: it is there already, or can't be made. Found out at the start, not after minutes of work.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.parent / f".{out.name}.partial"
        if out.exists() or out.is_symlink():
            raise UsageError(f"{out} exists already", "name another folder with --out, or remove that one")
        _check_writable(out)

    def __enter__(self) -> RunDraft:
        with _explained(self.out):
            shutil.rmtree(self.folder, ignore_errors=True)  # left by a process that was killed
            self.folder.mkdir(parents=True)
        return self

    def __exit__(self, *exc: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def writing(self) -> AbstractContextManager[None]:
        """For files that others write into the folder: a full disk becomes a clear error."""
        return _explained(self.out)

    def write_table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write a CSV file of the run; a file name that isn't valid Unicode keeps its bytes."""
        path = self.folder / name
        with _explained(self.out), path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Write a JSON file of the run."""
        with _explained(self.out):
            text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
            (self.folder / name).write_text(text + "\n", encoding="utf-8")

    def write_weights(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write a safetensors file of the run."""
        from safetensors.numpy import save

        with _explained(self.out):
            (self.folder / name).write_bytes(
                save({path: np.ascontiguousarray(array) for path, array in arrays.items()})
            )

    def publish(self, manifest: Manifest) -> Run:
        """Complete the folder with its manifest and give it its name.

        Raises:
            RunError: the disk is full, or the name has been taken meanwhile.
        """
        with _explained(self.out):
            sums = {path.name: sha256_of(path) for path in sorted(self.folder.iterdir())}
            manifest = manifest.model_copy(update={"files": sums})
            (self.folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
            for path in (*self.folder.iterdir(), self.folder):
                _sync(path)
            self.folder.rename(self.out)
        return Run(self.out, manifest)


@contextmanager
def _explained(out: Path) -> Iterator[None]:
    """Turns the operating system's errors while writing a run into errors that say what to do."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"the run can't be written to {out} ({error.strerror or error})",
            "free some space or name a folder elsewhere with --out; what was computed is kept in the store",
        ) from error


def _check_writable(out: Path) -> None:
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    try:
        Path(tempfile.mkdtemp(dir=parent, prefix=f".{out.name}.")).rmdir()
    except OSError as error:
        raise UsageError(
            f"the run folder {out} can't be made: {parent} can't be written ({error.strerror})",
            "name a folder elsewhere with --out",
        ) from error


def _sync(path: Path) -> None:
    """Have the operating system put a file, or a folder's entries, on the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
