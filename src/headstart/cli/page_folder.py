"""The folder with a page and a document that some commands write."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from headstart.errors import UsageError


def check_unmade(path: Path | None, option: str) -> None:
    """Found out at the start, not after minutes of work.

    Raises:
        UsageError: there is something of that name.
    """
    if path is not None and path.exists():
        raise UsageError(f"{path} exists already", f"name another with {option}, or remove that one")


def write_folder(out: Path, texts: Mapping[str, str]) -> None:
    """Make a folder with these files, by name, or make it again; it is there as a whole, or not at all.

    Raises:
        UsageError: it can't be written.
    """
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
        partial.mkdir(parents=True)
        for name, text in texts.items():
            (partial / name).write_text(text, encoding="utf-8", newline="")
        if out.exists():  # whoever mustn't write over it has looked before
            shutil.rmtree(out)
        partial.rename(out)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UsageError(f"{out} can't be written ({error.strerror})", "name another folder with --out") from error
