"""A zip file as a container of images."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from headstart.errors import DataError, ImageError, UsageError

# Of the list of members that a zip file ends with: about 300,000 members with names of usual length.
MOST_DIRECTORY_BYTES = 2**25
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_BYTES, _END_64_BYTES, _LOCATOR_BYTES, _LONGEST_COMMENT = 22, 56, 20, 2**16
# Python unpacks the others without a limit.
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class ZipContainer:
    """The members of a zip file; each is read when it is asked for.

    Args:
        path: of the file.

    Raises:
        UsageError: it can't be opened.
        DataError: it isn't a zip file, is cut short, or lists more members than any data set has.
    """

    def __init__(self, path: Path) -> None:
        try:
            _check_directory(path)
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise UsageError(f"{path} can't be read ({error.strerror})", "check its name and permissions") from error
        except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError) as error:
            raise DataError(f"{path} isn't a whole zip file ({error})", "copy or make it again") from error

    def members(self) -> Iterator[tuple[str, bool]]:
        """The name of each member but folders, and whether it is a plain file rather than a link or the like."""
        for info in self._zip.infolist():
            if not info.is_dir():
                mode = stat.S_IFMT(info.external_attr >> 16)
                yield info.filename, mode in (0, stat.S_IFREG)

    def read(self, key: str, most: int) -> bytes:
        info = self._zip.getinfo(key)
        if info.compress_type not in _PACKINGS:
            raise ImageError("it can't be unpacked: it is packed with another method than deflate")
        try:
            with self._zip.open(key) as member:
                return member.read(min(most, info.file_size))
        except (OSError, ValueError, zipfile.BadZipFile, struct.error, zlib.error, EOFError) as error:
            raise ImageError(f"damaged within its archive ({error})") from error
        except (RuntimeError, NotImplementedError) as error:  # encrypted, or the like
            raise ImageError(f"it can't be unpacked: {error}") from error

    def byte_size(self, key: str) -> int:
        return self._zip.getinfo(key).file_size


def _check_directory(path: Path) -> None:
    """Refuses a list of members that would fill the memory, before it is read."""
    with path.open("rb") as file:
        file.seek(0, 2)
        length = file.tell()
        tail_start = max(0, length - _END_BYTES - _LOCATOR_BYTES - _LONGEST_COMMENT)
        file.seek(tail_start)
        tail = file.read()
        end = tail.rfind(_END)
        if end < 0 or len(tail) - end < _END_BYTES:
            raise zipfile.BadZipFile("its end is missing")
        found = [struct.unpack_from("<HI", tail, end + 10)]
        locator = tail[max(0, end - _LOCATOR_BYTES) : end]
        if locator.startswith(_LOCATOR_64):
            # Which of the two places counts depends on the version of Python.
            for place in (struct.unpack_from("<Q", locator, 8)[0], tail_start + end - _LOCATOR_BYTES - _END_64_BYTES):
                found += _directory_64(file, place, length)
    # The largest number of 32 bits says no more than that the record of 64 bits has it.
    members, size = max([entry for entry in found if entry[1] != 2**32 - 1] or found, key=lambda entry: entry[1])
    if size > MOST_DIRECTORY_BYTES:
        raise DataError(
            f"{path} lists {members:,} members in {size >> 20:,} MiB, more than any data set of images",
            "divide it into several, or unpack those that you mean into folders",
        )


def _directory_64(file: BinaryIO, place: int, length: int) -> Iterator[tuple[int, int]]:
    """How many members the record at a place lists, and in how many bytes; nothing where there is no record."""
    if 0 <= place < length:
        file.seek(place)
        record = file.read(_END_64_BYTES)
        if record.startswith(_END_64) and len(record) == _END_64_BYTES:
            yield struct.unpack_from("<QQ", record, 32)
