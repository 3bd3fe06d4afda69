"""A prefix as the store knows it: what identifies it, how to build it, and its converted form, which is kept too."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.errors import StoreError
from headstart.features.openvino import convert

if TYPE_CHECKING:
    import keras

_NETWORK = "network.xml"
_WEIGHTS = "network.bin"
_SUMS = "sha256.json"


@dataclass(frozen=True)
class Prefix:
    """The part of a network below a cut.

    Attributes:
        identity: of everything that its output depends on, besides the input.
        build: makes the Keras model. Called only where no converted form is kept, so a warm start needs no Keras.
        check: looks at the converted network before it is kept; an EngineError says that it won't do.
    """

    identity: str
    build: Callable[[], keras.Model]
    check: Callable[[Path], None] = lambda network: None


def converted(prefix: Prefix, cache: Path) -> Path:
    """The prefix as an OpenVINO network, converted at most once.

    Args:
        prefix: what is wanted.
        cache: the folder that keeps converted networks; damaged ones in it are replaced.

    Returns:
        The path of the ``.xml`` file.

    Raises:
        EngineError: it can't be converted.
        StoreError: the cache can't be written.
    """
    folder = cache / "prefixes" / hashlib.sha256(prefix.identity.encode()).hexdigest()[:32]
    if not _is_whole(folder):
        _convert_into(folder, prefix)
    return folder / _NETWORK


def _convert_into(folder: Path, prefix: Prefix) -> None:
    """Beside its place first, then renamed: others see it whole or not at all."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.rmtree(folder, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".converting-") as made:
            working = Path(made, "prefix")
            working.mkdir()
            convert(prefix.build(), working / _NETWORK)
            prefix.check(working / _NETWORK)
            sums = {name: _sha256(working / name) for name in (_NETWORK, _WEIGHTS)}
            (working / _SUMS).write_text(json.dumps(sums), encoding="utf-8")
            _publish(working, folder)
    except OSError as error:
        raise StoreError(
            f"the converted network can't be kept in {folder.parent} ({error.strerror})", "name another with --cache"
        ) from error


def _publish(working: Path, folder: Path) -> None:
    try:
        working.rename(folder)
    except OSError:
        # Another process was faster: its copy is as good, if it is whole.
        if not _is_whole(folder):
            raise


def _is_whole(folder: Path) -> bool:
    try:
        sums = json.loads((folder / _SUMS).read_text(encoding="utf-8"))
        return all(_sha256(folder / name) == sums[name] for name in (_NETWORK, _WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
