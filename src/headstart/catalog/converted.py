"""Weights that were verified once and are kept as safetensors, so that later loads need neither HDF5 nor Keras."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from headstart.catalog.base import Arrays
from headstart.errors import WeightsError


@dataclass(frozen=True)
class Converted:
    """A place for the converted weights of one network from one source.

    Attributes:
        folder: the cache; weights lie in its folder "weights".
        name: of the network.
        source: identifies what was converted.
    """

    folder: Path
    name: str
    source: str

    def is_kept(self) -> bool:
        """Whether they are there; `load` says whether they are whole."""
        return self._path.is_file() and self._sum_path.is_file()

    def load(self) -> Arrays | None:
        """The weights by variable path, or None where they aren't there or are damaged."""
        from safetensors.numpy import load

        try:
            data = self._path.read_bytes()
            if self._sum_path.read_text(encoding="ascii") != hashlib.sha256(data).hexdigest():
                return None
        except (OSError, UnicodeDecodeError):
            return None
        arrays: Arrays = load(data)
        return arrays

    def keep(self, arrays: Arrays) -> None:
        """Write them, beside their place first: others see them whole or not at all.

        Raises:
            WeightsError: the cache can't be written.
        """
        from safetensors.numpy import save

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            data = save(arrays)
            # The checksum comes last: without it, or with an older one, the weights don't count.
            _write(self._path, data)
            _write(self._sum_path, hashlib.sha256(data).hexdigest().encode("ascii"))
        except OSError as error:
            raise WeightsError(
                f"the converted weights can't be kept in {self._path.parent} ({error.strerror})",
                "free some space, or name another folder with --cache",
            ) from error

    @property
    def _path(self) -> Path:
        key = hashlib.sha256(self.source.encode()).hexdigest()[:16]
        return self.folder / "weights" / f"{self.name}-{key}.safetensors"

    @property
    def _sum_path(self) -> Path:
        return self._path.with_suffix(".sha256")


def _write(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
