"""Fetches a file over HTTP: verified, resumed where it broke off, and complete under its name or not there at all."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from headstart.errors import WeightsError
from headstart.progress import Advance, Display, NoDisplay

ATTEMPTS = 5
# Seconds without a byte before an attempt counts as failed, and before the first attempt after that.
TIMEOUT_S = 30.0
PAUSE_S = 0.5
# The largest published file has 1.4 GB.
MOST_BYTES = 8 * 2**30
CHUNK = 2**18
MEGABYTE = 1_000_000
# A part that nobody has written to for so long was left by a process that is gone.
STALE_S = 600.0
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Checksum:
    """A published checksum, in hexadecimal, and how it is computed."""

    algorithm: Literal["md5", "sha256"]
    digest: str

    def fits(self, path: Path) -> bool:
        """Whether a file has this checksum."""
        return digest_of(path, self.algorithm) == self.digest

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digest}"


def digest_of(path: Path, algorithm: str) -> str:
    """The checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        # MD5 is all that most of the files have; it guards against damage, and their address is HTTPS.
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


@dataclass(frozen=True)
class Patience:
    """How often to try, how long to wait for a byte, and how long to pause at first; times in seconds."""

    attempts: int = ATTEMPTS
    timeout: float = TIMEOUT_S
    pause: float = PAUSE_S


class _Broken(Exception):
    """An attempt failed in a way that another one may mend."""


def download(
    address: str,
    target: Path,
    checksum: Checksum | None,
    display: Display | None = None,
    patience: Patience | None = None,
) -> None:
    """Fetch a file. What arrived of it is kept beside the target when it breaks off, and completed the next time.

    Args:
        address: http or https.
        target: the file to make; its folder is made as well.
        checksum: that the file must have. Without one, nothing that an earlier call left is built upon.
        display: shows the progress, in megabytes.
        patience: how often to try, and how long to wait.

    Raises:
        WeightsError: it isn't there, isn't the file that was published, can't be reached, or can't be kept.
    """
    patience = patience or Patience()
    _check_scheme(address, address)
    with _explained(target), _own_part(target, keep=checksum is not None) as part:
        resumed = part.stat().st_size > 0
        _fetch(address, part, display or NoDisplay(), patience)
        if resumed and checksum and not checksum.fits(part):  # what was there may have been of another file
            part.write_bytes(b"")
            _fetch(address, part, display or NoDisplay(), patience)
        if checksum and not checksum.fits(part):
            part.unlink()
            raise WeightsError(
                f"{address} isn't the published file: its {checksum.algorithm} differs from {checksum.digest}",
                "it was changed or damaged on the way, and has been removed; try again, or from another network",
            )
        _sync(part)
        part.replace(target)


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise WeightsError(
            f"{target} can't be written ({error.strerror or error})",
            "free some space and try again: what arrived is kept" if full else "set KERAS_HOME to a folder elsewhere",
        ) from error


@contextmanager
def _own_part(target: Path, *, keep: bool) -> Iterator[Path]:
    """A file for what has arrived, which no other process writes to; begun by an earlier one, if it may be kept."""
    left = target.with_name(f".{target.name}.part")
    own = target.with_name(f".{target.name}.part-{os.getpid()}-{time.monotonic_ns()}")
    for found in (left, *(path for path in target.parent.glob(f"{left.name}-*") if _is_stale(path))):
        try:
            found.replace(own)  # renaming succeeds for one process only
        except OSError:
            continue
        break
    if not keep:
        own.unlink(missing_ok=True)
    own.touch()
    try:
        yield own
    finally:
        if own.exists():
            own.replace(left)


def _is_stale(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > STALE_S
    except OSError:
        return False


def _fetch(address: str, part: Path, display: Display, patience: Patience) -> None:
    """Add to the part until it is whole, in a bounded number of attempts."""
    pause = patience.pause
    for left in reversed(range(patience.attempts)):
        try:
            _attempt(address, part, display, patience.timeout)
            return
        except _Broken as failure:
            if not left:
                raise WeightsError(
                    f"{address} can't be fetched: {failure}",
                    f"check the network and try again; {part.stat().st_size / MEGABYTE:,.1f} MB have arrived",
                ) from failure
            time.sleep(pause)
            pause *= 2


def _attempt(address: str, part: Path, display: Display, timeout: float) -> None:
    start = part.stat().st_size
    request = urllib.request.Request(address, headers={"User-Agent": "headstart", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        with _open(request, timeout) as response:
            start, total = _plan(response, start, address)
            _receive(response, part, start, total, display)
    except urllib.error.HTTPError as error:
        _judge(error, part, address)
    except urllib.error.URLError as error:
        raise _Broken(_reason(error.reason)) from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _Broken(_reason(error)) from error


def _open(request: urllib.request.Request, timeout: float) -> AbstractContextManager[Any]:
    opener = urllib.request.build_opener(_Redirects)
    response: AbstractContextManager[Any] = opener.open(request, timeout=timeout)
    return response


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the web only, and from an encrypted address to encrypted ones only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        fp.close()
        _check_scheme(newurl, req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_scheme(address: str, origin: str) -> None:
    allowed = ("https",) if urlsplit(origin).scheme == "https" else ("http", "https")
    if urlsplit(address).scheme not in allowed:
        where = f"{origin} leads to {address}" if address != origin else address
        raise WeightsError(f"{where}, which isn't {' or '.join(allowed)}", "give an http or https address")


def _plan(response: Any, start: int, address: str) -> tuple[int, int | None]:
    """Where in the file the answer begins, and the size of the whole, as far as the server says."""
    length = response.headers.get("Content-Length")
    total = int(length) if length is not None and length.isdecimal() else None
    if response.status == 206:
        ranges = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not ranges or int(ranges[1]) != start:
            raise WeightsError(f"{address} answers with another part than was asked for", "try again, or elsewhere")
        total = int(ranges[2]) if ranges[2] != "*" else None if total is None else start + total
    else:
        start = 0  # the server ignores ranges, or nothing was asked for: the file comes from its beginning
    if total is not None and total > MOST_BYTES:
        raise WeightsError(f"{address} announces {total:,} bytes, more than any weights file has", "check the address")
    return start, total


def _receive(response: Any, part: Path, start: int, total: int | None, display: Display) -> None:
    megabytes = None if total is None else max(1, round(total / MEGABYTE))
    with (
        part.open("r+b") as file,
        display.stage("Downloading weights", megabytes, "MB") as advance,
    ):
        file.truncate(start)
        file.seek(start)
        shown = _show(advance, 0, start)
        while chunk := response.read1(CHUNK):  # what is there, so that none of it is lost if no more comes
            file.write(chunk)
            shown = _show(advance, shown, file.tell())
            if file.tell() > MOST_BYTES:
                raise WeightsError("the server sends more bytes than any weights file has", "check the address")
        arrived = file.tell()
    if total is not None and arrived != total:
        raise _Broken(f"the connection was cut off after {arrived:,} of {total:,} bytes")


def _show(advance: Advance, shown: int, arrived: int) -> int:
    """Move the display on by whole megabytes; returns how many it shows."""
    if arrived // MEGABYTE > shown:
        advance(arrived // MEGABYTE - shown)
    return arrived // MEGABYTE


def _judge(error: urllib.error.HTTPError, part: Path, address: str) -> None:
    """Whether an answer that isn't the file is worth another attempt."""
    error.close()
    if error.code == 416:  # there is nothing beyond what has arrived: all of it, or something else
        if _total_of(error) == part.stat().st_size:
            return
        part.write_bytes(b"")
        raise _Broken("what had arrived doesn't fit the file any more")
    answer = f"the server answers {error.code} {error.reason}"
    if error.code in _TRY_AGAIN:
        raise _Broken(answer)
    raise WeightsError(f"{address} can't be fetched: {answer}", "check the address")


def _total_of(error: urllib.error.HTTPError) -> int | None:
    found = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no byte came in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
