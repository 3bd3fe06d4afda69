"""Where a base's weights are looked for, and whether the network may be asked."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from headstart.errors import UsageError
from headstart.progress import Display, NoDisplay

_YES = {"1", "true", "yes", "on"}


@dataclass(frozen=True)
class Lookup:
    """Where weights are looked for.

    Attributes:
        file: the user's own weights file, before which nothing else counts.
        place: a folder, or an http(s) address, that holds the published files under their names; by default
            $HEADSTART_WEIGHTS.
        offline: whether the network is out of bounds; it is also with HEADSTART_OFFLINE=1.
        cache: keeps weights once they are verified and converted; None keeps none.
        display: shows a download.
    """

    file: Path | None = None
    place: str | None = None
    offline: bool = False
    cache: Path | None = None
    display: Display = NoDisplay()  # noqa: RUF009 - it has no state

    @property
    def folder(self) -> Path | None:
        """The folder that the user names, if it is one."""
        place = self._place
        return Path(place).expanduser() if place and not _is_address(place) else None

    @property
    def mirror(self) -> str | None:
        """The address that the user names, if it is one."""
        place = self._place
        return place.rstrip("/") if place and _is_address(place) else None

    @property
    def is_offline(self) -> bool:
        return self.offline or os.environ.get("HEADSTART_OFFLINE", "").lower() in _YES

    @property
    def _place(self) -> str | None:
        return self.place or os.environ.get("HEADSTART_WEIGHTS") or None


def make_lookup(
    weights: str | Path | None, *, offline: bool, cache: Path | None, display: Display | None = None
) -> Lookup:
    """A lookup from what a user gives.

    Args:
        weights: a weights file, a folder of them, or an http(s) address that has them.
        offline: whether the network is out of bounds.
        cache: keeps converted weights.
        display: shows a download.

    Raises:
        UsageError: there is no such file or folder.
    """
    found = Lookup(offline=offline, cache=cache)
    if display is not None:
        found = replace(found, display=display)
    if weights is None:
        return found
    if _is_address(str(weights)) or Path(weights).is_dir():
        return replace(found, place=str(weights))
    if not Path(weights).is_file():
        raise UsageError(
            f"there is no weights file or folder {weights}",
            "give a weights file, a folder of them, or an http or https address",
        )
    return replace(found, file=Path(weights))


def keras_models() -> Path:
    """Where Keras itself keeps the weights that it fetches: $KERAS_HOME/models, or ~/.keras/models."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"


def _is_address(place: str) -> bool:
    return place.startswith(("http://", "https://"))
