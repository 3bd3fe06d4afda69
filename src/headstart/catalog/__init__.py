"""The bases: pretrained networks, each one record with its weights, image spec, licence and reference."""

from __future__ import annotations

from headstart.catalog.base import Base
from headstart.catalog.bundled import BUNDLED
from headstart.catalog.published import APPLICATIONS
from headstart.errors import UnknownNameError

DEFAULT_BASE = "efficientnet-lite0"

_ALL = (*BUNDLED, *APPLICATIONS)


def bases() -> tuple[Base, ...]:
    """Every pretrained base, whether its weights are here or not."""
    return tuple(base for base in _ALL if base.is_pretrained)


def get_base(name: str) -> Base:
    """The base of that name; case, hyphens and underscores don't matter.

    Raises:
        UnknownNameError: there is none.
    """
    wanted = _plain(name)
    for base in _ALL:
        if _plain(base.name) == wanted:
            return base
    raise UnknownNameError("base", name, (base.name for base in bases()))


def _plain(name: str) -> str:
    return name.lower().translate(str.maketrans("", "", "-_ "))
