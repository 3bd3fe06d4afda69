"""The bases: pretrained networks, each one record with its weights, image spec, licence and reference."""

from __future__ import annotations

from headstart.catalog.base import Base
from headstart.catalog.bundled import BUNDLED
from headstart.errors import UnknownNameError

DEFAULT_BASE = "efficientnet-lite0"


def bases() -> tuple[Base, ...]:
    """Every pretrained base, whether its weights are here or not."""
    return tuple(base for base in BUNDLED if base.is_pretrained)


def get_base(name: str) -> Base:
    """The base of that name.

    Raises:
        UnknownNameError: there is none.
    """
    for base in BUNDLED:
        if base.name == name.lower():
            return base
    raise UnknownNameError("base", name, (base.name for base in bases()))
