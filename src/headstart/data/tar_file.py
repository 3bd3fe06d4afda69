"""A tar file as a container of images."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

from headstart.errors import DataError, ImageError, UsageError

MOST_MEMBERS = 500_000
# What tarfile raises of headers that make no sense.
_DAMAGE = (tarfile.TarError, ValueError, OverflowError, RecursionError, MemoryError)
COMPRESSED = {".gz": "gunzip", ".tgz": "gunzip", ".bz2": "bunzip2", ".xz": "unxz", ".zst": "unzstd"}


class TarContainer:
    """The members of a tar file, found by reading their headers alone; each is read when it is asked for.

    Args:
        path: of the file.

    Attributes:
        problem: where the file is cut short or damaged, so that there may have been more members; None if it is whole.

    Raises:
        UsageError: it can't be opened.
        DataError: it isn't a tar file, or has more members than any data set.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.problem: str | None = None
        self._places: dict[str, tuple[int, int]] = {}
        self._members: list[tuple[str, bool]] = []
        try:
            with tarfile.open(path, "r:") as tar:
                self._index(tar, path.stat().st_size)
        except OSError as error:
            raise UsageError(f"{path} can't be read ({error.strerror})", "check its name and permissions") from error
        except _DAMAGE as error:
            raise DataError(f"{path} isn't a tar file ({_reason(error)})", "copy or make it again") from error

    def members(self) -> Iterator[tuple[str, bool]]:
        """The name of each member but folders, and whether it is a plain file rather than a link or the like."""
        yield from self._members

    def read(self, key: str, most: int) -> bytes:
        start, size = self._places[key]
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                return file.read(min(size, most))
        except OSError as error:
            raise ImageError(f"its archive can't be read ({error.strerror})") from error

    def byte_size(self, key: str) -> int:
        return self._places[key][1]

    def _index(self, tar: tarfile.TarFile, length: int) -> None:
        try:
            while (info := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # or it keeps them all
                if info.size < 0:  # which would lead back, and in circles
                    raise tarfile.ReadError("a negative size")
                if info.isdir():
                    continue
                if info.offset_data + info.size > length:
                    self.problem = f"it ends within {info.name!r}"
                    return
                self._add(info)
            self._check_end(tar.offset)
        except _DAMAGE as error:
            after = f" after {self._members[-1][0]!r}" if self._members else ""
            self.problem = f"it is damaged or cut short{after} ({_reason(error)})"

    def _check_end(self, offset: int) -> None:
        """Tells an end from a header that is damaged or missing, at which `tarfile` stops as well."""
        with self._path.open("rb") as file:
            file.seek(offset)
            block = file.read(tarfile.BLOCKSIZE)
        if block != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("no end is marked")

    def _add(self, info: tarfile.TarInfo) -> None:
        name = info.name.removeprefix("./")
        self._places[name] = (info.offset_data, info.size)
        self._members.append((name, info.isreg() and not info.issparse()))
        if len(self._members) > MOST_MEMBERS:
            raise DataError(
                f"{self._path} has more than {MOST_MEMBERS:,} members, more than any data set of images",
                "divide it into several, or unpack those that you mean into folders",
            )


def _reason(error: Exception) -> str:
    return str(error) or "a header makes no sense"
