from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart.catalog.layout import Layout, check_shapes, layout_of
from headstart.errors import WeightsError


def test_a_layout_has_the_layers_with_weights_in_the_networks_order(layout: Layout, model: Any) -> None:
    assert [layer.name for layer in layout.layers] == [layer.name for layer in model.layers if layer.weights]
    assert {slot.path: (slot.shape, slot.dtype) for slot in layout.slots} == {
        weight.path: (tuple(weight.shape), weight.dtype) for weight in model.weights
    }
    assert layout.network == "small"


def test_layers_of_a_kind_are_numbered_throughout(layout: Layout) -> None:
    groups = {layer.name: layer.group for layer in layout.layers}
    assert groups["stem"] == "conv2d"
    assert groups["left"] == "conv2d_1"
    assert groups["right"] == "separable_conv2d"


def test_the_size_is_that_of_all_weights(layout: Layout, model: Any) -> None:
    assert layout.byte_size == sum(np.asarray(weight).nbytes for weight in model.weights)


def test_a_layout_takes_no_memory_for_weights() -> None:
    def huge(**options: Any) -> Any:
        import keras

        inputs = keras.Input((1, 1, 1_000_000))
        return keras.Model(inputs, keras.layers.Conv2D(1_000_000, 1, name="huge")(inputs))

    assert layout_of(huge).slots[0].shape == (1, 1, 1_000_000, 1_000_000)


def test_other_shapes_are_refused_with_the_layers_name(layout: Layout) -> None:
    stem = next(layer for layer in layout.layers if layer.name == "stem")
    check_shapes(stem, [(3, 3, 3, 4)], "a.h5")
    with pytest.raises(WeightsError) as caught:
        check_shapes(stem, [(3, 3, 1, 4), (4,)], "a.h5")
    assert str(caught.value) == (
        "a.h5: the layer 'stem' needs weights of shape (3, 3, 3, 4); there is (3, 3, 1, 4) and (4,); "
        "these weights belong to another network, or another version of this one"
    )
