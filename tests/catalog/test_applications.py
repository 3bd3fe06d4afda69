from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from headstart.catalog.applications import build
from headstart.catalog.graph import without_numbers
from headstart.features.boundary import find_cuts, suffix


@cache
def graph(constructor: str, size: int, **options: Any) -> Any:
    """A network without numbers, which takes neither time nor memory."""
    with without_numbers():
        return build(constructor, size, **options)


def test_layers_have_the_same_names_whatever_was_built_before() -> None:
    import keras

    first = [layer.name for layer in graph("InceptionV3", 75).layers]
    keras.layers.Conv2D(1, 1)
    with without_numbers():
        assert [layer.name for layer in build("InceptionV3", 75).layers] == first
    assert "conv2d" in first


def test_the_numbers_of_other_layers_go_on_where_they_were() -> None:
    import keras

    names = {keras.layers.Dense(1).name for _ in range(2)}
    graph("VGG16", 32, classes=10)
    assert keras.layers.Dense(1).name not in names


def test_a_failure_leaves_the_numbers_as_they_were() -> None:
    import keras

    before = keras.layers.Dense(1).name
    with pytest.raises(ValueError, match="at least"):
        build("VGG16", 8)
    assert keras.layers.Dense(1).name != before


@pytest.mark.parametrize("constructor", ["EfficientNetB0", "EfficientNetV2B0"])
def test_only_efficientnet_divides_twice(constructor: str) -> None:
    names = [layer.name for layer in graph(constructor, 32).layers]
    assert ("rescaling_of_imagenet" in names) == (constructor == "EfficientNetB0")


def test_efficientnet_divides_pixels_by_the_deviation_and_by_its_root() -> None:
    """ImageNet's weights bring the mean and the variance; the root of the deviation is in the graph alone."""
    import keras

    model = build("EfficientNetB0", 32)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normalization = model.get_layer("normalization")
    normalization.adapt_mean.assign(mean)
    normalization.adapt_variance.assign(deviation**2)
    normalization.finalize_state()
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    scaled = keras.Model(model.input, model.get_layer("stem_conv_pad").input)(pixels)
    np.testing.assert_allclose(scaled, (pixels / 255 - mean) / deviation / np.sqrt(deviation), rtol=1e-4, atol=1e-4)


def test_efficientnets_weights_come_in_the_order_in_which_keras_reads_them() -> None:
    import keras

    with without_numbers():
        original = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(32, 32, 3))
    expected = [[tuple(weight.shape) for weight in layer.weights] for layer in original.layers if layer.weights]
    found = [[tuple(weight.shape) for weight in layer.weights] for layer in graph("EfficientNetB0", 32).layers]
    assert [shapes for shapes in found if shapes] == expected


def test_every_layer_of_efficientnet_is_there_once() -> None:
    model = graph("EfficientNetB0", 32)
    assert all(len(layer._inbound_nodes) == 1 for layer in model.layers)
    assert {cut.layer for cut in find_cuts(model)} >= {"rescaling_of_imagenet", "top_activation"}


def test_a_top_gives_logits() -> None:
    model = build("MobileNetV3Small", 32, classes=7)
    logits = model(np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32))
    assert logits.shape == (2, 7)
    assert not np.allclose(np.asarray(logits).sum(axis=1), 1)


def test_the_input_may_have_another_shape() -> None:
    model = graph("MobileNetV2", 224, shape=(64, 96))
    assert model.input.shape == (None, 64, 96, 3)
    assert model.output.shape == (None, 2, 3, 1280)


def test_a_network_can_be_divided_and_run_from_the_cut_on() -> None:
    model = build("MobileNetV3Small", 32)
    above = suffix(model, "expanded_conv_9_add")
    assert above(np.zeros((1, *above.input.shape[1:]), np.float32)).shape == (1, 1, 1, 576)
