"""Keeps native libraries from talking over the terminal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def native_stderr_silenced() -> Iterator[None]:
    """Drops what is written straight to file descriptor 2, past Python.

    TensorFlow logs that way while it is imported and while it exports a model, whatever log level one asks it for.
    Progress bars stay visible: they are written through a descriptor of their own.
    """
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - os.devnull is no path on every system
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
