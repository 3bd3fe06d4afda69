"""The bases: pretrained networks, each one record with its weights, image spec, licence and reference."""

from __future__ import annotations

from headstart.catalog.base import UP_TO, Base
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

    Args:
        name: of a base, or of one and a stage up to which it is taken, such as "resnet50@conv4_block6_out".

    Raises:
        UnknownNameError: there is none, or it has no such stage.
    """
    whole, at, stage = name.partition(UP_TO)
    wanted = _plain(whole)
    for base in _ALL:
        if _plain(base.name) == wanted:
            return base.up_to(stage) if at else base
    raise UnknownNameError("base", name, (base.name for base in bases()))


def base_called(network: str) -> Base | None:
    """The base whose network Keras calls so, such as "mobilenetv2_1.00_224": the longest name that it begins with."""
    fitting = [base for base in bases() if _plain(network).startswith(_plain(base.name))]
    return max(fitting, key=lambda base: len(base.name), default=None)


def _plain(name: str) -> str:
    return name.lower().translate(str.maketrans("", "", "-_ "))
