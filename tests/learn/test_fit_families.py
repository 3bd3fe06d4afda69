"""That `fit` agrees with `model.fit` on every family of Keras Applications, and on the real default base."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart as hs

SAMPLES, CLASSES, EPOCHS = 10, 3, 10


def resnet(stack: str, *, preact: bool) -> Callable[..., Any]:
    """A ResNet of one block a stage."""

    def build(**settings: Any) -> Any:
        from keras.src.applications import resnet as module

        def stages(x: Any) -> Any:
            for number, filters in enumerate((16, 32)):
                x = getattr(module, stack)(x, filters, 2, name=f"stage{number}")
            return x

        return module.ResNet(stages, preact, True, weights_name="", **settings)

    return build


def source(module: str, function: str, **settings: Any) -> Callable[..., Any]:
    """The function from which a family makes its members, which Keras doesn't export; here it makes a small one."""

    def build(**more: Any) -> Any:
        from importlib import import_module

        return getattr(import_module(f"keras.src.applications.{module}"), function)(**settings, **more)

    return build


NASNET = {"penultimate_filters": 96, "num_blocks": 1, "stem_block_filters": 8, "skip_reduction": False}
FAMILIES: dict[str, tuple[int, Callable[..., Any]]] = {
    "ConvNeXt": (32, source("convnext", "ConvNeXt", depths=[1, 1, 1, 1], projection_dims=[8, 8, 16, 16])),
    "DenseNet": (32, source("densenet", "DenseNet", blocks=[1, 2, 2, 1])),
    "EfficientNet": (
        32,
        source(
            "efficientnet",
            "EfficientNet",
            width_coefficient=0.3,
            depth_coefficient=0.2,
            default_size=32,
            name="efficientnet",
        ),
    ),
    "EfficientNetV2": (
        32,
        source(
            "efficientnet_v2",
            "EfficientNetV2",
            width_coefficient=0.3,
            depth_coefficient=0.2,
            default_size=32,
            name="efficientnetv2-b0",
        ),
    ),
    "InceptionResNetV2": (75, source("inception_resnet_v2", "InceptionResNetV2")),
    "InceptionV3": (75, source("inception_v3", "InceptionV3")),
    "MobileNet": (32, source("mobilenet", "MobileNet", alpha=0.25)),
    "MobileNetV2": (32, source("mobilenet_v2", "MobileNetV2", alpha=0.35)),
    "MobileNetV3": (32, source("mobilenet_v3", "MobileNetV3Small", alpha=0.75)),
    "NASNet": (32, source("nasnet", "NASNet", **NASNET)),
    "ResNet": (32, resnet("stack_residual_blocks_v1", preact=False)),
    "ResNetV2": (32, resnet("stack_residual_blocks_v2", preact=True)),
    "VGG": (32, source("vgg16", "VGG16")),
    "Xception": (71, source("xception", "Xception")),
}
# Of what can only be made in one size, the part up to a layer that has blocks of each kind below it, or most kinds.
UP_TO = {"InceptionResNetV2": "block35_2_ac", "InceptionV3": "mixed4", "Xception": "block5_sepconv1_act"}
IN_OPENVINO = ("MobileNetV2", "ResNet", "VGG")


def images(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(SAMPLES) % CLASSES
    coarse = rng.normal(size=(SAMPLES, 4, 4, 3)).repeat(-(-size // 4), axis=1).repeat(-(-size // 4), axis=2)
    noise = rng.normal(size=(SAMPLES, size, size, 3))
    return (100 * (coarse[:, :size, :size] + 0.5 * noise) + 60 * y[:, None, None, None]).astype("float32"), y


def enliven(base: Any, x: np.ndarray) -> None:
    """Give a randomly initialised network features that differ, as a pretrained one has: else any answer agrees."""
    import keras

    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # so that the statistics of one batch are taken as they are
        elif type(layer).__name__ == "LayerScale":
            layer.gamma.assign(keras.ops.ones_like(layer.gamma))
        elif hasattr(layer, "rate"):
            layer.rate = 0.0
        if base.name == "vgg16" and hasattr(layer, "kernel"):
            layer.kernel.assign(layer.kernel * np.sqrt(2))
    base(x, training=True)
    base.trainable = False


def with_head(base: Any) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [base, layers.GlobalAveragePooling2D(), layers.Dropout(0.2), layers.Dense(CLASSES, activation="softmax")]
    )
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def assert_agrees(base: Any, x: np.ndarray, y: np.ndarray, store: Path, engine: str) -> None:
    """Both models share the base, which is frozen."""
    features = np.asarray(base(x, training=False)).mean((1, 2))
    assert features.std(axis=0).max() > 1e-3, "features must differ from image to image"
    settings = {"epochs": EPOCHS, "batch_size": SAMPLES, "verbose": 0}
    expected = with_head(base).fit(x, y, **settings).history
    found = hs.fit(with_head(base), x, y, store=store, engine=engine, **settings)
    # Engines sum in other orders on other processors, and training on ten images amplifies that.
    for name, values in expected.items():
        np.testing.assert_allclose(found.history[name], values, rtol=5e-3, atol=1e-6, err_msg=name)
    assert np.ptp(expected["loss"]) > 0.01 * expected["loss"][0], "the loss must move"
    assert found.frozen_part.engine.startswith(engine)
    assert found.frozen_part.layer.startswith("global_average_pooling2d")
    assert found.frozen_part.computed == SAMPLES


@pytest.mark.filterwarnings("ignore:.*ImageNet weights expect")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns_what_it_learns_with_keras(family: str, cache_dir: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    size, build = FAMILIES[family]
    base = build(include_top=False, weights=None, input_shape=(size, size, 3))
    if family in UP_TO:
        base = keras.Model(base.input, base.get_layer(UP_TO[family]).output, name=base.name)
    x, y = images(size)
    enliven(base, x)
    assert_agrees(base, x, y, cache_dir, "openvino" if family in IN_OPENVINO else "keras")


@pytest.mark.real
def test_the_default_base_learns_what_it_learns_with_keras(cache_dir: Path) -> None:
    from headstart.catalog import DEFAULT_BASE, get_base

    base = get_base(DEFAULT_BASE).build()
    base.trainable = False
    x, y = images(base.input_shape[1])
    assert_agrees(base, (x / 128).clip(-1, 1), y, cache_dir, "openvino")
