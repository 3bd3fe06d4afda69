"""The command that lists the bases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.cli.options import JsonOption
from headstart.cli.printing import print_json, print_table

if TYPE_CHECKING:
    from headstart.catalog.base import Base


def bases(as_json: JsonOption = False) -> None:
    """List the pretrained bases: size, input, published accuracy, licence, and whether their weights are here.

    \b
    headstart bases
    """
    from headstart.catalog.keras_weights import located_bases
    from headstart.features.store import default_folder

    found = located_bases(default_folder())
    if as_json:
        print_json([_as_dict(base) for base in found])
        return
    print_table(
        ("base", "parameters", "input", "ImageNet top-1", "licence", "weights"),
        [
            (
                base.name,
                f"{base.parameters / 1e6:.1f} M",
                f"{base.spec.width}×{base.spec.height}",
                f"{base.imagenet_top1:.1%}",
                base.licence,
                _where(base),
            )
            for base in found
        ],
    )


def _where(base: Base) -> str:
    if base.weights.is_here():
        return "here"
    return "fetched when needed" if base.weights.install_command.startswith("curl") else base.weights.install_command


def _as_dict(base: Base) -> dict[str, Any]:
    return {
        "name": base.name,
        "parameters": base.parameters,
        "input": [base.spec.height, base.spec.width],
        "imagenet_top1": base.imagenet_top1,
        "licence": base.licence,
        "reference": base.reference,
        "stages": base.stages,
        "weights_here": base.weights.is_here(),
        "install": base.weights.install_command,
    }
