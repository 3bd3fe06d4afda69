"""A small network with fixed pseudo-random weights: the whole of Headstart runs on it in seconds.

Random convolutions tell colours and textures apart well enough for tests and demonstrations of the machinery. It is
never listed among the pretrained bases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.catalog.base import Arrays, Base, WeightSource
from headstart.images.spec import ImageSpec

if TYPE_CHECKING:
    import keras

SIZE = 32
FILTERS = (8, 16, 32)


def build(*, classes: int | None = None, shape: tuple[int, int] | None = None) -> keras.Model:
    """Three stages of convolution, BatchNorm and ReLU, each halving the image; with `classes`, a pooled linear top."""
    import keras
    from keras import layers

    inputs = x = keras.Input((*(shape or (SIZE, SIZE)), 3), name="image")
    for number, filters in enumerate(FILTERS):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name=f"stage{number}_conv")(x)
        x = layers.BatchNormalization(name=f"stage{number}_bn")(x)
        x = layers.ReLU(name=f"stage{number}")(x)
    if classes is not None:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(classes, name="logits")(x)
    return keras.Model(inputs, x, name="untrained")


@dataclass(frozen=True)
class SeededWeights(WeightSource):
    """He-normal kernels (He et al. 2015, arXiv:1502.01852) drawn from a fixed seed."""

    seed: int

    @property
    def identity(self) -> str:
        return f"seed-{self.seed}"

    @property
    def install_command(self) -> str:
        return "pip install headstart"

    def is_here(self) -> bool:
        return True

    def require(self) -> None:
        """They are drawn on the spot."""

    def load(self) -> Arrays:
        rng = np.random.default_rng(self.seed)
        arrays: Arrays = {}
        filters_in = 3
        for number, filters in enumerate(FILTERS):
            deviation = np.sqrt(2 / (9 * filters_in))
            kernel = rng.normal(0, deviation, (3, 3, filters_in, filters))
            arrays[f"stage{number}_conv/kernel"] = kernel.astype(np.float32)
            for part, value in (("gamma", 1), ("beta", 0), ("moving_mean", 0), ("moving_variance", 1)):
                arrays[f"stage{number}_bn/{part}"] = np.full(filters, value, np.float32)
            filters_in = filters
        return arrays


BASE = Base(
    name="untrained",
    spec=ImageSpec(SIZE, SIZE, interpolation="bilinear", offset=127.5, divisor=127.5),
    stages=tuple(f"stage{number}" for number in range(len(FILTERS))),
    widths=FILTERS,
    detail=None,
    parameters=6_200,
    imagenet_top1=None,
    licence="Apache-2.0",
    reference="https://arxiv.org/abs/1502.01852",
    revision=1,
    architecture=build,
    weights=SeededWeights(seed=0),
    smallest=8,
)
