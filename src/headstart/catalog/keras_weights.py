"""Weights in Keras' formats: those that Keras publishes, and a file that the user has."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from headstart.catalog.base import Architecture, Arrays, Base, WeightSource
from headstart.catalog.converted import Converted
from headstart.catalog.download import Checksum, digest_of, download
from headstart.catalog.layout import layout_of
from headstart.catalog.lookup import Lookup, keras_models
from headstart.catalog.weights_file import read_weights
from headstart.errors import WeightsError


@dataclass(frozen=True)
class PublishedWeights(WeightSource):
    """A weights file that Keras publishes for one of its applications.

    Attributes:
        base: the base's name.
        architecture: of the base; says what the file must hold.
        address: where it is published.
        file: its name in Keras' cache.
        checksum: as Keras publishes it; None where it publishes none.
        revision: of the base, whose layers' names the converted form holds.
        lookup: where the file is looked for.
    """

    base: str
    architecture: Architecture
    address: str
    file: str
    checksum: Checksum | None
    revision: int = 1
    lookup: Lookup = Lookup()  # noqa: RUF009 - it is frozen

    @property
    def identity(self) -> str:
        """The published checksum; where there is none, the file's own once it is here, and its address till then."""
        if self.checksum:
            return str(self.checksum)
        path = next(self._files(), None)
        return f"sha256:{_sha256(path)}" if path else self.address

    @property
    def install_command(self) -> str:
        return shlex.join(["curl", "--create-dirs", "--output", str(keras_models() / self.file), self.address])

    def is_here(self) -> bool:
        kept = self._converted()
        return (kept is not None and kept.is_kept()) or next(self._files(), None) is not None

    def require(self) -> None:
        kept = self._converted()
        if kept is None or not kept.is_kept():
            self._obtain()

    def load(self) -> Arrays:
        kept = self._converted()
        return (kept and kept.load()) or self._convert()

    def _convert(self) -> Arrays:
        path = self._obtain()
        arrays = read_weights(path, layout_of(self.architecture))
        if kept := self._converted():
            kept.keep(arrays)
        return arrays

    def _converted(self) -> Converted | None:
        if self.lookup.cache is None:
            return None
        return Converted(self.lookup.cache, self.base, f"{self.revision}:{self.identity}")

    def _files(self) -> Iterator[Path]:
        """The files of that name on this machine, in the order in which they count."""
        for folder in (keras_models(), self.lookup.folder):
            if folder is not None and (folder / self.file).is_file():
                yield folder / self.file

    def _obtain(self) -> Path:
        """A file that is the published one, fetched if need be.

        Raises:
            WeightsError: there is none; it says which was tried, and what to do.
        """
        problems: list[str] = []
        for path in self._files():
            if self.checksum is None or self.checksum.fits(path):
                return path
            problems.append(f"{path} isn't the published file: its {self.checksum.algorithm} differs")
        if self.lookup.is_offline:
            problems.append("they may not be fetched, since Headstart is offline")
        else:
            for address in self._addresses():
                try:
                    return self._download(address)
                except WeightsError as error:
                    problems.append(str(error))
        raise WeightsError(f"the weights of {self.base} aren't here; {'; '.join(problems)}", self._mend)

    def _addresses(self) -> list[str]:
        mirror = self.lookup.mirror
        return [f"{mirror}/{self.file}", self.address] if mirror else [self.address]

    def _download(self, address: str) -> Path:
        target = keras_models() / self.file
        download(address, target, self.checksum, self.lookup.display)
        return target

    @property
    def _mend(self) -> str:
        return (
            f"get {self.address} on any machine and put it into {keras_models()} as {self.file}, "
            "or name the file, its folder or a mirror with --weights"
        )


@dataclass(frozen=True)
class FileWeights(WeightSource):
    """The user's own weights file for a base.

    Attributes:
        base: the base's name.
        architecture: of the base.
        path: of the file.
        cache: keeps the converted weights; None keeps none.
    """

    base: str
    architecture: Architecture
    path: Path
    cache: Path | None = None

    @property
    def identity(self) -> str:
        return _sha256(self.path)

    @property
    def install_command(self) -> str:
        return shlex.join(["headstart", "train", "DATA", "--base", self.base, "--weights", str(self.path)])

    def is_here(self) -> bool:
        return self.path.is_file()

    def require(self) -> None:
        if not self.is_here():
            raise WeightsError(f"there is no weights file {self.path}", "check the path")

    def load(self) -> Arrays:
        kept = self.cache and Converted(self.cache, self.base, f"file:{self.identity}")
        arrays = kept.load() if kept else None
        if arrays is None:
            arrays = read_weights(self.path, layout_of(self.architecture))
            if kept:
                kept.keep(arrays)
        return arrays


def with_lookup(base: Base, lookup: Lookup) -> Base:
    """A base whose weights are looked for where the user says."""
    if lookup.file is not None:
        whole = base.whole or base  # which is what the file holds
        own = FileWeights(whole.name, whole.architecture, lookup.file, lookup.cache)
        return replace(base, weights=own)
    if isinstance(base.weights, PublishedWeights):
        return replace(base, weights=replace(base.weights, lookup=lookup))
    return base


def located_bases(cache: Path) -> tuple[Base, ...]:
    """Every pretrained base, each of which knows what this cache holds."""
    from headstart.catalog import bases  # which itself needs this module

    return tuple(with_lookup(base, Lookup(cache=cache)) for base in bases())


def _sha256(path: Path) -> str:
    state = path.stat()
    return _sha256_of_state(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256_of_state(path: Path, size: int, changed: int) -> str:
    return digest_of(path, "sha256")
