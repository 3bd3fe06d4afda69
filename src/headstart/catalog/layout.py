"""The order in which a network keeps its weights: what a weights file must hold, layer by layer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.catalog.base import Architecture
from headstart.catalog.graph import without_numbers
from headstart.errors import WeightsError


@dataclass(frozen=True)
class Slot:
    """One weight: the path of its variable, such as "conv1/kernel", its shape, and its dtype by name."""

    path: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class LayerLayout:
    """A layer that has weights.

    Attributes:
        name: of the layer.
        group: where a Keras 3 weights file keeps it: the layer's kind, numbered throughout the network.
        slots: its weights in the order of both of Keras' file layouts, trained ones first.
    """

    name: str
    group: str
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Layout:
    """The layers of a network that have weights, in the network's order."""

    network: str
    layers: tuple[LayerLayout, ...]

    @property
    def slots(self) -> tuple[Slot, ...]:
        return tuple(slot for layer in self.layers for slot in layer.slots)

    @property
    def byte_size(self) -> int:
        """Of all weights, in bytes."""
        return sum(math.prod(slot.shape) * np.dtype(slot.dtype).itemsize for slot in self.slots)


def layout_of(architecture: Architecture) -> Layout:
    """The layout of a network, found without giving its weights any numbers or memory."""
    from keras.src.utils.naming import to_snake_case  # as Keras names the groups of its files

    with without_numbers():
        model = architecture()
    seen: Counter[str] = Counter()
    layers = []
    for layer in model.layers:
        kind = to_snake_case(type(layer).__name__)
        group = f"{kind}_{seen[kind]}" if seen[kind] else kind
        seen[kind] += 1
        weights = (*layer.trainable_weights, *layer.non_trainable_weights)
        slots = tuple(Slot(weight.path, tuple(weight.shape), str(weight.dtype)) for weight in weights)
        if slots:
            layers.append(LayerLayout(layer.name, group, slots))
    return Layout(model.name, tuple(layers))


def check_shapes(layer: LayerLayout, found: Sequence[tuple[int, ...]], where: str) -> None:
    """Compare what a file holds for a layer with what the layer needs, before any number of it is read.

    Args:
        layer: what is expected.
        found: the shapes in the file, in its order.
        where: names the file, and the place in it.

    Raises:
        WeightsError: they differ; it names the layer, what came and what was expected.
    """
    expected = [slot.shape for slot in layer.slots]
    if list(found) != expected:
        came = " and ".join(map(str, found)) or "nothing"
        raise WeightsError(
            f"{where}: the layer {layer.name!r} needs weights of shape {' and '.join(map(str, expected))}; "
            f"there is {came}",
            "these weights belong to another network, or another version of this one",
        )
