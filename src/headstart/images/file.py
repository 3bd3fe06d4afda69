"""What an image's bytes are read from: a file of its own, or a member of a larger one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from headstart.errors import ImageError

# What is decoded must fit into 450 MB together with its file: 45 million pixels of three channels of 16 bits do.
MAX_BYTES = 2**28


class Container(Protocol):
    """A file that holds images, such as an archive; it may be read by several threads at once."""

    def read(self, key: str, most: int) -> bytes:
        """The first bytes of a member, `most` at most.

        Raises:
            ImageError: it can't be read.
        """

    def byte_size(self, key: str) -> int:
        """Bytes that a member has, or claims to have."""


@dataclass(frozen=True, order=True)
class Member:
    """An image within a larger file: in an archive, or in the cell of a table.

    Attributes:
        name: that it has in its data set, with slashes.
        container: what holds it.
        key: that its container knows it by.
    """

    name: str
    container: Container = field(compare=False, repr=False)
    key: str = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.name


# All images of a data set are of one of the two, so that they have an order.
ImageFile = Path | Member


def read_file(file: ImageFile) -> bytes:
    """All of an image file.

    Raises:
        ImageError: it can't be opened or read, or is larger than any image.
    """
    data = file.container.read(file.key, MAX_BYTES + 1) if isinstance(file, Member) else _read(file)
    if len(data) > MAX_BYTES:
        raise ImageError(f"more than {MAX_BYTES >> 20:,} MiB, the most that is read of a file")
    return data


def _read(path: Path) -> bytes:
    try:
        if not path.is_file() and not path.is_dir() and path.exists():
            raise ImageError("it is a pipe or a device, not a file")  # opening it might wait for ever
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageError(f"the file can't be read ({error.strerror})") from error


def byte_size(file: ImageFile) -> int:
    """Bytes of an image file; 0 where that can't be found out."""
    try:
        return file.container.byte_size(file.key) if isinstance(file, Member) else file.stat().st_size
    except OSError:
        return 0


def name_within(file: ImageFile, root: Path) -> str:
    """What an image is called within its data set, with forward slashes on every system.

    Args:
        file: one of the data set.
        root: the folder that all of its files lie in.
    """
    return file.name if isinstance(file, Member) else file.relative_to(root).as_posix()
